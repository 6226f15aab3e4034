import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { z } from "zod";

const USAGE = `usage: ./scripts/release [options]

Makes DIR/ha-pair-VERSION-linux-ARCH and the same as .tar.gz: both daemons, vrrpctl, what they need, systemd units and
the installer. Nothing in it is built or fetched on the host that it is installed on.

  --out DIR       where to (default: dist/release)
  --no-archive    the folder only
  --without-node  leave Node.js out. The host's must then be of the same major version (${process.versions.node.split(".")[0]}):
                  the native parts of raw-socket are built for it
  --help          this text`;

const { values: options } = parseArgs({
  options: {
    out: { type: "string", default: "dist/release" },
    "no-archive": { type: "boolean", default: false },
    "without-node": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(USAGE);
  process.exit(0);
}

const lockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({ dev: z.boolean().optional(), link: z.boolean().optional() }),
  ),
});
const manifestFile = z.object({ version: z.string() });

/** What stands in production dependencies only to build or to type-check them. */
const BUILD_ONLY = /(^|\/)node_modules\/(@types\/|undici-types$|nan$|node-addon-api$)/;
/** Files of a package that no running program reads. */
const NOT_RUN =
  /(\.test\.|\.property\.|\.[cm]?ts$|\.map$|\.tsbuildinfo$|\/(test|tests|example|examples|benchmarks?|docs|\.github)(\/|$)|\/obj\.target(\/|$)|\.(md|gyp|gypi|mk|o|a|d)$)/i;
/** What of our own packages a release carries; sources and native sources stay behind. */
const OWN_PARTS = ["package.json", "bin", "dist", "native/build", "drills"];

const root = process.cwd();
const version = manifestFile.parse(readJson("package.json")).version;
const name = `ha-pair-${version}-linux-${process.arch}`;
const out = resolve(options.out);
const target = join(out, name);
const draft = `${target}.${process.pid}`;

rmSync(draft, { recursive: true, force: true });
mkdirSync(join(draft, "lib/node_modules/@ha"), { recursive: true });
try {
  copyOwnPackages();
  copyDependencies();
  copyPrograms();
  if (!options["without-node"]) copyNode();
  writeFileSync(join(draft, "RELEASE"), describe());
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
} finally {
  rmSync(draft, { recursive: true, force: true });
}
console.log(`made ${relative(root, target)} (${megabytes(folderBytes(target))} MB)`);
if (!options["no-archive"]) {
  const archive = `${target}.tar.gz`;
  makeArchive(archive);
  console.log(`made ${relative(root, archive)} (${megabytes(statSync(archive).size)} MB)`);
  console.log(`on each host, as root: tar xzf ${basename(archive)} && ${name}/install`);
}

/** Same files, same archive: owner, order and times are fixed, so that two builds can be compared. */
function makeArchive(archive: string): void {
  execFileSync(
    "tar",
    [
      "--sort=name",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--mtime=@0",
      "-C",
      out,
      "-I",
      "gzip -n -6",
      "-cf",
      archive,
      name,
    ],
    { stdio: "inherit" },
  );
}

function copyOwnPackages(): void {
  for (const folder of readdirSync(join(root, "packages"))) {
    const to = join(draft, "lib/node_modules/@ha", folder);
    for (const part of OWN_PARTS) {
      const from = join(root, "packages", folder, part);
      if (existsSync(from)) copyTree(from, join(to, part));
    }
  }
  if (!existsSync(join(draft, "lib/node_modules/@ha/linux/native/build/ring.node"))) {
    throw new Error("packages/linux/native/build is missing: run npm run build");
  }
}

function copyDependencies(): void {
  const lock = lockFile.parse(readJson("package-lock.json"));
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (!path.startsWith("node_modules/") || entry.dev === true || entry.link === true) continue;
    if (BUILD_ONLY.test(path) || !existsSync(join(root, path))) continue;
    copyTree(join(root, path), join(draft, "lib", path));
  }
}

function copyPrograms(): void {
  const files = join(root, "scripts/release-files");
  cpSync(files, draft, { recursive: true });
  copyFileSync(join(root, "scripts/install"), join(draft, "install"));
  for (const text of ["LICENSE", "README.md"]) {
    if (existsSync(join(root, text))) copyFileSync(join(root, text), join(draft, text));
  }
  cpSync(join(root, "docs"), join(draft, "docs"), { recursive: true });
  // The second name under which lbproxy is started: see bin/lbproxy.
  symlinkSync("lbproxy.js", join(draft, "lib/node_modules/@ha/proxy/bin/haproxy.js"));
  for (const program of readdirSync(join(draft, "bin")))
    chmodSync(join(draft, "bin", program), 0o755);
  chmodSync(join(draft, "install"), 0o755);
}

function copyNode(): void {
  mkdirSync(join(draft, "node/bin"), { recursive: true });
  copyFileSync(realpathSync(process.execPath), join(draft, "node/bin/node"));
  chmodSync(join(draft, "node/bin/node"), 0o755);
}

/** What `install` and a support bundle read: `KEY=value`, one a line. */
function describe(): string {
  const digest = createHash("sha256");
  for (const path of filesBelow(draft)) {
    digest.update(relative(draft, path)).update("\0").update(readFileSync(path)).update("\0");
  }
  return [
    `VERSION=${version}`,
    `BUILD=${digest.digest("hex").slice(0, 12)}`,
    `ARCH=${process.arch}`,
    `NODE=${process.versions.node}`,
    `NODE_ABI=${process.versions.modules}`,
    "",
  ].join("\n");
}

function copyTree(from: string, to: string): void {
  cpSync(from, to, {
    recursive: true,
    dereference: true,
    filter: (path) => !NOT_RUN.test(path.slice(from.length)) && !path.endsWith("/testing"),
  });
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function folderBytes(folder: string): number {
  return filesBelow(folder).reduce((sum, path) => sum + statSync(path).size, 0);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(root, path), "utf8"));
}
