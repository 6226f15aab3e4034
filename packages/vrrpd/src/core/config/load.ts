import { type Diagnostic, Diagnostics, type Statement } from "@ha/base";
import { buildConfig } from "./build.ts";
import { expandConfig } from "./expand.ts";
import { topTable } from "./group-tables.ts";
import type { ConfigHost } from "./host.ts";
import { everyIncludeCheck } from "./include.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import type { Config } from "./model.ts";
import { parsePieces } from "./parser.ts";
import { refusesStart, testExit } from "./verdict.ts";

export interface LoadOptions {
  readonly host: ConfigHost;
  /** For `@ID` lines: `-i`, else the first part of the host name. */
  readonly configId?: string;
  /** `-e`: every include check is on from the start. */
  readonly allIncludeChecks?: boolean;
  readonly limits?: Limits;
}

export interface LoadedConfig {
  /** What follows from the file after repairs, whatever was wrong: use it only when `refusesStart` is false. */
  readonly config: Config;
  readonly tree: readonly Statement[];
  /** In the order of the file, at most `limits.findings` of them. */
  readonly diagnostics: readonly Diagnostic[];
  /** Of `vrrpd -t`. */
  readonly testExit: number;
  /** A start on this exits with 2, and a reload is refused. */
  readonly refusesStart: boolean;
  /** Some statement was dropped: with vrrp_reload_keep_on_error a reload is refused as well. */
  readonly hasErrors: boolean;
}

/**
 * Reads a configuration with all it includes. Never throws because of what is in it. `pattern` is a file name or, as
 * for keepalived's `-f`, a pattern of glob(7). Undefined when no file is there (exit 6 of the daemon).
 */
export function loadConfig(pattern: string, options: LoadOptions): LoadedConfig | undefined {
  const { host } = options;
  const limits = options.limits ?? defaultLimits;
  const diagnostics = new Diagnostics();
  const files = /[*?[{]/.test(pattern) ? host.glob(pattern, "").files : [pattern];
  const context = {
    host,
    configId: options.configId ?? host.hostName.replace(/\..*$/s, ""),
    includeChecks: new Set(options.allIncludeChecks === true ? everyIncludeCheck : []),
    limits,
    diagnostics,
  };
  const pieces = expandConfig(files, context);
  if (pieces === undefined) return undefined;
  const tree = parsePieces(pieces, topTable, { diagnostics, blockDepth: limits.blockDepth });
  return finishLoad(tree, { host, diagnostics, limits });
}

/** The stages after the tree, which the YAML front end shares. */
export function finishLoad(
  tree: readonly Statement[],
  context: {
    readonly host: ConfigHost;
    readonly diagnostics: Diagnostics;
    readonly limits: Limits;
  },
): LoadedConfig {
  const { diagnostics } = context;
  const config = buildConfig(tree, context);
  const all = inFileOrder(diagnostics.list);
  const kept = all.slice(0, context.limits.findings);
  if (all.length > kept.length) {
    kept.push({
      severity: "note",
      code: "config/limit",
      message: `${all.length - kept.length} more findings are not shown`,
    });
  }
  return {
    config,
    tree,
    diagnostics: kept,
    testExit: testExit(all),
    refusesStart: refusesStart(all),
    hasErrors: diagnostics.hasErrors,
  };
}

/** Files keep the order in which they were first spoken of; findings without a place come last. */
function inFileOrder(list: readonly Diagnostic[]): Diagnostic[] {
  const files = new Map<string, number>();
  for (const { at } of list)
    if (at !== undefined && !files.has(at.file)) files.set(at.file, files.size);
  const key = ({ at }: Diagnostic): readonly [number, number, number] =>
    at === undefined ? [files.size, 0, 0] : [files.get(at.file) ?? 0, at.line, at.column];
  return [...list].sort((a, b) => {
    const [fileA, lineA, columnA] = key(a);
    const [fileB, lineB, columnB] = key(b);
    return fileA - fileB || lineA - lineB || columnA - columnB;
  });
}
