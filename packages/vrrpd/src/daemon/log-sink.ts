import { closeSync, constants, openSync, write, writeSync } from "node:fs";
import { type LogEvent, severityOf } from "./log.ts";

/** Where log lines go. None of its methods blocks or throws. */
export interface LogSink {
  write(event: LogEvent): void;
  /** Opens the file again, where there is one. */
  reopen(): void;
  /** Resolves when everything handed over has been written. */
  flush(): Promise<void>;
  /** Blocking, for the end of a crash. */
  flushSync(): void;
}

/** Turns an event into one line without its newline. */
export type LogFormat = (event: LogEvent) => string;

/**
 * Most bytes that wait for one sink. A reader that stops (a full pipe, a dead disk) costs lines, never a delay of the
 * protocol and never memory.
 */
export const LOG_BUFFER_BYTES = 1_000_000;

/**
 * Lines to a descriptor by the thread pool, one write at a time: a descriptor that blocks then blocks a pool thread
 * and not the loop.
 */
export class DescriptorSink implements LogSink {
  readonly #format: LogFormat;
  readonly #path: string | undefined;
  #descriptor: number;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #busy = false;
  #dropped = 0;
  #drained: (() => void)[] = [];

  constructor(
    target: { readonly descriptor: number } | { readonly path: string },
    format: LogFormat,
  ) {
    this.#format = format;
    this.#path = "path" in target ? target.path : undefined;
    this.#descriptor = "path" in target ? openLogFile(target.path) : target.descriptor;
  }

  write(event: LogEvent): void {
    const line = `${this.#format(event)}\n`;
    if (this.#waitingBytes + line.length > LOG_BUFFER_BYTES) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#pump();
  }

  reopen(): void {
    if (this.#path === undefined) return;
    const old = this.#descriptor;
    try {
      this.#descriptor = openLogFile(this.#path);
    } catch {
      return; // The old file goes on being written: better than no log.
    }
    // A write in flight still uses the old one.
    if (this.#busy) this.#drained.push(() => closeSync(old));
    else closeSync(old);
  }

  flush(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  flushSync(): void {
    const text = this.#take();
    if (text === "") return;
    try {
      writeSync(this.#descriptor, text);
    } catch {
      // There is nowhere left to complain.
    }
  }

  #pump(): void {
    if (this.#busy) return;
    const text = this.#take();
    if (text === "") {
      for (const resolve of this.#drained.splice(0)) resolve();
      return;
    }
    this.#busy = true;
    this.#writeAll(Buffer.from(text), 0);
  }

  #writeAll(bytes: Buffer, offset: number): void {
    write(this.#descriptor, bytes, offset, bytes.length - offset, null, (error, written) => {
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.#writeAll(bytes, offset), 20);
        return;
      }
      const next = offset + written;
      if (error === null && next < bytes.length) {
        this.#writeAll(bytes, next);
        return;
      }
      this.#busy = false;
      this.#pump();
    });
  }

  #take(): string {
    const text = this.#waiting.join("");
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#dropped === 0 || text === "") return text;
    const lost = `${this.#dropped} log lines were lost: the reader was too slow\n`;
    this.#dropped = 0;
    return text + lost;
  }
}

/** How a syslog datagram leaves the process; `false` when it could not. Must not block. */
export interface DatagramPort {
  send(bytes: Uint8Array): boolean;
  close(): void;
}

/**
 * Datagrams to `/dev/log` in the form of syslog(3): `<30>Nov 24 21:34:28 Keepalived_vrrp[812]: text`. A logger that is
 * absent or slow costs lines; it is tried again at most once a second.
 */
export class SyslogSink implements LogSink {
  readonly #open: () => DatagramPort;
  readonly #facility: number;
  readonly #ident: string;
  readonly #format: LogFormat;
  #port: DatagramPort | undefined;
  #retryAt = 0;
  #dropped = 0;

  /**
   * @param options.open Connects to the socket; throws when nobody listens.
   * @param options.facility 0–23 (RFC 5424 §6.2.1); keepalived's default is 3, daemon.
   */
  constructor(options: {
    readonly open: () => DatagramPort;
    readonly facility: number;
    readonly ident: string;
    readonly format: LogFormat;
  }) {
    this.#open = options.open;
    this.#facility = options.facility;
    this.#ident = options.ident;
    this.#format = options.format;
  }

  write(event: LogEvent): void {
    const port = this.#connected(event.time);
    if (port === undefined) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      const message = `${this.#dropped} log lines were lost: the logger did not take them`;
      if (!port.send(this.#datagram({ ...event, level: "warning", message }))) {
        this.#fail(event.time);
        return;
      }
      this.#dropped = 0;
    }
    if (!port.send(this.#datagram(event))) this.#fail(event.time);
  }

  reopen(): void {
    this.#port?.close();
    this.#port = undefined;
    this.#retryAt = 0;
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  flushSync(): void {}

  #connected(now: number): DatagramPort | undefined {
    if (this.#port !== undefined || now < this.#retryAt) return this.#port;
    try {
      this.#port = this.#open();
    } catch {
      this.#retryAt = now + RETRY_MS;
    }
    return this.#port;
  }

  #fail(now: number): void {
    this.#dropped++;
    this.#port?.close();
    this.#port = undefined;
    // At once the first time: a logger that was restarted listens at the same path again.
    this.#retryAt = this.#dropped === 1 ? now : now + RETRY_MS;
  }

  #datagram(event: LogEvent): Uint8Array {
    const priority = this.#facility * 8 + severityOf(event.level);
    const stamp = syslogStamp(event.time);
    return Buffer.from(
      `<${priority}>${stamp} ${this.#ident}[${process.pid}]: ${this.#format(event)}`,
    );
  }
}

const RETRY_MS = 1_000;

/** The message alone. Control characters cannot forge a second line. */
export const plainText: LogFormat = ({ message }) => oneLine(message);

/** `Tue Nov 24 21:34:28 2026: text`, as `keepalived -l` writes. observed: keepalived 2.2.7 */
export const consoleText: LogFormat = ({ time, message }) => {
  const date = new Date(time);
  const day = String(date.getDate()).padStart(2, " ");
  return `${DAYS[date.getDay()]} ${MONTHS[date.getMonth()]} ${day} ${clockTime(date)} ${date.getFullYear()}: ${oneLine(message)}`;
};

/** The time of RFC 3164 §4.1.2. */
function syslogStamp(time: number): string {
  const date = new Date(time);
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2, " ")} ${clockTime(date)}`;
}

function clockTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function oneLine(message: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach the log.
  return message.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, " ");
}

/** Append only, never through a planted link, and readable by root alone as addresses and names stand in it. */
const O_LOG =
  constants.O_WRONLY |
  constants.O_APPEND |
  constants.O_CREAT |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK;

function openLogFile(path: string): number {
  return openSync(path, O_LOG, 0o600);
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
