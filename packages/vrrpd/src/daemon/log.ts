import type { LogSink } from "./log-sink.ts";

/** Syslog severities by their names (RFC 5424 §6.2.1); the index is the number on the wire. */
const levels = ["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"] as const;

export type LogLevel = (typeof levels)[number];

/** The number of a severity: 0 is the worst, 7 the least. */
export function severityOf(level: LogLevel): number {
  return levels.indexOf(level);
}

/** What a line is about, for `--log-format json`; text lines carry all they need in the message. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface LogEvent {
  /** Milliseconds of wall-clock time. */
  readonly time: number;
  readonly level: LogLevel;
  /** The line as keepalived writes it: `(VI_1) Entering MASTER STATE`. */
  readonly message: string;
  readonly fields: LogFields;
}

/**
 * Writes events to every sink. Never blocks and never throws: a sink that cannot keep up drops lines and says how
 * many once it can.
 */
export class Log {
  readonly #sinks: readonly LogSink[];
  readonly #detailed: boolean;

  /** @param detailed Whether `detail` lines are written: keepalived's `-D`. */
  constructor(sinks: readonly LogSink[], detailed: boolean) {
    this.#sinks = sinks;
    this.#detailed = detailed;
  }

  error(message: string, fields: LogFields = {}): void {
    this.#write("error", message, fields);
  }

  warning(message: string, fields: LogFields = {}): void {
    this.#write("warning", message, fields);
  }

  notice(message: string, fields: LogFields = {}): void {
    this.#write("notice", message, fields);
  }

  info(message: string, fields: LogFields = {}): void {
    this.#write("info", message, fields);
  }

  /** A line that only `-D` shows, as each single gratuitous ARP. */
  detail(message: string, fields: LogFields = {}): void {
    if (this.#detailed) this.#write("info", message, fields);
  }

  /** Opens files anew, after they were rotated. */
  reopen(): void {
    for (const sink of this.#sinks) sink.reopen();
  }

  /** Resolves when all lines are out, or after `limitMs`. */
  async flush(limitMs = 500): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([Promise.all(this.#sinks.map((sink) => sink.flush())), limit]);
    clearTimeout(timer);
  }

  /** What is left, at once and with blocking writes: for the last words of a crash only. */
  flushSync(): void {
    for (const sink of this.#sinks) sink.flushSync();
  }

  #write(level: LogLevel, message: string, fields: LogFields): void {
    const event: LogEvent = { time: Date.now(), level, message, fields };
    for (const sink of this.#sinks) sink.write(event);
  }
}
