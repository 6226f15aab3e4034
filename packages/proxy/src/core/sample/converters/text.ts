import { compileRegex } from "../../condition/regex.ts";
import type { Token } from "../../config/token.ts";
import { expand, parseReplacement } from "../../rule/replacement.ts";
import type { Transaction } from "../../transaction.ts";
import { castChecked, writeText } from "../cast.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Convert, ConverterKeyword } from "../fetch-keyword.ts";
import {
  BIN,
  encodeText,
  latin1,
  room,
  type Sample,
  SINT,
  STR,
  setInt,
  setRange,
} from "../sample.ts";
import { loadValue } from "../variable.ts";
import { integerArgument, variableArgument } from "./arguments.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";
const ZERO_TO_ZERO: readonly [number, number] = [0, 0];

/** Converters over texts and bytes. */
export const TEXT_CONVERTERS: readonly ConverterKeyword[] = [
  bytewise("lower", "Lower case, ASCII letters only.", (byte) =>
    byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte,
  ),
  bytewise("upper", "Upper case, ASCII letters only.", (byte) =>
    byte >= 0x61 && byte <= 0x7a ? byte & 0xdf : byte,
  ),
  {
    name: "length",
    syntax: "length",
    doc: "Length of the text in bytes.",
    source: SOURCE,
    input: STR,
    output: SINT,
    compile: () => (sample) => setInt(sample, sample.end - sample.start),
  },
  {
    name: "bytes",
    syntax: "bytes(<offset>[,<length>])",
    doc: "Bytes from <offset> on, at most <length>.",
    source: SOURCE,
    input: BIN,
    output: BIN,
    arity: [1, 2],
    compile: ([offset, length], context, token) => {
      const from = integerArgument(offset, context, token);
      const size = length === undefined ? undefined : integerArgument(length, context, token);
      if (from === undefined || (length !== undefined && size === undefined)) return undefined;
      if (from < 0 || (size ?? 0) < 0)
        return refuse(context, token, "'bytes' takes no negative numbers");
      return (sample) => {
        const available = sample.end - sample.start;
        if (available <= from) {
          sample.end = sample.start;
          return true;
        }
        sample.start += from;
        if (size !== undefined) sample.end = Math.min(sample.end, sample.start + size);
        return true;
      };
    },
  },
  {
    name: "field",
    syntax: "field(<index>,<delimiters>[,<count>])",
    doc: "Field <index> (from 1, negative from the end) of a text parted by any of the delimiters; <count> fields, 0 for all the rest. Empty fields count.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [2, 3],
    compile: (args, context, token) => pieces(args, context, token, false),
  },
  {
    name: "word",
    syntax: "word(<index>,<delimiters>[,<count>])",
    doc: "As field, for words: delimiters in a row part but once, and those at the ends count for nothing.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [2, 3],
    compile: (args, context, token) => pieces(args, context, token, true),
  },
  {
    name: "regsub",
    syntax: "regsub(<regex>,<subst>[,<flags>])",
    doc: "Replaces the first match (all with flag g; flag i ignores case) by <subst>, in which \\1 to \\9 are groups.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [2, 3],
    compile: ([pattern, substitution, flags], context, token) => {
      if (/[^gi]/.test(flags?.text ?? ""))
        return refuse(context, token, `regsub's flags are g and i, not '${flags?.text}'`);
      const regex = compileRegex(pattern?.text ?? "", flags?.text.includes("i") ?? false);
      if (typeof regex === "string")
        return refuse(context, token, `regular expression '${pattern?.text}': ${regex}`);
      const replacement = parseReplacement(latin1Text(substitution?.text ?? ""));
      const all = flags?.text.includes("g") ?? false;
      return (sample, transaction) => {
        const text = latin1(sample.bytes, sample.start, sample.end);
        let result = "";
        let from = 0;
        for (;;) {
          const match = regex.exec(text, from);
          if (match === undefined) break;
          result += text.slice(from, match.index) + expand(replacement, match);
          from = match.index + match[0].length;
          if (match[0].length === 0) {
            if (from >= text.length) break;
            result += text[from++];
          }
          // The output may be far longer than the input: never beyond what a buffer holds.
          if (!all || result.length > OUTPUT_LIMIT) break;
        }
        result += text.slice(from);
        return result.length <= OUTPUT_LIMIT && writeText(sample, result, transaction);
      };
    },
  },
  trimmed("rtrim", "Without the characters <chars> at its end.", (sample, isIn) => {
    while (sample.end > sample.start && isIn(sample.bytes[sample.end - 1] as number)) sample.end--;
  }),
  trimmed("ltrim", "Without the characters <chars> at its start.", (sample, isIn) => {
    while (sample.start < sample.end && isIn(sample.bytes[sample.start] as number)) sample.start++;
  }),
  {
    name: "cut_crlf",
    syntax: "cut_crlf",
    doc: "Ends the text before its first CR or LF.",
    source: SOURCE,
    input: STR,
    output: STR,
    compile: () => (sample) => {
      for (let at = sample.start; at < sample.end; at++) {
        const byte = sample.bytes[at];
        if (byte !== 13 && byte !== 10) continue;
        sample.end = at;
        break;
      }
      return true;
    },
  },
  {
    name: "concat",
    syntax: "concat([<start>],[<var>],[<end>])",
    doc: "Appends <start>, the variable's text and <end>.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [0, 3],
    compile: ([start, name, end], context, token) =>
      joined(undefined, start, name, end, context, token),
  },
  {
    name: "add_item",
    syntax: "add_item(<delim>,[<var>][,<suff>])",
    doc: "Appends <delim> (unless the text is empty), the variable's text and <suff>; nothing when both are missing.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [2, 3],
    compile: ([delimiter, name, suffix], context, token) => {
      if ((name?.text ?? "") === "" && (suffix?.text ?? "") === "")
        return refuse(context, token, "'add_item' needs a variable or a suffix");
      return joined(delimiter, undefined, name, suffix, context, token);
    },
  },
  {
    name: "strcmp",
    syntax: "strcmp(<var>)",
    doc: "Compares with the variable's text: below 0, 0 or above.",
    source: SOURCE,
    input: STR,
    output: SINT,
    arity: [1, 1],
    compile: ([name], context, token) => {
      const variable = variableArgument(name, context, token);
      if (variable === undefined) return undefined;
      const { variables } = context.world;
      return (sample, transaction) => {
        const value = variables.get(variable, transaction);
        if (value === undefined) return false;
        const { bytes, start, end } = sample;
        if (!loadValue(sample, value) || !castChecked(sample, STR, transaction)) return false;
        return setInt(sample, compare(bytes, start, end, sample));
      };
    },
  },
  {
    name: "secure_memcmp",
    syntax: "secure_memcmp(<var>)",
    doc: "Whether the bytes are those of the variable, taking as long whatever differs.",
    source: SOURCE,
    input: BIN,
    output: 1,
    arity: [1, 1],
    compile: ([name], context, token) => {
      const variable = variableArgument(name, context, token);
      if (variable === undefined) return undefined;
      const { variables } = context.world;
      return (sample, transaction) => {
        const value = variables.get(variable, transaction);
        if (value === undefined) return false;
        const { bytes, start, end } = sample;
        if (!loadValue(sample, value) || !castChecked(sample, BIN, transaction)) return false;
        const size = end - start;
        let difference = size ^ (sample.end - sample.start);
        for (let i = 0; i < size; i++)
          difference |= (bytes[start + i] as number) ^ (sample.bytes[sample.start + i] ?? 0);
        sample.type = 1;
        sample.int = difference === 0 ? 1 : 0;
        sample.wide = undefined;
        return true;
      };
    },
  },
];

const OUTPUT_LIMIT = 16384;

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
    arity: ZERO_TO_ZERO,
    compile: () => convert,
  };
}

function bytewise(name: string, doc: string, change: (byte: number) => number): ConverterKeyword {
  const table = Uint8Array.from({ length: 256 }, (_, byte) => change(byte));
  return coded(name, doc, STR, STR, (sample, transaction) => mapBytes(sample, transaction, table));
}

const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte,
);

export function lowerCase(sample: Sample, transaction: Transaction): boolean {
  return mapBytes(sample, transaction, LOWER);
}

/** Copies only when a byte changes. */
function mapBytes(sample: Sample, transaction: Transaction, table: Uint8Array): boolean {
  const { bytes, start, end } = sample;
  let from = start;
  while (from < end && table[bytes[from] as number] === bytes[from]) from++;
  if (from === end) return true;
  const at = room(transaction.scratch, end - start);
  if (at < 0) return false;
  const out = transaction.bytes;
  for (let i = start; i < end; i++) out[at + i - start] = table[bytes[i] as number] as number;
  return setRange(sample, STR, out, at, at + end - start);
}

function latin1Text(text: string): string {
  const bytes = encodeText(text);
  return latin1(bytes, 0, bytes.length);
}

/** `field` and `word`. */
function pieces(
  [index, delimiters, count]: readonly Argument[],
  context: CompileContext,
  token: Token,
  merges: boolean,
): Convert | undefined {
  const wanted = integerArgument(index, context, token);
  const most = count === undefined ? 1 : integerArgument(count, context, token);
  if (wanted === undefined || most === undefined) return undefined;
  if (wanted === 0) return refuse(context, token, "the index counts from 1, or from -1 at the end");
  const isDelimiter = new Uint8Array(256);
  for (const byte of encodeText(delimiters?.text ?? "")) isDelimiter[byte] = 1;
  return (sample) => {
    const { bytes, start, end } = sample;
    const forward = wanted > 0;
    const step = forward ? 1 : -1;
    // Offsets go from the side that is counted from; `edge` is the end on the other side.
    let at = forward ? start : end - 1;
    const edge = forward ? end : start - 1;
    const skip = (): void => {
      while (merges && at !== edge && isDelimiter[bytes[at] as number] === 1) at += step;
    };
    const pass = (): void => {
      while (at !== edge && isDelimiter[bytes[at] as number] === 0) at += step;
    };
    skip();
    for (let number = 1; number < Math.abs(wanted); number++) {
      pass();
      if (at === edge) {
        sample.end = sample.start;
        return true;
      }
      at += step;
      skip();
    }
    const first = at;
    let last = at;
    for (let number = 0; most === 0 || number < most; number++) {
      pass();
      last = at;
      if (at === edge) break;
      at += step;
      skip();
      if (at === edge && merges) break;
    }
    if (most === 0) last = edge;
    if (forward) {
      sample.start = first;
      sample.end = last;
    } else {
      sample.start = last + 1;
      sample.end = first + 1;
    }
    if (sample.end < sample.start) sample.end = sample.start;
    return true;
  };
}

function trimmed(
  name: string,
  doc: string,
  trim: (sample: Sample, isIn: (byte: number) => boolean) => void,
): ConverterKeyword {
  return {
    name,
    syntax: `${name}(<chars>)`,
    doc,
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [1, 1],
    compile: ([characters]) => {
      const set = new Uint8Array(256);
      for (const byte of encodeText(characters?.text ?? "")) set[byte] = 1;
      const isIn = (byte: number): boolean => set[byte] === 1;
      return (sample) => {
        trim(sample, isIn);
        return true;
      };
    },
  };
}

function joined(
  delimiter: Argument | undefined,
  start: Argument | undefined,
  name: Argument | undefined,
  end: Argument | undefined,
  context: CompileContext,
  token: Token,
): Convert | undefined {
  const named = name !== undefined && name.text !== "";
  const variable = named ? variableArgument(name, context, token) : undefined;
  if (named && variable === undefined) return undefined;
  const { variables } = context.world;
  const before = encodeText(start?.text ?? "");
  const after = encodeText(end?.text ?? "");
  const between = encodeText(delimiter?.text ?? "");
  return (sample, transaction) => {
    const own = sample.bytes.slice(sample.start, sample.end);
    let middle = new Uint8Array(0);
    const value = variable === undefined ? undefined : variables.get(variable, transaction);
    if (value !== undefined && loadValue(sample, value) && castChecked(sample, STR, transaction)) {
      middle = sample.bytes.slice(sample.start, sample.end);
    }
    const parts =
      delimiter === undefined
        ? [own, before, middle, after]
        : [
            own,
            own.length > 0 && middle.length + after.length > 0 ? between : EMPTY,
            middle,
            after,
          ];
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    let at = room(transaction.scratch, size);
    if (at < 0) return false;
    const from = at;
    for (const part of parts) {
      transaction.bytes.set(part, at);
      at += part.length;
    }
    return setRange(sample, STR, transaction.bytes, from, at);
  };
}

const EMPTY = new Uint8Array(0);

function compare(bytes: Uint8Array, start: number, end: number, other: Sample): number {
  const size = Math.min(end - start, other.end - other.start);
  for (let i = 0; i < size; i++) {
    const difference = (bytes[start + i] as number) - (other.bytes[other.start + i] as number);
    if (difference !== 0) return difference;
  }
  return end - start - (other.end - other.start);
}
