import { readFileSync } from "node:fs";
import { writeDump } from "../dump-file.ts";
import type { Log } from "../log.ts";

/** A proxy that runs, as the next vrrpd needs to know it. */
export interface RecordedProxy {
  readonly name: string;
  readonly pid: number;
  /** Clock ticks since boot, from `/proc/PID/stat`: with the pid it names one process for all time. */
  readonly startTime: string;
  readonly ready: boolean;
  /** What it was started with: another one must be started anew. */
  readonly command: string;
  /** Digest of its configuration files. */
  readonly digest: string;
}

interface RecordFile {
  readonly bootId: string;
  readonly proxies: readonly RecordedProxy[];
}

/** The proxies that run, in a file in `/run`: `/run/vrrpd/proxies.json`. It outlives the daemon, and not the boot. */
export class ProxyRecord {
  readonly #path: string;
  readonly #bootId: string;
  readonly #log: Log;
  readonly #proxies = new Map<string, RecordedProxy>();
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, bootId: string, log: Log) {
    this.#path = path;
    this.#bootId = bootId;
    this.#log = log;
    for (const proxy of readProxyRecord(path, bootId)) this.#proxies.set(proxy.name, proxy);
  }

  get all(): readonly RecordedProxy[] {
    return [...this.#proxies.values()];
  }

  get(name: string): RecordedProxy | undefined {
    return this.#proxies.get(name);
  }

  set(proxy: RecordedProxy): void {
    this.#proxies.set(proxy.name, proxy);
    this.#write();
  }

  delete(name: string): void {
    if (this.#proxies.delete(name)) this.#write();
  }

  /** When all is on disk. */
  idle(): Promise<void> {
    return this.#writing;
  }

  #write(): void {
    const file: RecordFile = { bootId: this.#bootId, proxies: this.all };
    const text = `${JSON.stringify(file)}\n`;
    this.#writing = this.#writing.then(async () => {
      try {
        await writeDump(this.#path, text);
      } catch (error) {
        this.#log.warning(`the next vrrpd will not know of the proxies: ${String(error)}`);
      }
    });
  }
}

/** Those that live still. Of another boot there are none. */
export function readProxyRecord(path: string, bootId: string): readonly RecordedProxy[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return [];
  }
  if (!isObject(value) || value["bootId"] !== bootId || !Array.isArray(value["proxies"])) return [];
  return value["proxies"].filter(isRecordedProxy).filter(lives);
}

/** Whether the very process that was recorded lives. */
export function lives({ pid, startTime }: Pick<RecordedProxy, "pid" | "startTime">): boolean {
  return processStartTime(pid) === startTime;
}

/** Undefined for a process that has ended, a zombie included. proc(5), /proc/pid/stat */
export function processStartTime(pid: number): string | undefined {
  try {
    // The name in parentheses may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\)/s, "")
      .trim()
      .split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[START_TIME_FIELD];
  } catch {
    return undefined;
  }
}

/** Field 22, counted from the third. */
const START_TIME_FIELD = 19;

function isRecordedProxy(value: unknown): value is RecordedProxy {
  return (
    isObject(value) &&
    typeof value["name"] === "string" &&
    Number.isSafeInteger(value["pid"]) &&
    Number(value["pid"]) > 1 &&
    typeof value["startTime"] === "string" &&
    typeof value["ready"] === "boolean" &&
    typeof value["command"] === "string" &&
    typeof value["digest"] === "string"
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
