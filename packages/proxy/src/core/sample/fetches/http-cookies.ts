import { type FieldName, fieldName } from "../../http/head.ts";
import type { Message } from "../../http/message.ts";
import type { Transaction } from "../../transaction.ts";
import { readInteger } from "../cast.ts";
import type { CompileContext } from "../compile-context.ts";
import type { Argument, Fetch, FetchKeyword, Layer } from "../fetch-keyword.ts";
import { encodeText, type Sample, SINT, STR, setInt, setRange } from "../sample.ts";

const SOURCE = "HAProxy configuration manual §7.3.6";

/** Cookies of requests (Cookie) and responses (Set-Cookie). */
export const COOKIE_FETCHES: readonly FetchKeyword[] = [
  ...cookieFetches(
    "req",
    "request head",
    (t) => (t.http ? t.request : undefined),
    fieldName("cookie"),
    {
      cook: ["cook", "cookie"],
      cook_cnt: ["cook_cnt"],
      cook_val: ["cook_val"],
    },
  ),
  ...cookieFetches(
    "res",
    "response head",
    (t) => (t.hasResponse ? t.response : undefined),
    fieldName("set-cookie"),
    {
      cook: ["scook", "set-cookie"],
      cook_cnt: ["scook_cnt"],
      cook_val: ["scook_val"],
    },
  ),
];

type MessageOf = (transaction: Transaction) => Message | undefined;

function cookieFetches(
  side: "req" | "res",
  layer: Layer,
  messageOf: MessageOf,
  field: FieldName,
  aliases: Readonly<Record<string, readonly string[]>>,
): FetchKeyword[] {
  const base = { layer, source: SOURCE, arity: [0, 1] } as const;
  const value = ([name]: readonly Argument[], context: CompileContext): Fetch =>
    cookieFetch(
      messageOf,
      field,
      name === undefined ? undefined : encodeText(name.text),
      side === "res",
      context.iterates,
    );
  return [
    {
      name: `${side}.cook`,
      aliases: aliases["cook"] ?? [],
      syntax: `${side}.cook([<name>])`,
      doc: "The last value of the cookie (the first cookie's without a name); all of them in an ACL.",
      ...base,
      type: STR,
      compile: value,
    },
    {
      name: `${side}.cook_val`,
      aliases: aliases["cook_val"] ?? [],
      syntax: `${side}.cook_val([<name>])`,
      doc: "As cook, as an integer.",
      ...base,
      type: SINT,
      compile: (args, context) => {
        const fetch = value(args, context);
        return (transaction, sample) => {
          if (!fetch(transaction, sample)) return false;
          readInteger(sample);
          return true;
        };
      },
    },
    {
      name: `${side}.cook_cnt`,
      aliases: aliases["cook_cnt"] ?? [],
      syntax: `${side}.cook_cnt([<name>])`,
      doc: "How often the cookie is there; of all without a name.",
      ...base,
      type: SINT,
      compile: ([name]) => {
        const wanted = name === undefined ? undefined : encodeText(name.text);
        return (transaction, sample) => {
          const message = messageOf(transaction);
          if (message === undefined) return false;
          let count = 0;
          for (let at = message.find(field); at !== -1; at = message.find(field, at + 1)) {
            const end = message.head.valueEnd[at] as number;
            let from = message.head.valueStart[at] as number;
            while (from < end) {
              from = cookieAfter(message.bytes, from, end, wanted, side === "res", sample);
              if (from < 0) break;
              count++;
            }
          }
          return setInt(sample, count);
        };
      },
    },
  ];
}

/** `cursor` holds field and offset, as for header values: field * 2^26 + offset + 1. */
const FIELD_STEP = 2 ** 26;

function cookieFetch(
  messageOf: MessageOf,
  field: FieldName,
  name: Uint8Array | undefined,
  isResponse: boolean,
  iterates: boolean,
): Fetch {
  return (transaction, sample) => {
    const message = messageOf(transaction);
    if (message === undefined) return false;
    const { bytes, head } = message;
    let at = Math.floor(sample.cursor / FIELD_STEP);
    let offset = Math.max(0, (sample.cursor % FIELD_STEP) - 1);
    let found = false;
    let [start, end] = [0, 0];
    for (at = message.find(field, at); at !== -1; at = message.find(field, at + 1)) {
      const valueStart = head.valueStart[at] as number;
      const valueEnd = head.valueEnd[at] as number;
      let from = valueStart + offset;
      offset = 0;
      while (from < valueEnd) {
        from = cookieAfter(bytes, from, valueEnd, name, isResponse, sample);
        if (from < 0) break;
        if (iterates) {
          sample.cursor = at * FIELD_STEP + (from - valueStart) + 1;
          sample.more = from < valueEnd || message.find(field, at + 1) !== -1;
          return true;
        }
        if (name === undefined) return true;
        found = true;
        [start, end] = [sample.start, sample.end];
      }
    }
    // Outside ACLs the last one of a name counts, and without a name the first. Observed: haproxy 2.6.
    return found && setRange(sample, STR, bytes, start, end);
  };
}

/**
 * Puts the next cookie of that name (or any) from `from` into the sample. Gives where to go on, or -1 for none. A
 * Set-Cookie field holds one cookie: what follows a `;` are attributes. RFC 6265 §4.
 */
export function cookieAfter(
  bytes: Uint8Array,
  from: number,
  end: number,
  name: Uint8Array | undefined,
  isResponse: boolean,
  sample: Sample,
): number {
  for (let at = from; at < end; ) {
    while (
      at < end &&
      (isBlank(bytes[at] as number) || bytes[at] === SEMICOLON || bytes[at] === COMMA)
    )
      at++;
    let stop = at;
    let equals = -1;
    let quoted = false;
    for (; stop < end; stop++) {
      const byte = bytes[stop] as number;
      if (byte === QUOTE) quoted = !quoted;
      else if (byte === EQUALS && equals === -1) equals = stop;
      else if (byte === SEMICOLON && !quoted) break;
    }
    const next = isResponse ? end : stop + 1;
    const nameEnd = trimEnd(bytes, at, equals === -1 ? stop : equals);
    if (equals !== -1 && nameEnd > at && isNamed(bytes, at, nameEnd, name)) {
      let start = equals + 1;
      while (start < stop && isBlank(bytes[start] as number)) start++;
      setRange(sample, STR, bytes, start, trimEnd(bytes, start, stop));
      return next;
    }
    at = next;
  }
  return -1;
}

const SEMICOLON = 0x3b;
const COMMA = 0x2c;
const EQUALS = 0x3d;
const QUOTE = 0x22;

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let last = end;
  while (last > start && isBlank(bytes[last - 1] as number)) last--;
  return last;
}

function isNamed(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: Uint8Array | undefined,
): boolean {
  if (name === undefined) return true;
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false;
  return true;
}
