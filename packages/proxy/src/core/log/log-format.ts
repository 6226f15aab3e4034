import { closestWord } from "@ha/base";
import type { Token } from "../config/token.ts";
import { closingParenthesis } from "../sample/call.ts";
import { castChecked } from "../sample/cast.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import { checkPlace, parseExpression } from "../sample/expression.ts";
import { createSample, encodeText, STR } from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";
import type { VariableWriter } from "./log-variable.ts";
import { LOG_VARIABLES } from "./log-variables.ts";
import type { Template } from "./template.ts";

/** How values are written. HAProxy configuration manual §8.2.6, flags. */
export interface LogFlags {
  /** `Q`: strings in double quotes. */
  readonly quote: boolean;
  /** `X`: addresses, ports and some numbers in hexadecimal. */
  readonly hexadecimal: boolean;
  /** `E`: a backslash before `"`, `\` and `]`. */
  readonly escape: boolean;
  /** `bin` (newest): bytes as they are. */
  readonly binary: boolean;
}

export interface LogFormatOptions {
  /** A log line: what is missing is written as `-`. Elsewhere it is nothing. */
  readonly mandatory: boolean;
  /** Blanks of the format never stand twice in a row, so that what is absent (`%hr` without captures) leaves no gap. */
  readonly mergeSpaces: boolean;
  /** A part of an HTTP message: control characters become %XX. */
  readonly http: boolean;
}

/** For headers, paths, redirects, contents. */
export const HTTP_TEXT: LogFormatOptions = { mandatory: false, mergeSpaces: false, http: true };
/** For variables (`set-var-fmt`) and unique ids. */
export const PLAIN_TEXT: LogFormatOptions = { mandatory: false, mergeSpaces: false, http: false };
export const LOG_LINE: LogFormatOptions = { mandatory: true, mergeSpaces: true, http: false };

/** Writes one part of a line. */
export type Writer = (
  transaction: Transaction,
  out: Uint8Array,
  at: number,
  limit: number,
) => number;

/** Compiles a log-format string. Reports what is wrong with it and gives undefined then. */
export function compileLogFormat(
  token: Token,
  context: CompileContext,
  options: LogFormatOptions,
): Template | undefined {
  // Writers of what may be wholly absent: a blank before and one after such a one are one.
  const absent = new Set<Writer>();
  const parts = split(token, context, options, absent);
  if (parts === undefined) return undefined;
  const writers = parts.flatMap((part) =>
    part instanceof Uint8Array ? literals(part, options.mergeSpaces) : [part],
  );
  const [first] = parts;
  if (
    !options.mergeSpaces &&
    (parts.length === 0 || (parts.length === 1 && first instanceof Uint8Array))
  ) {
    const constant = first instanceof Uint8Array ? first : new Uint8Array(0);
    return { constant, write: literal(constant) };
  }
  return {
    constant: undefined,
    write: (transaction, out, from, limit) => {
      const { scratch } = transaction;
      const mark = scratch.used;
      const end = scratch.end;
      let at = from;
      let afterBlank = true;
      for (let i = 0; i < writers.length; i++) {
        const writer = writers[i] as Writer;
        if (writer === SEPARATOR) {
          if (!afterBlank) at = putByte(out, at, limit, SPACE);
          afterBlank = true;
          continue;
        }
        const before = at;
        at = writer(transaction, out, at, limit);
        if (at > before || !absent.has(writer)) afterBlank = false;
      }
      // What converters needed on the way is free again, unless the scratch moved to another buffer.
      if (scratch.end === end) scratch.used = mark;
      return at;
    },
  };
}

/** A template that writes a text as it is. */
export function constantTemplate(text: string): Template {
  const constant = encodeText(text);
  return { constant, write: literal(constant) };
}

function literal(bytes: Uint8Array): Writer {
  return (_transaction, out, at, limit) => {
    const size = Math.min(bytes.length, limit - at);
    for (let i = 0; i < size; i++) out[at + i] = bytes[i] as number;
    return at + size;
  };
}

/** A blank of a log line. */
const SEPARATOR: Writer = (_transaction, out, at, limit) => putByte(out, at, limit, SPACE);

function literals(bytes: Uint8Array, mergeSpaces: boolean): Writer[] {
  if (!mergeSpaces) return [literal(bytes)];
  const writers: Writer[] = [];
  let start = 0;
  for (let at = 0; at <= bytes.length; at++) {
    if (at < bytes.length && bytes[at] !== SPACE) continue;
    if (at > start) writers.push(literal(bytes.slice(start, at)));
    if (at < bytes.length) writers.push(SEPARATOR);
    start = at + 1;
  }
  return writers;
}

const NO_FLAGS: LogFlags = { quote: false, hexadecimal: false, escape: false, binary: false };

function split(
  token: Token,
  context: CompileContext,
  options: LogFormatOptions,
  absent: Set<Writer>,
): (Uint8Array | Writer)[] | undefined {
  const { text } = token;
  const parts: (Uint8Array | Writer)[] = [];
  let standing = NO_FLAGS;
  let plain = "";
  const flush = (): void => {
    if (plain !== "") parts.push(encodeText(plain));
    plain = "";
  };
  for (let at = 0; at < text.length; ) {
    if (text[at] !== "%") {
      plain += text[at++];
      continue;
    }
    if (text[at + 1] === "%") {
      plain += "%";
      at += 2;
      continue;
    }
    at++;
    let flags = standing;
    if (text[at] === "{") {
      const close = text.indexOf("}", at);
      if (close === -1) return refuse(context, token, "missing '}' in a log-format");
      const read = readFlags(text.slice(at + 1, close), standing, token, context);
      if (read === undefined) return undefined;
      flags = read;
      at = close + 1;
    }
    if (at >= text.length)
      return refuse(context, token, "truncated line after '%'", "write %% for a percent sign");
    if (text[at] === "[") {
      const end = expressionEnd(text, at + 1);
      if (end === -1) return refuse(context, token, `missing ']' after '${text.slice(at + 1)}'`);
      flush();
      const writer = expressionWriter(text.slice(at + 1, end), token, flags, options, context);
      if (writer === undefined) return undefined;
      parts.push(writer);
      at = end + 1;
      continue;
    }
    const name = /^[A-Za-z]+/.exec(text.slice(at))?.[0] ?? "";
    const variable = longestKnown(name);
    if (variable === undefined) {
      const closest = closestWord(name, LOG_VARIABLES.keys());
      return refuse(
        context,
        token,
        `no such format variable '${name === "" ? text[at] : name}'. If you wanted to emit the '%' character verbatim, you need to use '%%'`,
        closest === undefined ? undefined : `did you mean '%${closest}'?`,
      );
    }
    at += variable.length;
    if (variable === "o") {
      standing = flags;
      continue;
    }
    flush();
    const make = LOG_VARIABLES.get(variable) as VariableWriter;
    const writer = make.compile(context, flags, options);
    if (make.mayBeAbsent === true) absent.add(writer);
    parts.push(writer);
  }
  flush();
  return parts;
}

/** `%Tsx` is not `%Ts` and an x: the whole word must be known, as in HAProxy. */
function longestKnown(name: string): string | undefined {
  return name === "o" || LOG_VARIABLES.has(name) ? name : undefined;
}

function readFlags(
  text: string,
  standing: LogFlags,
  token: Token,
  context: CompileContext,
): LogFlags | undefined {
  const flags = { ...standing };
  for (const match of text.matchAll(/([+-]?)([A-Za-z]+)|[^, ]/g)) {
    const on = match[1] !== "-";
    switch (match[2]) {
      case "Q":
        flags.quote = on;
        break;
      case "X":
        flags.hexadecimal = on;
        break;
      case "E":
        flags.escape = on;
        break;
      case "bin":
        flags.binary = on;
        break;
      default:
        return refuse(
          context,
          token,
          `unknown log-format flag '${match[0]}'`,
          "write +Q, +X, +E or +bin, or - to end one",
        );
    }
  }
  return flags;
}

/** Where the `]` of `%[…]` stands: after the expression, not the first one within its arguments. */
function expressionEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "]") return at;
    if (text[at] === "(") {
      const next = closingParenthesis(text, at + 1);
      if (next === -1) return -1;
      at = next - 1;
    }
  }
  return -1;
}

function expressionWriter(
  text: string,
  token: Token,
  flags: LogFlags,
  options: LogFormatOptions,
  context: CompileContext,
): Writer | undefined {
  // Converters may also stand apart by blanks.
  const words = splitWords(text).map((word) => ({ text: word, at: token.at }));
  const parsed = parseExpression(words, 0, context);
  if (parsed === undefined) return undefined;
  const extra = words[parsed.next];
  if (extra !== undefined) {
    return refuse(
      context,
      token,
      `expected ']' after '${words[parsed.next - 1]?.text}', but found '${extra.text}'`,
    );
  }
  const { expression } = parsed;
  if (!checkPlace(expression, token, context)) return undefined;
  const sample = createSample();
  // In HTTP messages expressions are not quoted, whatever the flags say. Observed: haproxy 2.6.
  const write = bytesWriter(options.http ? { ...flags, quote: false } : flags, options);
  return (transaction, out, at, limit) => {
    const found = expression.evaluate(transaction, sample) && castChecked(sample, STR, transaction);
    return found
      ? write(out, at, limit, sample.bytes, sample.start, sample.end)
      : writeMissing(out, at, limit, flags, options);
  };
}

/** Blanks part words outside quotes and parentheses. */
function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = "";
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "(") {
      const next = closingParenthesis(text, at + 1);
      const end = next === -1 ? text.length : next;
      word += text.slice(at, end);
      at = end - 1;
    } else if (text[at] === " ") {
      if (word !== "") words.push(word);
      word = "";
    } else word += text[at];
  }
  if (word !== "") words.push(word);
  return words;
}

export type BytesWriter = (
  out: Uint8Array,
  at: number,
  limit: number,
  bytes: Uint8Array,
  start: number,
  end: number,
) => number;

/**
 * Writes texts as flags and options say; an empty one is what is missing. Control characters become %XX in HTTP
 * messages and #XX in log lines (differs from HAProxy, which lets expressions put them there: a client could
 * forge lines).
 */
export function bytesWriter(flags: LogFlags, options: LogFormatOptions): BytesWriter {
  return (out, from, limit, bytes, start, end) => {
    if (start === end) return writeMissing(out, from, limit, flags, options);
    let at = from;
    if (flags.quote) at = putByte(out, at, limit, QUOTE);
    if (flags.binary || (!flags.escape && !options.http && !options.mandatory)) {
      const size = Math.min(end - start, limit - at);
      for (let i = 0; i < size; i++) out[at + i] = bytes[start + i] as number;
      at += size;
    } else {
      for (let i = start; i < end; i++) {
        const byte = bytes[i] as number;
        if (!flags.binary && isControl(byte)) {
          if (at + 3 > limit) break;
          out[at++] = options.http ? PERCENT : HASH;
          out[at++] = HEX.charCodeAt(byte >> 4);
          out[at++] = HEX.charCodeAt(byte & 15);
          continue;
        }
        if (flags.escape && (byte === QUOTE || byte === BACKSLASH || byte === BRACKET)) {
          at = putByte(out, at, limit, BACKSLASH);
        }
        at = putByte(out, at, limit, byte);
      }
    }
    return flags.quote ? putByte(out, at, limit, QUOTE) : at;
  };
}

/** Empty in quotes is `""` in log lines; without quotes `-`; nothing elsewhere. */
export function writeMissing(
  out: Uint8Array,
  from: number,
  limit: number,
  flags: LogFlags,
  options: LogFormatOptions,
): number {
  if (!options.mandatory) return from;
  if (!flags.quote) return putByte(out, from, limit, DASH);
  return putByte(out, putByte(out, from, limit, QUOTE), limit, QUOTE);
}

export function putByte(out: Uint8Array, at: number, limit: number, byte: number): number {
  if (at >= limit) return at;
  out[at] = byte;
  return at + 1;
}

function isControl(byte: number): boolean {
  return (byte < 0x20 && byte !== 9) || byte === 0x7f;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BRACKET = 0x5d;
const PERCENT = 0x25;
const HASH = 0x23;
const SPACE = 0x20;
const DASH = 0x2d;
const HEX = "0123456789ABCDEF";
