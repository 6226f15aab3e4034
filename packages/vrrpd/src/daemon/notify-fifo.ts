import { execFile } from "node:child_process";
import {
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import type { Log } from "./log.ts";

/** What a line of a FIFO is about. */
export type FifoKind = "INSTANCE" | "GROUP";

/**
 * One event as keepalived writes it: `INSTANCE "VI_1" MASTER 101`. keepalived.conf(5), notify_fifo; a group's priority
 * is 0 (observed: keepalived 2.2.7).
 */
export function fifoLine(kind: FifoKind, name: string, event: string, priority: number): string {
  return `${kind} "${name}" ${event} ${priority}\n`;
}

/**
 * A named pipe that tells every event in order. Opened without waiting, so that no reader can hold us: while nobody
 * reads, or the pipe is full, events are lost, as in keepalived.
 */
export class NotifyFifo {
  readonly path: string;
  readonly #log: Log;
  #descriptor: number | undefined;
  #made = false;
  #lost = 0;

  private constructor(path: string, log: Log) {
    this.path = path;
    this.#log = log;
  }

  /**
   * Makes the pipe unless it is there, and opens it. A path that holds anything but a pipe is refused: a planted file
   * or link must not be written to.
   *
   * @returns undefined after a log line, when the path cannot be used.
   */
  static async open(
    path: string,
    owner: { readonly uid: number; readonly gid: number } | undefined,
    log: Log,
  ): Promise<NotifyFifo | undefined> {
    const fifo = new NotifyFifo(path, log);
    if (kindAt(path) === "nothing") {
      const problem = await makeFifo(path);
      if (problem !== undefined) {
        log.error(`cannot make notify fifo ${path}: ${problem}`);
        return undefined;
      }
      fifo.#made = true;
      if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    } else if (kindAt(path) !== "fifo") {
      log.error(`notify fifo ${path} exists and is no fifo: not used`);
      return undefined;
    }
    try {
      // Reading and writing: opening for writing alone fails while there is no reader.
      fifo.#descriptor = openSync(path, FIFO_FLAGS);
    } catch (error) {
      log.error(`cannot open notify fifo ${path}: ${String(error)}`);
      return undefined;
    }
    if (!fstatSync(fifo.#descriptor).isFIFO()) {
      closeSync(fifo.#descriptor);
      log.error(`notify fifo ${path} was replaced by something else: not used`);
      return undefined;
    }
    return fifo;
  }

  write(line: string): void {
    if (this.#descriptor === undefined) return;
    try {
      // At most PIPE_BUF bytes: whole or not at all.
      writeSync(this.#descriptor, line);
      if (this.#lost > 0) {
        this.#log.notice(`notify fifo ${this.path} takes events again, ${this.#lost} were lost`);
        this.#lost = 0;
      }
    } catch {
      if (this.#lost++ === 0)
        this.#log.warning(`notify fifo ${this.path} is full: events are lost`);
    }
  }

  /** Closes the pipe, and removes it when it was made here. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    if (!this.#made) return;
    try {
      unlinkSync(this.path);
    } catch {
      // Somebody else removed it first.
    }
  }
}

const FIFO_FLAGS = constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW;

function kindAt(path: string): "nothing" | "fifo" | "other" {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return "nothing";
  return stats.isFIFO() ? "fifo" : "other";
}

/** Node has no mkfifo(2). */
function makeFifo(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("mkfifo", ["-m", "0600", "--", path], (error, _out, text) => {
      resolve(error === null ? undefined : text.trim() || error.message);
    });
  });
}
