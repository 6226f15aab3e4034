import type { Token } from "../../config/token.ts";
import type { Transaction } from "../../transaction.ts";
import { writeText } from "../cast.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Convert, ConverterKeyword } from "../fetch-keyword.ts";
import { BIN, room, type Sample, SINT, STR, setBytes, setInt, setRange } from "../sample.ts";
import { integerArgument } from "./arguments.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";

/** Converters between texts, bytes and their written forms. */
export const ENCODING_CONVERTERS: readonly ConverterKeyword[] = [
  coded("base64", "Base64 of the bytes.", BIN, STR, (sample, transaction) =>
    encoded(sample, transaction, false),
  ),
  coded("ub64enc", "Base64url of the bytes, without padding.", BIN, STR, (sample, transaction) =>
    encoded(sample, transaction, true),
  ),
  coded("b64dec", "The bytes that Base64 text stands for.", STR, BIN, (sample) =>
    decoded(sample, false),
  ),
  coded("ub64dec", "The bytes that Base64url text stands for.", STR, BIN, (sample) =>
    decoded(sample, true),
  ),
  coded("hex", "Upper-case hexadecimal digits of the bytes.", BIN, STR, (sample, transaction) => {
    const size = sample.end - sample.start;
    const at = room(transaction.scratch, 2 * size);
    if (at < 0) return false;
    const { bytes } = transaction;
    for (let i = 0; i < size; i++) {
      const byte = sample.bytes[sample.start + i] as number;
      bytes[at + 2 * i] = HEX.charCodeAt(byte >> 4);
      bytes[at + 2 * i + 1] = HEX.charCodeAt(byte & 15);
    }
    return setRange(sample, STR, bytes, at, at + 2 * size);
  }),
  coded("hex2i", "The number that hexadecimal digits spell.", STR, SINT, (sample) => {
    let value = 0;
    if (sample.end - sample.start > 13) return false;
    for (let at = sample.start; at < sample.end; at++) {
      const digit = hexDigit(sample.bytes[at] as number);
      if (digit < 0) return false;
      value = value * 16 + digit;
    }
    return setInt(sample, value);
  }),
  {
    name: "be2hex",
    syntax: "be2hex([<separator>],[<chunk_size>],[<truncate>])",
    doc: "Hexadecimal digits, with a separator after each chunk of bytes.",
    source: SOURCE,
    input: BIN,
    output: STR,
    arity: [0, 3],
    compile: ([separator, chunk, truncate], context, token) =>
      chunks(
        separator,
        chunk,
        truncate,
        context,
        token,
        (bytes) => {
          let text = "";
          for (const byte of bytes) text += (HEX[byte >> 4] as string) + HEX[byte & 15];
          return text;
        },
        1,
      ),
  },
  {
    name: "be2dec",
    syntax: "be2dec(<separator>,<chunk_size>,[<truncate>])",
    doc: "Decimal numbers of chunks of bytes (1 to 8), with a separator between.",
    source: SOURCE,
    input: BIN,
    output: STR,
    arity: [2, 3],
    compile: ([separator, chunk, truncate], context, token) => {
      if (Number(chunk?.text) > 8)
        return refuse(context, token, "be2dec's chunks are 1 to 8 bytes");
      return chunks(separator, chunk, truncate, context, token, (bytes) => {
        let value = 0n;
        for (const byte of bytes) value = (value << 8n) | BigInt(byte);
        return String(value);
      });
    },
  },
  {
    name: "url_dec",
    syntax: "url_dec([<in_form>])",
    doc: "Decodes %XX; + is a blank after a question mark, and everywhere when <in_form> is not 0. No sample on a broken escape.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [0, 1],
    compile: ([inForm], context, token) => {
      const form = inForm === undefined ? 0 : integerArgument(inForm, context, token);
      if (form === undefined) return undefined;
      return (sample, transaction) => urlDecode(sample, transaction, form !== 0);
    },
  },
  {
    name: "url_enc",
    syntax: "url_enc([<enc_type>])",
    doc: "Writes what is not unreserved (RFC 3986 §2.3) as %XX.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [0, 1],
    compile: ([kind], context, token) => {
      if (kind !== undefined && kind.text !== "query")
        return refuse(context, token, `url_enc knows 'query' only, not '${kind.text}'`);
      return urlEncode;
    },
  },
];

const HEX = "0123456789ABCDEF";

function coded(
  name: string,
  doc: string,
  input: ConverterKeyword["input"],
  output: ConverterKeyword["output"],
  convert: Convert,
): ConverterKeyword {
  return {
    name,
    syntax: name,
    doc,
    source: SOURCE,
    input,
    output,
    arity: [0, 0],
    compile: () => convert,
  };
}

function encoded(sample: Sample, transaction: Transaction, urlSafe: boolean): boolean {
  const { bytes, start, end } = sample;
  const at = room(transaction.scratch, 4 * Math.ceil((end - start) / 3));
  if (at < 0) return false;
  const stop = encodeBase64(bytes, start, end, urlSafe, transaction.bytes, at);
  return setRange(sample, STR, transaction.bytes, at, stop);
}

function decoded(sample: Sample, urlSafe: boolean): boolean {
  const bytes = decodeBase64(sample.bytes, sample.start, sample.end, urlSafe);
  return bytes !== undefined && setBytes(sample, BIN, bytes);
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function chunks(
  separator: Argument | undefined,
  chunk: Argument | undefined,
  truncate: Argument | undefined,
  context: CompileContext,
  token: Token,
  write: (bytes: Uint8Array) => string,
  least = 1,
): Convert | undefined {
  const size =
    chunk === undefined || chunk.text === "" ? least : integerArgument(chunk, context, token);
  if (size === undefined) return undefined;
  if (size < 1) return refuse(context, token, "a chunk has at least 1 byte");
  const cuts = truncate !== undefined && truncate.text !== "" && truncate.text !== "0";
  const between = separator?.text ?? "";
  return (sample, transaction) => {
    const parts: string[] = [];
    for (let at = sample.start; at < sample.end; at += size) {
      if (cuts && at + size > sample.end) break;
      parts.push(write(sample.bytes.subarray(at, Math.min(sample.end, at + size))));
    }
    return writeText(sample, parts.join(between), transaction);
  };
}

function urlDecode(sample: Sample, transaction: Transaction, inForm: boolean): boolean {
  const { bytes, start, end } = sample;
  const at = room(transaction.scratch, end - start);
  if (at < 0) return false;
  const out = transaction.bytes;
  let to = at;
  let form = inForm;
  for (let from = start; from < end; from++) {
    let byte = bytes[from] as number;
    if (byte === 0x2b && form) byte = 0x20;
    else if (byte === 0x3f) form = true;
    else if (byte === 0x25) {
      const [high, low] = [hexDigit(bytes[from + 1] ?? 0), hexDigit(bytes[from + 2] ?? 0)];
      if (from + 2 >= end || high < 0 || low < 0) return false;
      byte = high * 16 + low;
      from += 2;
    }
    out[to++] = byte;
  }
  return setRange(sample, STR, out, at, to);
}

const UNRESERVED = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9\-._~]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

const urlEncode: Convert = (sample, transaction) => {
  const { bytes, start, end } = sample;
  const at = room(transaction.scratch, 3 * (end - start));
  if (at < 0) return false;
  const out = transaction.bytes;
  let to = at;
  for (let from = start; from < end; from++) {
    const byte = bytes[from] as number;
    if (UNRESERVED[byte] === 1) {
      out[to++] = byte;
      continue;
    }
    out[to++] = 0x25;
    out[to++] = HEX.charCodeAt(byte >> 4);
    out[to++] = HEX.charCodeAt(byte & 15);
  }
  transaction.scratch.used = to;
  return setRange(sample, STR, out, at, to);
};
