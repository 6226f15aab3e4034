import { closestWord, type Statement } from "@ha/base";
import type { Block } from "./block.ts";
import { type BuildContext, needInterface } from "./build-context.ts";
import type { BfdInstance, Track, TrackFile, TrackProcess, TrackScript } from "./model.ts";
import type { ProxyProgram } from "./proxy-model.ts";
import { readTrackLine } from "./track-line.ts";
import type { trackTable } from "./tracking-table.ts";

/** Trackers by name that stand above the block that is being read. */
export interface Trackers {
  readonly scripts: Map<string, TrackScript>;
  readonly processes: Map<string, TrackProcess>;
  readonly files: Map<string, TrackFile>;
  readonly bfds: Map<string, BfdInstance & { readonly forVrrp: boolean }>;
  readonly proxies: Map<string, ProxyProgram>;
  /** Every name in the file by kind, to tell "stands below" from "is nowhere". */
  readonly later: ReadonlySet<string>;
}

export interface Tracks {
  track_interface: readonly Track[];
  track_script: readonly Track[];
  track_process: readonly Track[];
  track_file: readonly Track[];
  track_bfd: readonly Track[];
  track_proxy: readonly Track[];
}

/** The `track_*` blocks of an instance or a sync group. */
export function buildTracks(
  block: Block<typeof trackTable>,
  trackers: Trackers,
  context: BuildContext,
): Tracks {
  const fails = context.globals.vrrp_script_cannot_run_fails;
  return {
    track_interface: readInterfaces(block.lines("track_interface"), context),
    track_script: readTracks(block.lines("track_script"), context, {
      kind: "script",
      limit: 253,
      find: (name) => {
        const script = trackers.scripts.get(name);
        // Dropped by its own complaint already, when nobody can run it.
        return script?.cannot_run !== undefined && !fails ? undefined : script;
      },
      broken: (name) => trackers.scripts.get(name)?.user === undefined,
      later: (name) => trackers.later.has(`vrrp_script ${name}`),
      known: trackers.scripts,
    }),
    track_process: readTracks(block.lines("track_process"), context, {
      kind: "process",
      limit: 254,
      find: (name) => trackers.processes.get(name),
      later: (name) => trackers.later.has(`vrrp_track_process ${name}`),
      known: trackers.processes,
    }),
    track_file: readTracks(block.lines("track_file"), context, {
      kind: "file",
      limit: 254,
      find: (name) => trackers.files.get(name),
      later: (name) =>
        trackers.later.has(`track_file ${name}`) || trackers.later.has(`vrrp_track_file ${name}`),
      known: trackers.files,
    }),
    track_bfd: readTracks(block.lines("track_bfd"), context, {
      kind: "bfd",
      limit: 253,
      find: (name) => {
        const bfd = trackers.bfds.get(name);
        return bfd?.forVrrp === true ? bfd : undefined;
      },
      later: (name) => trackers.later.has(`bfd_instance ${name}`),
      known: trackers.bfds,
    }),
    track_proxy: readTracks(block.lines("track_proxy"), context, {
      kind: "proxy",
      limit: 253,
      find: (name) => (trackers.proxies.has(name) ? { weight: 0, reverse: false } : undefined),
      later: (name) => trackers.later.has(`proxy ${name}`),
      known: trackers.proxies,
    }),
  };
}

function readTracks(
  lines: readonly Statement[],
  { diagnostics }: BuildContext,
  kind: {
    readonly kind: string;
    readonly limit: 253 | 254;
    readonly find: (name: string) => { weight: number; reverse: boolean } | undefined;
    readonly broken?: (name: string) => boolean;
    readonly later: (name: string) => boolean;
    readonly known: ReadonlyMap<string, unknown>;
  },
): Track[] {
  const tracks: Track[] = [];
  for (const statement of lines) {
    const [head] = statement.words;
    const tracker = kind.find(head.text);
    if (tracker === undefined || kind.broken?.(head.text) === true) {
      const below = kind.later(head.text);
      diagnostics.error(
        "config/not-found",
        head.at,
        tracker !== undefined
          ? `track ${kind.kind} '${head.text}' was refused above`
          : below
            ? `track ${kind.kind} '${head.text}' is not usable here`
            : `there is no ${kind.kind} '${head.text}' to track`,
        tracker !== undefined
          ? undefined
          : below
            ? "its block must stand above this one and be without errors"
            : didYouMean(head.text, kind.known),
      );
      if (tracker === undefined) continue;
    }
    const line = readTrackLine(statement, { limit: kind.limit, noreverse: true }, diagnostics);
    if (tracks.some(({ name }) => name === line.name)) {
      diagnostics.error(
        "config/duplicate",
        head.at,
        `${kind.kind} '${line.name}' is tracked already; this line is ignored`,
      );
      continue;
    }
    tracks.push({
      name: line.name,
      weight: line.weight ?? tracker.weight,
      reverse: line.reverse ?? (line.weight === undefined ? tracker.reverse : false),
      at: line.at,
    });
  }
  return tracks;
}

function readInterfaces(lines: readonly Statement[], context: BuildContext): Track[] {
  const tracks: Track[] = [];
  for (const statement of lines) {
    const line = readTrackLine(statement, { limit: 253, noreverse: false }, context.diagnostics);
    if (!needInterface(context, line.name, line.at, "track_interface")) continue;
    if (tracks.some(({ name }) => name === line.name)) {
      context.diagnostics.error(
        "config/duplicate",
        line.at,
        `interface ${line.name} is tracked already; this line is ignored`,
      );
      continue;
    }
    tracks.push({
      name: line.name,
      weight: line.weight ?? 0,
      reverse: line.reverse ?? false,
      at: line.at,
    });
  }
  return tracks;
}

function didYouMean(name: string, known: ReadonlyMap<string, unknown>): string | undefined {
  const near = closestWord(name.slice(0, 64), known.keys());
  return near === undefined ? undefined : `did you mean '${near}'?`;
}
