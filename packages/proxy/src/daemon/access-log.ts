import { formatAddress } from "@ha/base";
import type { Template } from "../core/log/template.ts";
import { CAUSE_NONE, type Session, type Transaction } from "../core/transaction.ts";
import type { LogSink } from "./log-sink.ts";

/** Writes one line for a transaction that is over, without waiting. */
export interface AccessLog {
  /** @param wallTime Milliseconds since 1970, now. */
  write(transaction: Transaction, wallTime: number): void;
  /** Of a client whose TLS handshake failed: HAProxy's own line, or `error-log-format`'s. */
  failedHandshake(transaction: Transaction, listener: string, why: string, wallTime: number): void;
  /** Writes words of our own about a client, at level notice. */
  notice(text: string, session: Session, wallTime: number): void;
}

/** How a frontend logs. */
export interface AccessLogOptions {
  readonly template: Template;
  /** `error-log-format`. */
  readonly errorTemplate: Template | undefined;
  /** Client, time and frontend, a slash behind: how lines of failed handshakes begin. */
  readonly prefix?: Template | undefined;
  /** `log-format-sd`: the structured data of RFC 5424 lines. */
  readonly structured: Template | undefined;
  readonly sinks: readonly LogSink[];
  /** `option dontlog-normal`: what went well leaves no line. */
  readonly dontLogNormal: boolean;
  /** `option log-separate-errors`: what did not goes out at level err. */
  readonly separateErrors: boolean;
}

const ERR = 3;
const NOTICE = 5;
const INFO = 6;
/** Longest line made; targets cut it further. */
const ROOM = 16_384;

/** The log of one frontend of one thread. */
export function accessLog(options: AccessLogOptions): AccessLog {
  const { template, errorTemplate, prefix, sinks, structured, dontLogNormal, separateErrors } =
    options;
  const line = new Uint8Array(ROOM);
  const data = new Uint8Array(structured === undefined ? 0 : ROOM);
  return {
    write: (transaction, wallTime) => {
      if (transaction.logLevel < 0) return;
      const failed = isFailure(transaction);
      if (dontLogNormal && !failed) return;
      const level =
        transaction.logLevel < 8 ? transaction.logLevel : separateErrors && failed ? ERR : INFO;
      const format = failed && errorTemplate !== undefined ? errorTemplate : template;
      const size = format.write(transaction, line, 0, ROOM);
      let dataSize = 0;
      if (structured !== undefined) dataSize = structured.write(transaction, data, 0, ROOM);
      for (let i = 0; i < sinks.length; i++)
        (sinks[i] as LogSink).write(level, line, size, wallTime, data, dataSize);
    },
    failedHandshake: (transaction, listener, why, wallTime) => {
      const level = separateErrors ? ERR : INFO;
      let size = (errorTemplate ?? prefix)?.write(transaction, line, 0, ROOM) ?? 0;
      if (errorTemplate === undefined) {
        const words = new TextEncoder().encode(`${listener}: ${why}`).subarray(0, ROOM - size);
        line.set(words, size);
        size += words.length;
      }
      for (const sink of sinks) sink.write(level, line, size, wallTime, data, 0);
    },
    notice: (text, session, wallTime) => {
      const { family, address, port } = session.source;
      const bytes = address.slice(0, family === 4 ? 4 : 16);
      const client = family === 0 ? "" : ` (${formatAddress({ family, bytes })}:${port})`;
      const words = new TextEncoder().encode(text + client);
      for (const sink of sinks) sink.write(NOTICE, words, words.length, wallTime, data, 0);
    },
  };
}

/** What HAProxy takes for "not normal". HAProxy configuration manual §4.2, option dontlog-normal. */
function isFailure(transaction: Transaction): boolean {
  if (transaction.cause !== CAUSE_NONE || transaction.retries > 0 || transaction.redispatched)
    return true;
  return transaction.http && transaction.status >= 500;
}
