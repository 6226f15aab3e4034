import { seconds } from "@ha/base";
import type { GlobalDraft } from "./draft.ts";
import { globalEnvironmentKeywords } from "./global-environment.ts";
import type { GlobalKeyword } from "./global-keyword.ts";
import { globalKeywords } from "./global-keywords.ts";
import { globalStatsKeywords, readGlobalStats } from "./global-stats.ts";
import { globalTlsKeywords } from "./global-tls.ts";
import { indexByName, warnIgnored } from "./keyword.ts";
import { didYouMean, type Line } from "./line.ts";
import type { Reading } from "./reading.ts";
import type { TlsVersion } from "./tls-model.ts";
import { readTuning, tuningKeywords } from "./tuning.ts";

/** All keywords of `global` but `tune.*`. */
export const allGlobalKeywords: readonly GlobalKeyword[] = [
  ...globalKeywords,
  ...globalEnvironmentKeywords,
  ...globalTlsKeywords,
];

const byName = indexByName(allGlobalKeywords);

/** What `no` may stand before, as HAProxy says it. */
const NEGATABLE = new Set([
  "log",
  "busy-polling",
  "set-dumpable",
  "strict-limits",
  "insecure-fork-wanted",
  "numa-cpu-mapping",
]);

/** Reads one line of a `global` section. `negated`: `no` stood before it. */
export function readGlobalLine(line: Line, reading: Reading, negated: boolean): void {
  if (negated && !NEGATABLE.has(line.name)) {
    line.alertTight(NEGATION_REFUSED);
    if (byName.has(line.name)) return;
  }
  if (line.name === "stats") {
    readGlobalStats(line, reading);
    return;
  }
  const keyword = byName.get(line.name);
  if (keyword !== undefined) {
    if (!negated) warnIgnored(keyword, line);
    keyword.read(line, reading, negated);
    return;
  }
  if (readTuning(line, reading)) return;
  line.alert(
    `unknown keyword '${line.name}' in 'global' section${didYouMean(line.name, globalNames())}`,
    undefined,
    "config/unknown-keyword",
  );
}

export const NEGATION_REFUSED =
  "negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, insecure-fork-wanted and numa-cpu-mapping.";

function* globalNames(): Iterable<string> {
  for (const { name, status } of allGlobalKeywords) if (status !== "removed") yield name;
  for (const { name } of tuningKeywords) yield name;
  yield "stats";
}

/** For the reference page. */
export const globalReference = [...allGlobalKeywords, ...globalStatsKeywords, ...tuningKeywords];

export function emptyGlobal(environment: ReadonlyMap<string, string>): GlobalDraft {
  const tls = {
    ciphers: undefined,
    ciphersuites: undefined,
    curves: undefined,
    sigalgs: undefined,
    clientSigalgs: undefined,
    minVersion: undefined,
    maxVersion: undefined,
    refusedVersions: new Set<TlsVersion>(),
    tickets: true,
    preferClientCiphers: false,
    strictSni: false,
  };
  return {
    daemon: false,
    masterWorker: false,
    user: undefined,
    group: undefined,
    uid: undefined,
    gid: undefined,
    chroot: undefined,
    pidfile: undefined,
    maxconn: undefined,
    ulimitN: undefined,
    fdHardLimit: undefined,
    nbthread: undefined,
    maxconnrate: 0,
    maxsessrate: 0,
    maxsslconn: 0,
    maxsslrate: 0,
    maxpipes: 0,
    maxcomprate: 0,
    maxzlibmem: 0,
    node: undefined,
    description: undefined,
    localpeer: undefined,
    logTargets: [],
    logTag: undefined,
    logSendHostname: undefined,
    stats: { sockets: [], timeout: seconds(10), maxconn: 10, file: undefined },
    serverStateBase: undefined,
    serverStateFile: undefined,
    hardStopAfter: undefined,
    grace: undefined,
    spreadChecks: 0,
    maxSpreadChecks: undefined,
    externalCheck: false,
    insecureForkWanted: false,
    threadHardLimit: undefined,
    maxReloads: undefined,
    rejectPrivilegedPorts: false,
    quiet: false,
    zeroWarning: false,
    strictLimits: true,
    caBase: undefined,
    crtBase: undefined,
    keyBase: undefined,
    tls: {
      bind: { ...tls },
      server: { ...tls, verify: "required" },
      dhParamFile: undefined,
      loadExtraFiles: new Set(["all"]),
      replaceExtension: false,
      issuersChainPath: undefined,
      skipSelfIssuedCa: false,
    },
    unixBind: { prefix: "", mode: undefined, uid: undefined, gid: undefined },
    tune: new Map(),
    headerCase: new Map(),
    processVariables: [],
    noReusePort: false,
    environment: new Map(environment),
    defaultPath: { mode: "current", origin: undefined },
    busyPolling: false,
    httpErrCodes: undefined,
    httpFailCodes: undefined,
  };
}
