// Joins the modules of each daemon into a few files: a start then reads a tenth of the files. That counts when vrrpd is
// started again by its guard within two adverts, and for `lbproxy -c`. What `tsc` writes stays beside it, for tests and for debugging.
//
// usage: node scripts/bundle.mjs [--help]
import { rm } from "node:fs/promises";
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
  const outdir = join(dist, "bundle");
  await rm(outdir, { recursive: true, force: true });
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
}
