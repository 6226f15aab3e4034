/**
 * Compiles the native part with gcc alone: no node-gyp, no C++. Node-API keeps one binary good for every
 * Node from 20 on. `npm run build` calls this; it does nothing when all is up to date.
 *
 *   node packages/linux/native/build.mjs [--force] [--list]
 *
 * An artefact is made anew when one of its sources, or this file, is newer. Artefacts appear by rename, so
 * that a program which loads one meanwhile never sees half of it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import headers from "node-api-headers";

const here = dirname(fileURLToPath(import.meta.url));
const buildFolder = join(here, "build");

const COMMON = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
const ADDON = [
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-DNAPI_VERSION=8",
  `-I${headers.include_dir}`,
];
/** Programs of their own are linked without the C library's dynamic loader: they start and stay small. */
const PROGRAM = ["-static"];

/** Everything there is to build. An entry whose sources do not all exist is left out. */
const artefacts = [
  { out: "beacon.node", sources: ["beacon.c"], headers: ["send-packet.h"], flags: ADDON },
  {
    out: "guard",
    sources: ["guard.c", "guard-router.c"],
    headers: ["guard.h", "send-packet.h"],
    flags: PROGRAM,
  },
  { out: "launch", sources: ["launch.c"], flags: PROGRAM },
  { out: "process.node", sources: ["process.c"], flags: ADDON },
  {
    out: "ring.node",
    sources: ["ring.c", "ring-uring.c", "ring-epoll.c", "ring-socket.c"],
    headers: ["ring.h"],
    flags: ADDON,
  },
  { out: "signals.node", sources: ["signals.c"], flags: ADDON },
  { out: "sockets.node", sources: ["sockets.c"], flags: ADDON },
  {
    out: "tls.node",
    sources: [
      "tls.c",
      "tls-context.c",
      "tls-names.c",
      "tls-cache.c",
      "tls-session.c",
      "tls-facts.c",
    ],
    headers: ["tls.h", "tls-openssl.h"],
    flags: ADDON,
  },
];

const force = process.argv.includes("--force");
if (process.argv.includes("--help")) {
  console.log(
    "usage: build.mjs [--force] [--list]   compiles packages/linux/native into native/build",
  );
} else if (process.argv.includes("--list")) {
  for (const { out, sources } of artefacts) console.log(`${out}: ${sources.join(" ")}`);
} else {
  process.exitCode = build();
}

function build() {
  mkdirSync(buildFolder, { recursive: true });
  let failures = 0;
  for (const artefact of artefacts) {
    const sources = artefact.sources.map((name) => join(here, name));
    if (!sources.every((path) => existsSync(path))) continue;
    if (!force && isFresh(artefact, sources)) continue;
    if (!compile(artefact, sources)) failures++;
  }
  return failures === 0 ? 0 : 1;
}

function isFresh({ out, headers: own = [] }, sources) {
  const target = join(buildFolder, out);
  if (!existsSync(target)) return false;
  const made = statSync(target).mtimeMs;
  const inputs = [
    ...sources,
    ...own.map((name) => join(here, name)),
    fileURLToPath(import.meta.url),
  ];
  return inputs.every((path) => statSync(path).mtimeMs <= made);
}

function compile({ out, flags }, sources) {
  const target = join(buildFolder, out);
  const draft = `${target}.${process.pid}`;
  const compiler = process.env.CC ?? "gcc";
  const run = spawnSync(compiler, [...COMMON, ...flags, "-o", draft, ...sources], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (run.error !== undefined) {
    console.error(
      `${out}: cannot run the C compiler '${compiler}' (${run.error.message}); install gcc and the C library's headers, or set CC`,
    );
    return false;
  }
  if (run.status !== 0) {
    rmSync(draft, { force: true });
    console.error(`${out}: ${compiler} failed with status ${run.status}`);
    return false;
  }
  renameSync(draft, target);
  return true;
}
