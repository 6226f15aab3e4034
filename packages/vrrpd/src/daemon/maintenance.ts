import { mkdirSync, readFileSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, seconds, type Timer } from "@ha/base";
import { isObject } from "./control-protocol.ts";
import { writeDump } from "./dump-file.ts";
import type { Log } from "./log.ts";

export interface MaintenanceRecord {
  /** Milliseconds of wall-clock time. */
  readonly since: number;
  /** When it ends by itself; undefined: when somebody ends it. */
  readonly until?: number;
}

/**
 * Whether this host is out of service by its operator's will: in FAULT everywhere, until a moment or until it is told
 * otherwise. The record is on disk before it counts, so that it survives restarts of the daemon and of the host.
 */
export class Maintenance {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onEnd: () => void;
  #record: MaintenanceRecord | undefined;
  #timer: Timer | undefined;

  /** @param onEnd Its time is over. */
  constructor(options: {
    readonly path: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly onEnd: () => void;
  }) {
    this.#path = options.path;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onEnd = options.onEnd;
    const record = readRecord(options.path);
    if (record === undefined) return;
    if (isOver(record)) void this.#remove();
    else {
      this.#record = record;
      const end =
        record.until === undefined ? "" : ` until ${new Date(record.until).toISOString()}`;
      options.log.notice(`this host is in maintenance${end}: vrrpctl maintenance off ends it`);
      this.#watch();
    }
  }

  get record(): MaintenanceRecord | undefined {
    return this.#record;
  }

  /** @returns why it will not survive a restart, if it will not. */
  async begin(durationMs: number): Promise<string | undefined> {
    const since = Date.now();
    const record = { since, ...(durationMs === 0 ? {} : { until: since + durationMs }) };
    let problem: string | undefined;
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o755 });
      await writeDump(this.#path, `${JSON.stringify(record)}\n`);
    } catch (error) {
      problem = `will not survive a restart: ${error instanceof Error ? error.message : String(error)}`;
      this.#log.warning(`maintenance ${problem}`);
    }
    this.#record = record;
    this.#watch();
    return problem;
  }

  async end(): Promise<void> {
    this.#record = undefined;
    this.close();
    await this.#remove();
  }

  close(): void {
    this.#timer?.cancel();
  }

  /** By the wall clock, which outlives us; looked at often, since it may be set. */
  #watch(): void {
    this.#timer?.cancel();
    const record = this.#record;
    if (record?.until === undefined) return;
    this.#timer = this.#clock.after(seconds(1), () => {
      if (!isOver(record)) {
        this.#watch();
        return;
      }
      void this.end();
      this.#log.notice("the time of the maintenance is over");
      this.#onEnd();
    });
  }

  async #remove(): Promise<void> {
    await unlink(this.#path).catch(() => {
      // It was never written.
    });
  }
}

function isOver({ until }: MaintenanceRecord): boolean {
  return until !== undefined && Date.now() >= until;
}

function readRecord(path: string): MaintenanceRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (!isObject(value)) return undefined;
    const { since, until } = value;
    if (typeof since !== "number") return undefined;
    return { since, ...(typeof until === "number" ? { until } : {}) };
  } catch {
    return undefined;
  }
}
