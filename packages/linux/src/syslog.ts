import process from "node:process";
import { type DatagramSender, openDatagramSender } from "./datagram.ts";

/** Facilities by the names that keepalived's `-S` and HAProxy's `log` take. RFC 3164 §4.1.1; syslog(3). */
export const SYSLOG_FACILITIES = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;
export type SyslogFacility = keyof typeof SYSLOG_FACILITIES;

/** Levels in falling order of weight. */
export const SYSLOG_LEVELS = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
} as const;
export type SyslogLevel = keyof typeof SYSLOG_LEVELS;

export interface SyslogOptions {
  /** `Keepalived_vrrp`: what stands before the process id. */
  readonly ident: string;
  /** daemon. */
  readonly facility?: SyslogFacility;
  /** /dev/log. */
  readonly path?: string;
  /** Our own. */
  readonly pid?: number;
  /** Lines that wait while the receiver is away or full, at most; 1,000. */
  readonly backlogLines?: number;
}

/** Writes to the local syslog without ever waiting for it. */
export interface Syslog {
  /** Lines lost, since the backlog was full. */
  readonly lost: number;
  log(level: SyslogLevel, text: string): void;
  /** Tries once more what waits, and gives up the rest. */
  close(): void;
}

const RETRY_MS = 200;
const DEFAULT_BACKLOG = 1_000;

/** Opens syslog. It never fails: where there is no /dev/log, lines wait and in the end are counted as lost. */
export function openSyslog(options: SyslogOptions): Syslog {
  return new UnixSyslog(options);
}

class UnixSyslog implements Syslog {
  readonly #sender: DatagramSender;
  readonly #facility: number;
  readonly #tag: string;
  readonly #limit: number;
  #waiting: Uint8Array[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;
  #closed = false;

  constructor(options: SyslogOptions) {
    this.#sender = openDatagramSender(options.path ?? "/dev/log");
    this.#facility = SYSLOG_FACILITIES[options.facility ?? "daemon"];
    this.#tag = `${options.ident}[${options.pid ?? process.pid}]`;
    this.#limit = options.backlogLines ?? DEFAULT_BACKLOG;
  }

  get lost(): number {
    return this.#lost;
  }

  log(level: SyslogLevel, text: string): void {
    if (this.#closed) return;
    const priority = this.#facility * 8 + SYSLOG_LEVELS[level];
    // What the C library writes: <priority>Mmm dd hh:mm:ss ident[pid]: text
    const line = `<${priority}>${timestamp(new Date())} ${this.#tag}: ${text}`;
    const bytes = new TextEncoder().encode(line);
    if (this.#waiting.length === 0 && this.#sender.send(bytes)) return;
    if (this.#waiting.length >= this.#limit) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#timer ??= setTimeout(() => this.#retry(), RETRY_MS).unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#flush();
    this.#lost += this.#waiting.length;
    this.#sender.close();
  }

  #retry(): void {
    this.#timer = undefined;
    this.#flush();
    if (this.#waiting.length > 0) {
      this.#timer = setTimeout(() => this.#retry(), RETRY_MS).unref();
    }
  }

  #flush(): void {
    let sent = 0;
    for (const bytes of this.#waiting) {
      if (!this.#sender.send(bytes)) break;
      sent++;
    }
    this.#waiting = this.#waiting.slice(sent);
  }
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** RFC 3164 §4.1.2: local time, the day padded with a blank. */
function timestamp(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = String(now.getDate()).padStart(2, " ");
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
  return `${MONTHS[now.getMonth()]} ${day} ${time}`;
}
