import type { Token } from "../../config/token.ts";
import { type FieldName, fieldName } from "../../http/head.ts";
import type { Message } from "../../http/message.ts";
import type { Transaction } from "../../transaction.ts";
import { castChecked, readInteger } from "../cast.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Fetch, FetchKeyword, Layer } from "../fetch-keyword.ts";
import {
  ADDR,
  BIN,
  encodeText,
  room,
  type Sample,
  SINT,
  STR,
  setInt,
  setRange,
} from "../sample.ts";

const SOURCE = "HAProxy configuration manual §7.3.6";

/** Header fields of requests and responses. */
export const FIELD_FETCHES: readonly FetchKeyword[] = [
  ...fieldFetches("req", "request head", (t) => (t.http ? t.request : undefined), {
    hdr: ["hdr"],
    fhdr: [],
    hdr_cnt: ["hdr_cnt"],
    fhdr_cnt: [],
    hdr_val: ["hdr_val"],
    hdr_ip: ["hdr_ip"],
  }),
  ...fieldFetches("res", "response head", (t) => (t.hasResponse ? t.response : undefined), {
    hdr: ["shdr"],
    fhdr: [],
    hdr_cnt: ["shdr_cnt"],
    fhdr_cnt: [],
    hdr_val: ["shdr_val"],
    hdr_ip: ["shdr_ip"],
  }),
];

type MessageOf = (transaction: Transaction) => Message | undefined;

/** HAProxy's limit for counting occurrences from the end. */
const MAX_OCCURRENCE_BACK = 10;

function fieldFetches(
  side: "req" | "res",
  layer: Layer,
  messageOf: MessageOf,
  aliases: Readonly<Record<string, readonly string[]>>,
): FetchKeyword[] {
  const base = { layer, source: SOURCE } as const;
  const named = (suffix: string) => ({
    name: `${side}.${suffix}`,
    aliases: aliases[suffix] ?? [],
  });
  return [
    {
      ...named("hdr"),
      syntax: `${side}.hdr([<name>[,<occ>]])`,
      doc: "The comma-separated value number <occ> (from 1, negative from the end) of the header; the last without <occ>, all of them in an ACL.",
      ...base,
      type: STR,
      arity: [0, 2],
      compile: (args, context, token) => valueFetch(args, messageOf, context, token),
    },
    {
      ...named("fhdr"),
      syntax: `${side}.fhdr(<name>[,<occ>])`,
      doc: "As hdr, but whole header lines: commas do not part values.",
      ...base,
      type: STR,
      arity: [0, 2],
      compile: (args, context, token) => lineFetch(args, messageOf, context, token),
    },
    {
      ...named("hdr_val"),
      syntax: `${side}.hdr_val([<name>[,<occ>]])`,
      doc: "As hdr, as an integer.",
      ...base,
      type: SINT,
      arity: [0, 2],
      compile: (args, context, token) => {
        const fetch = valueFetch(args, messageOf, context, token);
        if (fetch === undefined) return undefined;
        return (transaction, sample) => {
          if (!fetch(transaction, sample)) return false;
          readInteger(sample);
          return true;
        };
      },
    },
    {
      ...named("hdr_ip"),
      syntax: `${side}.hdr_ip([<name>[,<occ>]])`,
      doc: "As hdr, as an IPv4 or IPv6 address; a port after it is taken off. No sample when it is none.",
      ...base,
      type: ADDR,
      arity: [0, 2],
      compile: (args, context, token) => {
        const fetch = valueFetch(args, messageOf, context, token);
        if (fetch === undefined) return undefined;
        return (transaction, sample) => {
          for (;;) {
            if (!fetch(transaction, sample)) return false;
            withoutPort(sample);
            if (castChecked(sample, ADDR, transaction)) return true;
            if (!sample.more) return false;
          }
        };
      },
    },
    {
      ...named("hdr_cnt"),
      syntax: `${side}.hdr_cnt([<name>])`,
      doc: "How many comma-separated values the header has; of all headers without a name.",
      ...base,
      type: SINT,
      arity: [0, 1],
      compile: (args) => countFetch(args, messageOf, true),
    },
    {
      ...named("fhdr_cnt"),
      syntax: `${side}.fhdr_cnt([<name>])`,
      doc: "How many lines the header has; of all headers without a name.",
      ...base,
      type: SINT,
      arity: [0, 1],
      compile: (args) => countFetch(args, messageOf, false),
    },
    {
      ...named("hdr_names"),
      syntax: `${side}.hdr_names([<delim>])`,
      doc: "The names of all headers in their order, parted by <delim> (default a comma).",
      ...base,
      type: STR,
      arity: [0, 1],
      compile: ([delimiter]) => namesFetch(encodeText(delimiter?.text ?? ","), messageOf),
    },
    {
      ...named("hdrs"),
      syntax: `${side}.hdrs`,
      doc: "The whole head after the start line, as text with its last empty line.",
      ...base,
      type: STR,
      compile: () => headFetch(messageOf),
    },
    {
      ...named("hdrs_bin"),
      syntax: `${side}.hdrs_bin`,
      doc: "All headers in the binary form of SPOE: length-prefixed names and values, ended by two empty strings.",
      ...base,
      type: BIN,
      compile: () => binaryFetch(messageOf),
    },
  ];
}

interface Wanted {
  /** Undefined: any header. */
  readonly name: FieldName | undefined;
  /** 0: the last, or all in turn in an ACL. */
  readonly occurrence: number;
}

function wantedField(
  [name, occurrence]: readonly Argument[],
  context: CompileContext,
  token: Token,
): Wanted | undefined {
  const number = occurrence === undefined ? 0 : Number(occurrence.text);
  if (!Number.isInteger(number)) {
    return refuse(context, token, `header occurrence '${occurrence?.text}' is not an integer`);
  }
  if (number < -MAX_OCCURRENCE_BACK) {
    return refuse(context, token, `header occurrence must be >= -${MAX_OCCURRENCE_BACK}`);
  }
  return {
    name: name === undefined || name.text === "" ? undefined : fieldName(name.text),
    occurrence: number,
  };
}

/** The next field of the name, or any, from `from`; -1 for none. */
function nextField(message: Message, name: FieldName | undefined, from: number): number {
  if (name !== undefined) return message.find(name, from);
  for (let field = from; field < message.head.fields; field++) {
    if (!message.isDeleted(field)) return field;
  }
  return -1;
}

/**
 * Finds the value that begins at or after `at` in a field and puts it into the sample. Commas in quotes do not
 * part. Gives where the next one begins, or -1 when the field has no more. RFC 9110 §5.6.1.
 */
function valueFrom(message: Message, field: number, at: number, sample: Sample): number {
  const { bytes, head } = message;
  const end = head.valueEnd[field] as number;
  let start = at;
  while (start < end && isBlank(bytes[start] as number)) start++;
  let stop = start;
  let quoted = false;
  for (; stop < end; stop++) {
    const byte = bytes[stop] as number;
    if (byte === 0x22) quoted = !quoted;
    else if (byte === 0x5c && quoted) stop++;
    else if (byte === 0x2c && !quoted) break;
  }
  if (stop > end) stop = end;
  let last = stop;
  while (last > start && isBlank(bytes[last - 1] as number)) last--;
  setRange(sample, STR, bytes, start, last);
  return stop < end ? stop + 1 : -1;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

/**
 * `sample.cursor` holds field and offset of the next value while an ACL goes through them: field * 2^26 +
 * offset in the field's value + 1.
 */
const FIELD_STEP = 2 ** 26;

function valueFetch(
  args: readonly Argument[],
  messageOf: MessageOf,
  context: CompileContext,
  token: Token,
): Fetch | undefined {
  const wanted = wantedField(args, context, token);
  if (wanted === undefined) return undefined;
  const { name, occurrence } = wanted;
  // Without a name there is nothing to take the last of. Observed: haproxy 2.6.
  if (name === undefined && !context.iterates) return () => false;
  const step: Fetch = (transaction, sample) => {
    const message = messageOf(transaction);
    if (message === undefined) return false;
    let field = Math.floor(sample.cursor / FIELD_STEP);
    let offset = (sample.cursor % FIELD_STEP) - 1;
    if (offset < 0) {
      field = nextField(message, name, field);
      offset = 0;
    }
    if (field < 0 || field >= message.head.fields) return false;
    const start = message.head.valueStart[field] as number;
    const next = valueFrom(message, field, start + offset, sample);
    if (next !== -1) {
      sample.cursor = field * FIELD_STEP + (next - start) + 1;
      sample.more = true;
    } else {
      sample.cursor = (field + 1) * FIELD_STEP;
      sample.more = nextField(message, name, field + 1) !== -1;
    }
    return true;
  };
  return occurrence === 0 ? (context.iterates ? step : lastOf(step)) : nthOf(step, occurrence);
}

/** The last value alone: what expressions outside ACLs mean without an occurrence. */
function lastOf(step: Fetch): Fetch {
  return (transaction, sample) => {
    if (!step(transaction, sample)) return false;
    while (sample.more) {
      sample.more = false;
      if (!step(transaction, sample)) return false;
    }
    return true;
  };
}

function nthOf(step: Fetch, occurrence: number): Fetch {
  return (transaction, sample) => {
    let wanted = occurrence;
    if (wanted < 0) {
      let count = 0;
      while (step(transaction, sample)) {
        count++;
        if (!sample.more) break;
        sample.more = false;
      }
      wanted = count + occurrence + 1;
      if (wanted < 1) return false;
      sample.cursor = 0;
    }
    for (let at = 1; ; at++) {
      sample.more = false;
      if (!step(transaction, sample)) return false;
      if (at === wanted) break;
      if (!sample.more) return false;
    }
    sample.more = false;
    return true;
  };
}

function lineFetch(
  args: readonly Argument[],
  messageOf: MessageOf,
  context: CompileContext,
  token: Token,
): Fetch | undefined {
  const wanted = wantedField(args, context, token);
  if (wanted === undefined) return undefined;
  const { name, occurrence } = wanted;
  const step: Fetch = (transaction, sample) => {
    const message = messageOf(transaction);
    if (message === undefined) return false;
    const field = nextField(message, name, sample.cursor);
    if (field < 0) return false;
    const { head } = message;
    setRange(
      sample,
      STR,
      message.bytes,
      head.valueStart[field] as number,
      head.valueEnd[field] as number,
    );
    sample.cursor = field + 1;
    sample.more = nextField(message, name, field + 1) !== -1;
    return true;
  };
  return occurrence === 0 ? (context.iterates ? step : lastOf(step)) : nthOf(step, occurrence);
}

function countFetch([name]: readonly Argument[], messageOf: MessageOf, values: boolean): Fetch {
  const field = name === undefined || name.text === "" ? undefined : fieldName(name.text);
  return (transaction, sample) => {
    const message = messageOf(transaction);
    if (message === undefined) return false;
    let count = 0;
    for (let at = nextField(message, field, 0); at !== -1; at = nextField(message, field, at + 1)) {
      count++;
      if (!values) continue;
      let next = valueFrom(message, at, message.head.valueStart[at] as number, sample);
      for (; next !== -1; count++) next = valueFrom(message, at, next, sample);
    }
    return setInt(sample, count);
  };
}

function namesFetch(delimiter: Uint8Array, messageOf: MessageOf): Fetch {
  return (transaction, sample) => {
    const message = messageOf(transaction);
    if (message === undefined) return false;
    const { head, bytes } = message;
    let size = 0;
    for (
      let at = nextField(message, undefined, 0);
      at !== -1;
      at = nextField(message, undefined, at + 1)
    ) {
      size += (head.nameEnd[at] as number) - (head.nameStart[at] as number) + delimiter.length;
    }
    const start = room(transaction.scratch, size);
    if (start < 0) return false;
    let to = start;
    for (
      let at = nextField(message, undefined, 0);
      at !== -1;
      at = nextField(message, undefined, at + 1)
    ) {
      if (to > start) to = put(bytes, to, delimiter, 0, delimiter.length);
      to = putLower(bytes, to, head.nameStart[at] as number, head.nameEnd[at] as number);
    }
    return setRange(sample, STR, bytes, start, to);
  };
}

function headFetch(messageOf: MessageOf): Fetch {
  return (transaction, sample) => {
    const message = messageOf(transaction);
    if (message === undefined) return false;
    const { head, bytes } = message;
    let size = 2;
    for (
      let at = nextField(message, undefined, 0);
      at !== -1;
      at = nextField(message, undefined, at + 1)
    ) {
      size += 4 + (head.nameEnd[at] as number) - (head.nameStart[at] as number);
      size += (head.valueEnd[at] as number) - (head.valueStart[at] as number);
    }
    const start = room(transaction.scratch, size);
    if (start < 0) return false;
    let to = start;
    for (
      let at = nextField(message, undefined, 0);
      at !== -1;
      at = nextField(message, undefined, at + 1)
    ) {
      to = putLower(bytes, to, head.nameStart[at] as number, head.nameEnd[at] as number);
      bytes[to++] = 0x3a;
      bytes[to++] = 0x20;
      to = put(bytes, to, bytes, head.valueStart[at] as number, head.valueEnd[at] as number);
      bytes[to++] = 13;
      bytes[to++] = 10;
    }
    bytes[to++] = 13;
    bytes[to++] = 10;
    return setRange(sample, STR, bytes, start, to);
  };
}

function binaryFetch(messageOf: MessageOf): Fetch {
  return (transaction, sample) => {
    const message = messageOf(transaction);
    if (message === undefined) return false;
    const { head, bytes } = message;
    let size = 2;
    for (
      let at = nextField(message, undefined, 0);
      at !== -1;
      at = nextField(message, undefined, at + 1)
    ) {
      size += 20 + (head.nameEnd[at] as number) - (head.nameStart[at] as number);
      size += (head.valueEnd[at] as number) - (head.valueStart[at] as number);
    }
    const start = room(transaction.scratch, size);
    if (start < 0) return false;
    let to = start;
    for (
      let at = nextField(message, undefined, 0);
      at !== -1;
      at = nextField(message, undefined, at + 1)
    ) {
      const [nameStart, nameEnd] = [head.nameStart[at] as number, head.nameEnd[at] as number];
      const [valueStart, valueEnd] = [head.valueStart[at] as number, head.valueEnd[at] as number];
      to = putLower(bytes, putVarint(bytes, to, nameEnd - nameStart), nameStart, nameEnd);
      to = put(bytes, putVarint(bytes, to, valueEnd - valueStart), bytes, valueStart, valueEnd);
    }
    bytes[to++] = 0;
    bytes[to++] = 0;
    return setRange(sample, BIN, bytes, start, to);
  };
}

function put(out: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
  for (let from = start, to = at; from < end; from++) out[to++] = bytes[from] as number;
  return at + end - start;
}

/** Names stand in lower case, as HAProxy keeps them. */
function putLower(bytes: Uint8Array, at: number, start: number, end: number): number {
  let to = at;
  for (let from = start; from < end; from++) {
    const byte = bytes[from] as number;
    bytes[to++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  return to;
}

/** SPOE's variable-length integers: 240 and more take further bytes. HAProxy, SPOE.txt §3.2. */
function putVarint(out: Uint8Array, at: number, value: number): number {
  if (value < 240) {
    out[at] = value;
    return at + 1;
  }
  let to = at;
  out[to++] = (value & 255) | 240;
  let rest = Math.floor((value - 240) / 16);
  while (rest >= 128) {
    out[to++] = (rest & 255) | 128;
    rest = Math.floor((rest - 128) / 128);
  }
  out[to++] = rest;
  return to;
}

/** Leaves the address of `1.2.3.4:80`, `[::1]:80` and `[::1]`. */
function withoutPort(sample: Sample): void {
  const { bytes, start, end } = sample;
  if (bytes[start] === 0x5b) {
    let close = start;
    while (close < end && bytes[close] !== 0x5d) close++;
    sample.start = start + 1;
    sample.end = close;
    return;
  }
  let colon = -1;
  for (let at = start; at < end; at++) {
    if (bytes[at] !== 0x3a) continue;
    if (colon !== -1) return;
    colon = at;
  }
  if (colon !== -1) sample.end = colon;
}
