import { join } from "node:path";
import { writeDump } from "./dump-file.ts";
import type { Log } from "./log.ts";
import type { DaemonStatus } from "./status.ts";

export type DumpKind = "data" | "stats" | "json";

/**
 * Writes the dumps that signals ask for, one after the other. Never in the way of the protocol: texts are made in one
 * go, files are written by the thread pool. keepalived(8), SIGNALS
 */
export class Dumps {
  readonly #log: Log;
  readonly #status: () => DaemonStatus;
  #last: Promise<void> = Promise.resolve();

  constructor(log: Log, status: () => DaemonStatus) {
    this.#log = log;
    this.#status = status;
  }

  write(kind: DumpKind): void {
    const status = this.#status();
    const path = dumpPath(kind, status);
    this.#log.info(`Printing VRRP ${WORDS[kind]} for process(${process.pid}) on signal`);
    this.#last = this.#last.then(() => this.#write(kind, path, status));
  }

  /** Resolves when all are written. */
  idle(): Promise<void> {
    return this.#last;
  }

  async #write(kind: DumpKind, path: string, status: DaemonStatus): Promise<void> {
    try {
      await writeDump(path, await textOf(kind, status));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#log.error(`cannot write ${path}: ${why}`);
    }
  }
}

const WORDS = { data: "data", stats: "stats", json: "as json" } as const;

/** Loaded when first asked for: most daemons never dump. */
async function textOf(kind: DumpKind, status: DaemonStatus): Promise<string> {
  if (kind === "json") return (await import("./dump-json.ts")).jsonDump(status);
  const { dataDump, statisticsDump } = await import("./dump-text.ts");
  return kind === "data" ? dataDump(status) : statisticsDump(status);
}

/** keepalived.conf(5), state_dump_file and its like; `data_use_instance` adds the instance's name. */
export function dumpPath(kind: DumpKind, { config: { globals } }: DaemonStatus): string {
  const configured = {
    data: globals.state_dump_file,
    stats: globals.stats_dump_file,
    json: globals.json_dump_file,
  }[kind];
  const name = [
    "keepalived",
    ...(globals.data_use_instance && globals.instance !== undefined ? [globals.instance] : []),
  ].join("_");
  const fallback = join("/tmp", `${name}.${kind}`);
  if (configured === undefined) return fallback;
  return configured.startsWith("/") ? configured : join("/tmp", configured);
}
