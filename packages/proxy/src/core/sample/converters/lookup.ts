import { patternFile } from "../../condition/pattern-file.ts";
import { compileRegex, type Regex } from "../../condition/regex.ts";
import type { Token } from "../../config/token.ts";
import { MATCH_TYPES, type MatchMethod } from "../../map/pattern-index.ts";
import { expand, parseReplacement } from "../../rule/replacement.ts";
import { NO_ENTRY, type StickTable } from "../../server/stick-table.ts";
import { readStored, STORED_READS } from "../../server/stored-reads.ts";
import { makeKey } from "../../server/table-key.ts";
import { findTable } from "../../server/tracked.ts";
import type { Transaction } from "../../transaction.ts";
import { castChecked } from "../cast.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Convert, ConverterKeyword } from "../fetch-keyword.ts";
import {
  ADDR,
  ANY,
  BOOL,
  encodeBytes,
  encodeText,
  latin1,
  type Sample,
  SINT,
  STR,
  setBool,
  setBytes,
  setInt,
} from "../sample.ts";
import { integerArgument } from "./arguments.ts";

const MAP_SOURCE = "HAProxy configuration manual §7.3.1, map";
const TABLE_SOURCE = "HAProxy configuration manual §7.3.1, table_…";

const METHODS: readonly MatchMethod[] = [
  "str",
  "beg",
  "sub",
  "dir",
  "dom",
  "end",
  "reg",
  "int",
  "ip",
  "bin",
  "len",
];

/** Lookups in maps and stick tables. */
export const LOOKUP_CONVERTERS: readonly ConverterKeyword[] = [
  mapping("map", "str", STR),
  ...METHODS.flatMap((method) => [
    mapping(`map_${method}`, method, STR),
    mapping(`map_${method}_int`, method, SINT),
    mapping(`map_${method}_ip`, method, ADDR),
  ]),
  mapping("map_regm", "reg", STR),
  {
    name: "in_table",
    syntax: "in_table(<table>)",
    doc: "Whether the table has an entry for the input.",
    source: TABLE_SOURCE,
    input: ANY,
    output: BOOL,
    arity: [0, 1],
    compile: (args, context, token) => {
      const table = tableOf(args[0], context, token);
      if (table === undefined) return undefined;
      return (sample, t) => {
        const entry = entryOf(sample, table, t);
        if (entry !== NO_ENTRY) table.release(entry);
        return setBool(sample, entry !== NO_ENTRY);
      };
    },
  },
  ...STORED_READS.map(({ suffix, doc, indexed }) => stored(suffix, doc, indexed)),
  reading(
    "table_server_id",
    "Id of the server that the entry sticks to; 0 without an entry.",
    (table, entry, t) => {
      const field = table.field("server_id");
      return field === undefined ? undefined : table.read(entry, field, 0, t.now);
    },
  ),
  reading(
    "table_trackers",
    "How many track the entry.",
    (table, entry) => table.references(entry) - 1,
  ),
  timed(
    "table_expire",
    "Milliseconds until the entry expires; <default_value> without an entry.",
    (table, entry, now) => {
      const left = table.expiresIn(entry, now);
      return Number.isFinite(left) ? left : 0;
    },
  ),
  timed(
    "table_idle",
    "Milliseconds since the entry was used; <default_value> without an entry.",
    (table, entry, now) => table.idleFor(entry, now),
  ),
];

function mapping(
  name: string,
  method: MatchMethod,
  output: typeof STR | typeof SINT | typeof ADDR,
): ConverterKeyword {
  const type = output === STR ? "text" : output === SINT ? "integer" : "address";
  return {
    name,
    syntax: `${name}(<map_file>[,<default_value>])`,
    doc: `The value (${type}) of the map's entry whose key the input matches by '${method}'; <default_value> without one.`,
    source: MAP_SOURCE,
    input: MATCH_TYPES[method],
    output,
    arity: [1, 2],
    compile: ([file, fallback], context, token) =>
      compileMap(name, method, output, file, fallback, context, token),
  };
}

function compileMap(
  name: string,
  method: MatchMethod,
  output: typeof STR | typeof SINT | typeof ADDR,
  file: Argument | undefined,
  fallback: Argument | undefined,
  context: CompileContext,
  token: Token,
): Convert | undefined {
  const list = patternFile({ text: file?.text ?? "", at: token.at }, true, context);
  if (list === undefined) return undefined;
  const index = list.use(method, false);
  if ("error" in index) return refuse(context, token, `in the map '${file?.text}': ${index.error}`);
  const standIn = fallback === undefined ? undefined : encodeText(fallback.text);
  if (
    output === SINT &&
    fallback !== undefined &&
    integerArgument(fallback, context, token) === undefined
  )
    return undefined;
  const expands = name === "map_regm";
  // Regular expressions by their text: a map's keys change seldom.
  const keys = new Map<string, Regex | undefined>();
  const compiledKey = (key: string): Regex | undefined => {
    if (!keys.has(key)) {
      const regex = compileRegex(key, false);
      keys.set(key, typeof regex === "string" ? undefined : regex);
    }
    return keys.get(key);
  };
  const give = (sample: Sample, bytes: Uint8Array, t: Transaction): boolean => {
    setBytes(sample, STR, bytes);
    return output === STR || castChecked(sample, output, t);
  };
  return (sample, t) => {
    const number = index.find(sample);
    const entry = number === -1 ? undefined : list.entry(number);
    if (entry === undefined) return standIn !== undefined && give(sample, standIn, t);
    if (!expands) return give(sample, entry.valueBytes, t);
    const regex = compiledKey(entry.key);
    const match = regex?.exec(latin1(sample.bytes, sample.start, sample.end), 0);
    if (match === undefined) return give(sample, entry.valueBytes, t);
    const text = expand(
      parseReplacement(latin1(entry.valueBytes, 0, entry.valueBytes.length)),
      match,
    );
    return give(sample, encodeBytes(text), t);
  };
}

function tableOf(
  argument: Argument | undefined,
  context: CompileContext,
  token: Token,
): StickTable | undefined {
  return findTable(
    argument === undefined || argument.text === "" ? undefined : argument,
    context,
    token,
  );
}

/** The entry of the input, held, or `NO_ENTRY`. */
function entryOf(sample: Sample, table: StickTable, t: Transaction): number {
  if (!makeKey(sample, table, t)) return NO_ENTRY;
  return table.find(sample.bytes, sample.start, sample.end, t.now);
}

function reading(
  name: string,
  doc: string,
  read: (table: StickTable, entry: number, t: Transaction) => number | undefined,
): ConverterKeyword {
  return {
    name,
    syntax: `${name}(<table>)`,
    doc,
    source: TABLE_SOURCE,
    input: ANY,
    output: SINT,
    arity: [0, 1],
    compile: (args, context, token) => {
      const table = tableOf(args[0], context, token);
      if (table === undefined) return undefined;
      return (sample, t) => {
        const entry = entryOf(sample, table, t);
        if (entry === NO_ENTRY) return setInt(sample, 0);
        const value = read(table, entry, t);
        table.release(entry);
        return value !== undefined && setInt(sample, value);
      };
    },
  };
}

function stored(suffix: string, doc: string, indexed: boolean): ConverterKeyword {
  const name = `table_${suffix.replace(/^get_/, "")}`;
  return {
    ...reading(name, `${doc} 0 without an entry.`, () => undefined),
    syntax: `${name}(${indexed ? "<idx>," : ""}<table>)`,
    arity: indexed ? [1, 2] : [0, 1],
    compile: (args, context, token) => {
      const index = indexed ? integerArgument(args[0], context, token) : 0;
      const table = tableOf(args[indexed ? 1 : 0], context, token);
      if (index === undefined || table === undefined) return undefined;
      return (sample, t) => {
        const entry = entryOf(sample, table, t);
        if (entry === NO_ENTRY) return setInt(sample, 0);
        const value = readStored({ table, entry }, suffix, index, t.now);
        table.release(entry);
        return value !== undefined && setInt(sample, value);
      };
    },
  };
}

function timed(
  name: string,
  doc: string,
  read: (table: StickTable, entry: number, now: number) => number,
): ConverterKeyword {
  return {
    ...reading(name, doc, () => undefined),
    syntax: `${name}(<table>[,<default_value>])`,
    arity: [1, 2],
    compile: ([tableName, fallback], context, token) => {
      const table = tableOf(tableName, context, token);
      const standIn =
        fallback === undefined ? undefined : integerArgument(fallback, context, token);
      if (table === undefined || (fallback !== undefined && standIn === undefined))
        return undefined;
      return (sample, t) => {
        const entry = entryOf(sample, table, t);
        if (entry === NO_ENTRY) return standIn !== undefined && setInt(sample, standIn);
        const value = read(table, entry, t.now);
        table.release(entry);
        return setInt(sample, value);
      };
    },
  };
}
