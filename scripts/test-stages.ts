import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** One stage of `./scripts/test`. */
export type Stage = CommandStage | FileStage;

/** Commands that must all end well; counts as one check. */
export interface CommandStage {
  readonly name: string;
  /** What it checks, for people. */
  readonly does: string;
  readonly commands: readonly (readonly string[])[];
}

/** A set of test files. */
export interface FileStage {
  readonly name: string;
  readonly does: string;
  /** The built files, relative to the repository's root. */
  readonly files: readonly string[];
  /** How many files run side by side. */
  readonly atOnce: number;
  /** Parts of the names of files that run when no other does: they measure speed, or use the whole machine. */
  readonly alone: readonly string[];
  readonly fileLimitSeconds: number;
  /** A file that fails runs once more: for what holds real processes to real time, where a host that stalls is no fault. */
  readonly secondTry: boolean;
}

/** Folders of test/ with their own pace; any other folder there that holds tests becomes a stage as well. */
const FOLDERS: Readonly<Record<string, { does: string; atOnce: number; limit: number }>> = {
  config: { does: "configuration texts against what the originals say", atOnce: 2, limit: 240 },
  simulation: { does: "many routers on virtual time, from seeds", atOnce: 2, limit: 300 },
  vectors: { does: "packets captured from the real programs", atOnce: 2, limit: 120 },
  interop: { does: "beside the real keepalived and haproxy", atOnce: 2, limit: 240 },
  e2e: { does: "the built programs in network namespaces", atOnce: 2, limit: 300 },
};
const ALONE = ["proxy-speed", "proxy-slow-clients", "drills", "soak", "faults.test"];
/** Not run here: they have no end of their own, or are no tests. */
const LEFT_OUT = new Set(["support", "corpus", "fuzz"]);

/** In the order in which they run: what fails fastest comes first. */
export function listStages(root: string): readonly Stage[] {
  const bin = (name: string): string => join("node_modules", ".bin", name);
  const folders = readdirSync(join(root, "test"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !LEFT_OUT.has(entry.name))
    .map((entry) => entry.name);
  const known = Object.keys(FOLDERS).filter((name) => folders.includes(name));
  const others = folders.filter((name) => !Object.hasOwn(FOLDERS, name));
  return [
    {
      name: "build",
      does: "TypeScript, native code, bundles",
      commands: [
        [bin("tsc"), "-b"],
        ["node", "packages/linux/native/build.mjs"],
        ["node", "scripts/bundle.mjs"],
      ],
    },
    {
      name: "lint",
      does: "Biome: rules and format",
      commands: [[bin("biome"), "check", "--error-on-warnings", "."]],
    },
    {
      name: "unused",
      does: "knip: dead exports, undeclared dependencies",
      commands: [[bin("knip")]],
    },
    {
      name: "tidy",
      does: "the repository's own rules",
      commands: [["node", "dist/scripts/tidy.js"]],
    },
    ...readdirSync(join(root, "packages")).map((name) => ({
      name,
      does: `unit and property tests of packages/${name}`,
      files: builtTests(root, join("packages", name, "src"), join("packages", name, "dist")),
      atOnce: 2,
      alone: ALONE,
      fileLimitSeconds: 180,
      secondTry: name !== "base",
    })),
    {
      name: "scripts",
      does: "tests of scripts/",
      files: builtTests(root, "scripts", "dist/scripts"),
      atOnce: 2,
      alone: ALONE,
      fileLimitSeconds: 60,
      secondTry: false,
    },
    ...[
      ...others.filter(
        (name) => builtTests(root, join("test", name), join("dist/test", name)).length > 0,
      ),
      ...known,
    ].map((name) => ({
      name,
      does: FOLDERS[name]?.does ?? `tests of test/${name}`,
      files: builtTests(root, join("test", name), join("dist/test", name)),
      atOnce: FOLDERS[name]?.atOnce ?? 1,
      alone: ALONE,
      fileLimitSeconds: FOLDERS[name]?.limit ?? 300,
      secondTry: name === "interop" || name === "e2e",
    })),
  ];
}

/**
 * The built file of every test whose source exists: a test that was deleted may still lie in `dist`. A source that was
 * not built is listed too, so that it fails instead of being left out.
 */
function builtTests(root: string, sources: string, built: string): string[] {
  if (!existsSync(join(root, sources))) return [];
  return readdirSync(join(root, sources), { recursive: true, encoding: "utf8" })
    .filter((path) => /\.(test|property)\.ts$/.test(path))
    .filter((path) => statSync(join(root, sources, path)).isFile())
    .sort()
    .map((path) => join(built, path.replace(/\.ts$/, ".js")));
}
