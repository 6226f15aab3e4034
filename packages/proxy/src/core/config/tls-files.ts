import { fail, ok, type Position, type Result } from "@ha/base";
import { loadAuthorities } from "../tls/authorities.ts";
import {
  certificatePaths,
  type ExtraFiles,
  loadCertificate,
  loadChains,
} from "../tls/certificate-files.ts";
import { type CrtListPaths, parseCrtList } from "../tls/crt-list.ts";
import type { ConfigDraft } from "./draft.ts";
import type { ConfigHost } from "./host.ts";
import type { Line } from "./line.ts";
import type { Config } from "./model.ts";
import { join, type Reading, resolvePath } from "./reading.ts";

/** A certificate's path with `crt-base` or `ca-base` in front where it applies. */
export function baseFile(
  reading: Reading,
  base: string | undefined,
  path: string,
  at: Position,
): string {
  if (path.startsWith("/") || path.startsWith("@")) return path;
  return base === undefined ? resolvePath(reading, path, at) : join(base, path);
}

/** What stands beside certificates, as the lines read so far want it. */
export function extraFilesOf(
  host: ConfigHost,
  tls: Pick<Config["global"]["tls"], "loadExtraFiles" | "replaceExtension" | "issuersChainPath">,
): ExtraFiles {
  return {
    kinds: tls.loadExtraFiles,
    replaceExtension: tls.replaceExtension,
    chains: tls.issuersChainPath === undefined ? [] : loadChains(host, tls.issuersChainPath),
  };
}

/** What is wrong with a `crt`, or how many certificates it stands for. `text` is what stood on the line. */
export function checkCertificate(
  reading: Reading,
  text: string,
  path: string,
): Result<number, string> {
  const { host, draft } = reading;
  if (text.startsWith("@")) return ok(1); // A crt-store's: looked up when all sections are read.
  if (isStored(reading, text)) return ok(1);
  const extra = extraFilesOf(host, draft.global.tls);
  const paths = certificatePaths(host, path, extra);
  if (!paths.ok) return paths;
  for (const one of paths.value) {
    const wrong = checkOnce(reading, one, extra);
    if (wrong !== undefined) return fail(wrong);
  }
  return ok(paths.value.length);
}

/** A file that many lines name is read once. */
const checked = new WeakMap<ConfigDraft, Map<string, string | undefined>>();

function checkOnce(
  { host, draft, findings }: Reading,
  path: string,
  extra: ExtraFiles,
): string | undefined {
  const known = checked.get(draft) ?? new Map<string, string | undefined>();
  checked.set(draft, known);
  if (known.has(path)) return known.get(path);
  const loaded = loadCertificate(host, path, extra);
  if (loaded.ok) {
    for (const warning of loaded.value.warnings) {
      findings.warnPlain("config/certificate", undefined, warning);
    }
  }
  known.set(path, loaded.ok ? undefined : loaded.error);
  return loaded.ok ? undefined : loaded.error;
}

/** Whether a `crt-store` section loaded a certificate under this very name. */
function isStored({ draft }: Reading, text: string): boolean {
  for (const store of draft.crtStores.values()) {
    if (store.loads.some(({ crt }) => crt === text)) return true;
  }
  return false;
}

/** What is wrong with a file of authorities or revocations. */
export function checkPemFile(
  { host, findings }: Pick<Reading, "host" | "findings">,
  path: string,
  word: string,
): string | undefined {
  const loaded = loadAuthorities(host, path);
  if (loaded.ok) return undefined;
  // HAProxy names both kinds of files so.
  findings.alertPlain(
    "config/authorities",
    undefined,
    `Couldn't open the ca-file '${path}' (${loaded.error}).`,
  );
  return `'${word}' : unable to load ${path}`;
}

/** What is wrong with a crt-list, or how many certificates it has. HAProxy configuration manual §5.1, crt-list. */
export function checkList(reading: Reading, path: string, line: Line): Result<number, string> {
  const { host, draft, findings } = reading;
  const file = host.readFile(path);
  if (!file.ok) return fail(`'crt-list' : cannot open file '${path}' : ${file.error}`);
  const paths: CrtListPaths = {
    authority: (word, name) => {
      const full = baseFile(reading, draft.global.caBase, name, line.at);
      const wrong = checkPemFile(reading, full, word);
      return wrong === undefined ? ok(full) : fail(wrong);
    },
  };
  const list = parseCrtList(file.value, path, paths);
  if (!list.ok) return fail(`'crt-list' : ${list.error}`);
  for (const warning of list.value.warnings) {
    findings.warn(
      "config/crt-list",
      line.at,
      `'bind ${line.text(1)}' in section 'frontend' : 'crt-list' : ${warning}`,
    );
  }
  let count = 0;
  for (const { certificate } of list.value.lines) {
    const full = baseFile(reading, draft.global.crtBase, certificate, line.at);
    const found = checkCertificate(reading, certificate, full);
    if (!found.ok) return fail(`'crt-list' : ${found.error}`);
    count += found.value;
  }
  return ok(count);
}
