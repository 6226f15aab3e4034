import { seconds } from "@ha/base";
import type { Mutable, ServerDraft } from "./draft.ts";
import type { KeywordEntry } from "./keyword.ts";
import type { Line } from "./line.ts";
import { readErrorFile } from "./proxy-errors.ts";
import type { Reading } from "./reading.ts";
import {
  byTable,
  entry,
  type SectionKeyword,
  type SectionKind,
  sectionName,
  unknownIn,
} from "./section.ts";
import type {
  CacheSection,
  CrtStore,
  ErrorPage,
  LogFormatName,
  RingSection,
} from "./section-model.ts";
import { emptyServerWords, readServer } from "./server.ts";
import { baseFile, checkCertificate } from "./tls-files.ts";
import { parseSize, parseTime, parseWhole } from "./values.ts";

const cacheKeywords: readonly SectionKeyword<Mutable<CacheSection>>[] = [
  entry(
    "total-max-size",
    "total-max-size <megabytes>",
    "Memory of the cache, 1 to 4095 MB.",
    (line, cache) => {
      const size = parseWhole(line.text(1));
      if (size === undefined || size < 1)
        line.alertTight(`total-max-size wrong value '${line.text(1)}'`);
      else if (size > 4095)
        line.alertTight(`"total-max-size" (${size}) must not be greater than 4095`);
      else if (line.atMost(1)) cache.totalMaxSizeMegabytes = size;
    },
  ),
  entry(
    "max-object-size",
    "max-object-size <bytes>",
    "Longest object; half the cache at most.",
    (line, cache) => {
      const size = parseWhole(line.text(1));
      if (size === undefined || size < 0)
        line.alertTight(`max-object-size wrong value '${line.text(1)}'`);
      else if (line.atMost(1)) cache.maxObjectSizeBytes = size;
    },
  ),
  entry("max-age", "max-age <seconds>", "Longest time an object is fresh.", (line, cache) => {
    if (line.text(1) === "") line.warnTight("'max-age' expects an age parameter in seconds.");
    else if (line.atMost(1)) cache.maxAge = seconds(parseWhole(line.text(1)) ?? 0);
  }),
  entry("process-vary", "process-vary { on | off }", "Keeps variants by Vary.", (line, cache) => {
    const word = line.text(1);
    if (word === "on" || word === "off") cache.processVary = word === "on";
    else
      line.alertTight(`'process-vary' expects 'on' or 'off' (enable or disable vary processing).`);
  }),
  entry(
    "max-secondary-entries",
    "max-secondary-entries <number>",
    "Variants of one object.",
    (line, cache) => {
      const count = parseWhole(line.text(1)) ?? 0;
      if (count < 1) line.alertTight("'max-secondary-entries' expects a positive number.");
      else cache.maxSecondaryEntries = count;
    },
  ),
];

/** HAProxy configuration manual §6.2. */
export const cacheSection: SectionKind = {
  name: "cache",
  doc: "A cache for http-request cache-use.",
  source: "§6.2",
  status: "later",
  keywords: cacheKeywords,
  open: (line, reading) => {
    const name = sectionName(line, "'cache' expects a <name> argument");
    if (name === undefined) return () => {};
    if (reading.draft.caches.has(name)) {
      line.alertTight(`Duplicate cache name '${name}'.`);
      return () => {};
    }
    const cache: Mutable<CacheSection> = {
      at: line.at,
      name,
      totalMaxSizeMegabytes: 0,
      maxObjectSizeBytes: 0,
      maxAge: seconds(60),
      processVary: false,
      maxSecondaryEntries: 10,
    };
    reading.draft.caches.set(name, cache);
    return byTable(cacheKeywords, cache, reading, unknownIn("cache"));
  },
};

interface RingDraft extends Mutable<RingSection> {
  servers: ServerDraft[];
  defaults: ReturnType<typeof emptyServerWords>;
}

const FORMATS: readonly LogFormatName[] = [
  "rfc3164",
  "rfc5424",
  "local",
  "priority",
  "short",
  "timed",
  "iso",
  "raw",
];

/** Bytes. Observed: haproxy 2.6.12. */
const SMALLEST_RING = 16_384;

const ringKeywords: readonly SectionKeyword<RingDraft>[] = [
  entry("description", "description <text>", "What it is for.", (line, ring) => {
    if (line.text(1) === "") line.alert("missing ring description text.");
    else ring.description = line.text(1);
  }),
  entry("format", "format <format>", "How lines are kept.", (line, ring) => {
    const format = FORMATS.find((name) => name === line.text(1));
    if (format === undefined) line.alert(`unknown format '${line.text(1)}'.`);
    else ring.format = format;
  }),
  entry("maxlen", "maxlen <bytes>", "Longest line.", (line, ring) => {
    const size = parseWhole(line.text(1)) ?? 0;
    if (size < 1) line.alert(`invalid size '${line.text(1)}' for new sink buffer.`);
    else ring.maxlen = size;
  }),
  entry("size", "size <bytes>", "Memory of the ring.", (line, ring) => {
    const size = parseSize(line.text(1));
    if (size.kind !== "ok" || size.value < 1)
      line.alert(`invalid size '${line.text(1)}' for new sink buffer.`);
    else if (size.value < SMALLEST_RING)
      line.warn(
        `ignoring new size '${line.text(1)}' that is smaller than current size '${SMALLEST_RING}' for ring '${ring.name}'.`,
      );
    else ring.sizeBytes = size.value;
  }),
  entry("backing-file", "backing-file <path>", "Kept in that file.", (line, ring, reading) => {
    if (line.text(1) === "") line.alert("'backing-file' expects a file name.");
    else {
      ring.backingFile = line.text(1);
      reading.draft.later.push({ at: line.at, feature: "'backing-file' of a ring" });
    }
  }),
  entry("timeout", "timeout { connect | server } <time>", "Towards its servers.", (line, ring) => {
    const what = line.text(1);
    const time = parseTime(line.text(2));
    if (what !== "connect" && what !== "server")
      line.alert(`'timeout' supports 'connect' and 'server' (got '${what}').`);
    else if (time.kind !== "ok")
      line.alert(
        `unexpected character '${time.kind === "bad" ? time.character : ""}' in 'timeout ${what}'.`,
      );
    else if (what === "connect") ring.timeoutConnect = time.value;
    else ring.timeoutServer = time.value;
  }),
  entry(
    "server",
    "server <name> <address> [<word>…]",
    "Lines go there too.",
    (line, ring, reading) => readServer(line, reading, ring),
  ),
];

/** HAProxy configuration manual §3.9. */
export const ringSection: SectionKind = {
  name: "ring",
  doc: "A buffer of log lines, read by `show events` or sent to servers.",
  source: "§3.9",
  status: "works",
  keywords: ringKeywords,
  open: (line, reading) => {
    const name = sectionName(line, "missing ring name.");
    if (name === undefined) return () => {};
    if (reading.draft.rings.has(name)) {
      line.alert(`sink named '${name}' already exists.`);
      return () => {};
    }
    const ring: RingDraft = {
      at: line.at,
      name,
      description: undefined,
      format: "raw",
      maxlen: 1024,
      sizeBytes: SMALLEST_RING,
      backingFile: undefined,
      servers: [],
      timeoutConnect: undefined,
      timeoutServer: undefined,
      defaults: emptyServerWords(reading.draft.global),
    };
    reading.draft.rings.set(name, ring);
    return byTable(ringKeywords, ring, reading, (l) => l.alert(`unknown statement '${l.name}'.`));
  },
};

interface HttpErrorsDraft {
  readonly at: Line["at"];
  readonly name: string;
  readonly pages: Map<number, ErrorPage>;
}

const httpErrorsKeywords: readonly SectionKeyword<HttpErrorsDraft>[] = [
  entry(
    "errorfile",
    "errorfile <status> <file>",
    "A file with a whole answer.",
    (line, section, reading) => {
      const page = readErrorFile(line, reading, "errorfile:", "");
      if (page !== undefined) section.pages.set(page.status, page.page);
    },
  ),
];

/** HAProxy configuration manual §3.8. */
export const httpErrorsSection: SectionKind = {
  name: "http-errors",
  doc: "Error pages shared by proxies.",
  source: "§3.8",
  status: "works",
  keywords: httpErrorsKeywords,
  open: (line, reading) => {
    const name = sectionName(line, "missing name for http-errors section.");
    if (name === undefined) return () => {};
    const before = reading.draft.httpErrors.get(name);
    if (before !== undefined) {
      line.alertTight(
        `http-errors section '${name}' already exists (declared at ${before.at.file}:${before.at.line}).`,
      );
      return () => {};
    }
    const section: HttpErrorsDraft = { at: line.at, name, pages: new Map() };
    reading.draft.httpErrors.set(name, section);
    return byTable(httpErrorsKeywords, section, reading, unknownIn("http-errors"));
  },
};

const LOADS = [
  "crt",
  "alias",
  "key",
  "ocsp",
  "issuer",
  "sctl",
  "ocsp-update",
  "domains",
  "acme",
  "jwt",
  "generate-dummy",
] as const;

const crtStoreKeywords: readonly SectionKeyword<Mutable<CrtStore>>[] = [
  entry("crt-base", "crt-base <folder>", "Folder of crt.", (line, store) => {
    if (line.text(1) === "") line.alert("'crt-base' expects a directory path as an argument.");
    else store.crtBase = line.text(1);
  }),
  entry("key-base", "key-base <folder>", "Folder of key.", (line, store) => {
    if (line.text(1) === "") line.alert("'key-base' expects a directory path as an argument.");
    else store.keyBase = line.text(1);
  }),
  entry(
    "load",
    "load crt <file> [alias <name>] [key <file>] [ocsp <file>] …",
    "A certificate.",
    (line, store, reading) => {
      const words = new Map<string, string>();
      for (let i = 1; line.text(i) !== ""; i += 2) {
        const word = LOADS.find((name) => name === line.text(i));
        if (word === undefined) {
          line.alert(
            `unknown keyword '${line.text(i)}' in 'load' of the 'crt-store' section.`,
            undefined,
            "config/unknown-keyword",
          );
          return;
        }
        words.set(word, line.text(i + 1));
      }
      const crt = words.get("crt");
      if (crt === undefined || crt === "") {
        line.alert("'load' requires a 'crt' <file>.");
        return;
      }
      const key = words.get("key");
      if (key === undefined) {
        const found = checkCertificate(
          reading,
          crt,
          baseFile(reading, store.crtBase ?? reading.draft.global.crtBase, crt, line.at),
        );
        if (!found.ok) line.alert(found.error);
      }
      store.loads.push({
        at: line.at,
        crt,
        alias: words.get("alias"),
        key,
        ocsp: words.get("ocsp"),
        issuer: words.get("issuer"),
        sctl: words.get("sctl"),
        ocspUpdate: words.get("ocsp-update") === "on",
      });
    },
  ),
];

/** Newest HAProxy configuration manual, crt-store. */
export const crtStoreSection: SectionKind = {
  name: "crt-store",
  doc: "Certificates by name.",
  source: "newest §12.7",
  status: "works",
  keywords: crtStoreKeywords,
  open: (line, reading) => {
    const name = line.text(1);
    if (!line.atMost(1)) return () => {};
    const before = reading.draft.crtStores.get(name);
    if (before !== undefined) {
      line.alert(
        `'crt-store' ${name} already exists (declared at ${before.at.file}:${before.at.line}).`,
      );
    }
    const store: Mutable<CrtStore> = {
      at: line.at,
      name,
      crtBase: undefined,
      keyBase: undefined,
      loads: [],
    };
    reading.draft.crtStores.set(name, store);
    return byTable(crtStoreKeywords, store, reading, unknownIn("crt-store"));
  },
};

/** Sections whose lines are only looked at by name: known, and refused at start (or here) as a whole. */
function whole(
  name: string,
  doc: string,
  status: KeywordEntry["status"],
  known: readonly string[],
  message?: (line: Line) => string,
): SectionKind {
  return {
    name,
    doc,
    source: "§3",
    status,
    keywords: [],
    open: (line, reading: Reading) => {
      if (message !== undefined) {
        line.alert(
          message(line),
          undefined,
          status === "removed" ? "config/removed" : "config/not-served",
        );
        return () => {};
      }
      reading.draft.later.push({ at: line.at, feature: `the section '${name}'` });
      return (l) => {
        if (!known.includes(l.name)) {
          l.alert(
            `unknown keyword '${l.name}' in ${name} section.`,
            undefined,
            "config/unknown-keyword",
          );
        }
      };
    },
  };
}

export const wholeSections: readonly SectionKind[] = [
  whole("log-forward", "Receives and passes on log lines.", "later", [
    "bind",
    "dgram-bind",
    "log",
    "maxconn",
    "backlog",
    "timeout",
    "option",
    "log-format",
    "assume-rfc6587-ntf",
  ]),
  whole("log-profile", "Formats of log lines by step.", "later", ["log-tag", "on"]),
  whole("traces", "Traces of HAProxy's own code.", "later", ["trace", "default"]),
  whole("healthcheck", "A check by name.", "later", [
    "type",
    "http-check",
    "tcp-check",
    "option",
    "timeout",
  ]),
  whole(
    "acme",
    "Certificates by ACME.",
    "not served",
    [],
    () => "the section 'acme' is not supported: ACME is not served by lbproxy.",
  ),
  whole(
    "fcgi-app",
    "FastCGI applications.",
    "not served",
    [],
    () => "the section 'fcgi-app' is not supported: FastCGI is not served by lbproxy.",
  ),
  whole(
    "program",
    "Programs beside the workers.",
    "removed",
    [],
    () =>
      "the 'program' section is not supported anymore since HAProxy 3.3. Start programs by your service manager instead.",
  ),
];
