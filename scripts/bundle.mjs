// Joins the modules of each daemon into a few files: a start then reads a tenth of the files. That counts when vrrpd is
// started again by its guard within two adverts, and for `lbproxy -c`. What `tsc` writes stays beside it, for tests and for debugging.
//
// usage: node scripts/bundle.mjs [--help]
import { rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

if (process.argv.includes("--help")) {
  console.log("usage: node scripts/bundle.mjs\nMakes packages/*/dist/bundle from what tsc wrote.");
  process.exit(0);
}

const packages = join(dirname(fileURLToPath(import.meta.url)), "../packages");

/** Every program: what starts it, threads it starts by file name included. */
const PROGRAMS = {
  vrrpd: ["daemon/main.js", "daemon/config-worker.js"],
  proxy: ["daemon/main.js", "daemon/thread.js"],
};

for (const [name, entries] of Object.entries(PROGRAMS)) {
  const dist = join(packages, name, "dist");
  const bundle = join(dist, "bundle");
  // Made aside: a daemon that starts meanwhile, as a guard may start it, finds the old one whole or the new one.
  const outdir = join(dist, `bundle.${process.pid}`);
  await build({
    entryPoints: entries.map((entry) => join(dist, entry)),
    outdir,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    sourcemap: true,
    // Native packages find their binaries beside their own files; the rest is rarely loaded and by name.
    external: ["raw-socket", "netlink", "pino", "nodemailer", "yaml"],
    logLevel: "warning",
  });
  const old = `${outdir}.old`;
  await rename(bundle, old).catch(() => {});
  await rename(outdir, bundle);
  await rm(old, { recursive: true, force: true });
}
