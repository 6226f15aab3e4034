import { encodeText } from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";
import {
  type BytesWriter,
  type LogFlags,
  type LogFormatOptions,
  putByte,
  writeMissing,
} from "./log-format.ts";
import { type VariableWriter, withContext } from "./log-variable.ts";
import { putHex } from "./number-text.ts";

interface Line {
  readonly start: number;
  readonly end: number;
  /** The first and the last blank; both `end` when there is none. */
  readonly spaces: readonly [number, number];
}

/** A part of the request line as it came. */
export function line(
  variable: string,
  doc: string,
  part: (line: Line, bytes: Uint8Array) => { readonly start: number; readonly end: number },
): VariableWriter {
  return withContext(variable, doc, (context, flags, options) => {
    const write = encodedWriter(flags, options, URI_ENCODED);
    const longest = context.world.loggedLine ?? 1023;
    return (t, out, at, limit) => {
      if (t.lineEnd === 0) return write(out, at, limit, BAD_REQUEST, 0, BAD_REQUEST.length);
      const { lineStart, bytes } = t;
      const lineEnd = Math.min(t.lineEnd, lineStart + longest);
      let first = lineStart;
      while (first < lineEnd && bytes[first] !== SPACE) first++;
      let last = lineEnd;
      while (last > first && bytes[last] !== SPACE) last--;
      const { start, end } = part({ start: lineStart, end: lineEnd, spaces: [first, last] }, bytes);
      // An empty part is nothing, not a dash. Observed: haproxy 2.6.
      if (end <= start)
        return flags.quote ? writeMissing(out, at, limit, flags, LOG_LINE_OPTIONS) : at;
      return write(out, at, limit, bytes, start, end);
    };
  });
}

const SPACE = 0x20;
const BAD_REQUEST = encodeText("<BADREQ>");
const LOG_LINE_OPTIONS: LogFormatOptions = { mandatory: true, mergeSpaces: true, http: false };

/** Where the question mark stands, or the end. */
export function queryStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== 0x3f) at++;
  return at;
}

/** After `scheme://authority`, when the target begins with one. */
export function pathStart(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] === 0x2f) return start;
  if (bytes[start] === 0x2a) return end;
  let at = start;
  while (at + 2 < end && !(bytes[at] === 0x3a && bytes[at + 1] === 0x2f && bytes[at + 2] === 0x2f))
    at++;
  if (at + 2 >= end) return start;
  at += 3;
  while (at < end && bytes[at] !== 0x2f && bytes[at] !== 0x3f) at++;
  return at;
}

/** Which bytes become `#XX` in lines. HAProxy configuration manual §8.6. */
function encodedSet(extra: string): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) =>
    byte < 0x20 || byte >= 0x7f || extra.includes(String.fromCharCode(byte)) ? 1 : 0,
  );
}
const URI_ENCODED = encodedSet('"#');
const HEADER_ENCODED = encodedSet('"#{|}');

function encodedWriter(
  flags: LogFlags,
  options: LogFormatOptions,
  encoded: Uint8Array,
): BytesWriter {
  return (out, from, limit, bytes, start, end) => {
    if (start === end) return writeMissing(out, from, limit, flags, options);
    let at = from;
    if (flags.quote) at = putByte(out, at, limit, 0x22);
    at = putEncoded(out, at, limit, bytes, start, end, encoded);
    return flags.quote ? putByte(out, at, limit, 0x22) : at;
  };
}

function putEncoded(
  out: Uint8Array,
  from: number,
  limit: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  encoded: Uint8Array,
): number {
  let at = from;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (encoded[byte] === 0) {
      at = putByte(out, at, limit, byte);
      continue;
    }
    if (at + 3 > limit) break;
    out[at] = 0x23;
    at = putHex(out, at + 1, limit, byte, 2);
  }
  return at;
}

/** A captured value, or a dash. */
export function captured(
  variable: string,
  doc: string,
  read: (t: Transaction) => Uint8Array | undefined,
): VariableWriter {
  return withContext(variable, doc, (_context, flags, options) => {
    const write = encodedWriter(flags, options, URI_ENCODED);
    return (t, out, at, limit) => {
      const value = read(t);
      return value === undefined
        ? writeMissing(out, at, limit, flags, options)
        : write(out, at, limit, value, 0, value.length);
    };
  });
}

type Side = "request" | "response";

function slotsOf(t: Transaction, side: Side): readonly (Uint8Array | undefined)[] {
  return side === "request" ? t.requestCaptures : t.responseCaptures;
}

/** `{a|b}`, one field a slot; nothing at all without slots. */
export function captures(variable: string, doc: string, side: Side): VariableWriter {
  const made = withContext(variable, doc, (context, flags) => {
    const lengths = context.proxy?.captures[side] ?? [];
    return (t, out, from, limit) => {
      // Without slots, and without a request, there is nothing.
      if (lengths.length === 0 || t.lineEnd === 0) return from;
      const slots = slotsOf(t, side);
      let at = flags.quote ? putByte(out, from, limit, 0x22) : from;
      at = putByte(out, at, limit, 0x7b);
      for (let slot = 0; slot < lengths.length; slot++) {
        if (slot > 0) at = putByte(out, at, limit, 0x7c);
        const value = slots[slot];
        if (value !== undefined)
          at = putEncoded(out, at, limit, value, 0, value.length, HEADER_ENCODED);
      }
      at = putByte(out, at, limit, 0x7d);
      return flags.quote ? putByte(out, at, limit, 0x22) : at;
    };
  });
  return { ...made, mayBeAbsent: true };
}

/** All slots with blanks between. */
export function captureList(variable: string, doc: string, side: Side): VariableWriter {
  return withContext(variable, doc, (context, flags, options) => {
    const lengths = context.proxy?.captures[side] ?? [];
    const write = encodedWriter(flags, options, HEADER_ENCODED);
    return (t, out, from, limit) => {
      const slots = slotsOf(t, side);
      let at = from;
      for (let slot = 0; slot < lengths.length; slot++) {
        if (slot > 0) at = putByte(out, at, limit, SPACE);
        const value = slots[slot];
        at =
          value === undefined
            ? writeMissing(out, at, limit, flags, options)
            : write(out, at, limit, value, 0, value.length);
      }
      return at;
    };
  });
}
