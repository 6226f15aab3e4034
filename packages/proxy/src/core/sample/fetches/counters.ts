import type { Token } from "../../config/token.ts";
import { NO_ENTRY, type StickTable } from "../../server/stick-table.ts";
import { readStored, STORED_READS } from "../../server/stored-reads.ts";
import { makeKey } from "../../server/table-key.ts";
import { addToCounter, findTable, stickCounters, trackedBy } from "../../server/tracked.ts";
import type { Transaction } from "../../transaction.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Fetch, FetchKeyword } from "../fetch-keyword.ts";
import { BOOL, createSample, SINT, setBool, setInt } from "../sample.ts";
import { setAddress } from "./client.ts";
import { LAYER_CLIENT } from "./declare.ts";

const SOURCE = "HAProxy configuration manual §7.3.3";

/** The entry that a fetch looks at, held while it does; `NO_ENTRY` for none. */
interface Located {
  table: StickTable | undefined;
  entry: number;
}

type Locate = (transaction: Transaction, found: Located) => void;

/** What stick tables count, by tracked counter (`sc_`, `sc0_`) and by the client's address (`src_`). */
export const COUNTER_FETCHES: readonly FetchKeyword[] = [
  ...STORED_READS.flatMap(({ suffix, doc, indexed }) => [
    byCounter(`sc_${suffix}`, doc, indexed, (located, index, t) =>
      readStored(located, suffix, index, t.now),
    ),
    ...[0, 1, 2].flatMap((counter) =>
      indexed
        ? []
        : [
            byFixedCounter(counter, suffix, doc, (located, index, t) =>
              readStored(located, suffix, index, t.now),
            ),
          ],
    ),
    bySource(`src_${suffix}`, doc, indexed, (located, index, t) =>
      readStored(located, suffix, index, t.now),
    ),
  ]),
  ...["inc", "clr"].flatMap((how) =>
    ["gpc", "gpc0", "gpc1"].flatMap((field) => {
      const change = changeOf(how as "inc" | "clr", field);
      const doc =
        how === "inc"
          ? "Adds 1 to the general purpose counter and gives its new value."
          : "Sets the general purpose counter to 0 and gives its old value.";
      const indexed = field === "gpc";
      return [
        byCounter(`sc_${how}_${field}`, doc, indexed, change),
        ...(indexed
          ? []
          : [0, 1, 2].map((counter) => byFixedCounter(counter, `${how}_${field}`, doc, change))),
        bySource(`src_${how}_${field}`, doc, indexed, change, true),
      ];
    }),
  ),
  ...["tracked", "trackers"].flatMap((what) => [
    {
      name: `sc_${what}`,
      syntax: `sc_${what}(<ctr>[,<table>])`,
      doc:
        what === "tracked"
          ? "Whether the counter tracks something."
          : "How many track the same entry.",
      source: SOURCE,
      layer: LAYER_CLIENT,
      type: what === "tracked" ? BOOL : SINT,
      arity: [1, 2],
      compile: (args: readonly Argument[], context: CompileContext, token: Token) =>
        trackedFetch(what, args, context, token),
    } satisfies FetchKeyword,
    ...[0, 1, 2].map(
      (counter) =>
        ({
          name: `sc${counter}_${what}`,
          syntax: `sc${counter}_${what}([<table>])`,
          doc:
            what === "tracked"
              ? "Whether the counter tracks something."
              : "How many track the same entry.",
          source: SOURCE,
          layer: LAYER_CLIENT,
          type: what === "tracked" ? BOOL : SINT,
          arity: [0, 1],
          compile: (args: readonly Argument[], context: CompileContext, token: Token) =>
            trackedFetch(what, [{ text: String(counter), token }, ...args], context, token),
        }) satisfies FetchKeyword,
    ),
  ]),
  {
    name: "src_updt_conn_cnt",
    syntax: "src_updt_conn_cnt([<table>])",
    doc: "Makes or finds the entry of the client's address, adds 1 to its conn_cnt and gives the new value.",
    source: SOURCE,
    layer: LAYER_CLIENT,
    type: SINT,
    arity: [0, 1],
    compile: (args, context, token) => {
      const table = tableOf(args[0], context, token);
      if (table === undefined) return undefined;
      const locate = sourceIn(table, true);
      return withEntry(locate, ({ entry }, t) => {
        const field = table.field("conn_cnt");
        return field === undefined ? undefined : table.add(entry, field, 0, 1, t.now);
      });
    },
  },
  ...(["table_avl", "table_cnt"] as const).map(
    (name): FetchKeyword => ({
      name,
      syntax: `${name}([<table>])`,
      doc: name === "table_avl" ? "Free entries of the table." : "Entries in use of the table.",
      source: "HAProxy configuration manual §7.3.2",
      layer: "internal",
      type: SINT,
      arity: [0, 1],
      compile: (args, context, token) => {
        const table = tableOf(args[0], context, token);
        if (table === undefined) return undefined;
        return (_t, sample) =>
          setInt(sample, name === "table_cnt" ? table.used : table.spec.size - table.used);
      },
    }),
  ),
];

type Use = (
  located: { table: StickTable; entry: number },
  index: number,
  t: Transaction,
) => number | undefined;

function changeOf(how: "inc" | "clr", name: string): Use {
  return ({ table, entry }, index, t) => {
    const number = name === "gpc" ? index : name === "gpc0" ? 0 : 1;
    if (how === "inc") return addToCounter({ table, entry }, number, 1, t.now);
    const array = table.field("gpc");
    const old = number <= 1 ? table.field(`gpc${number}`) : undefined;
    if (array !== undefined && number < array.elements)
      return table.set(entry, array, number, 0, t.now);
    return old === undefined ? undefined : table.set(entry, old, 0, 0, t.now);
  };
}

function byCounter(name: string, doc: string, indexed: boolean, use: Use): FetchKeyword {
  return {
    name,
    syntax: `${name}(${indexed ? "<idx>," : ""}<ctr>[,<table>])`,
    doc,
    source: SOURCE,
    layer: LAYER_CLIENT,
    type: SINT,
    arity: indexed ? [2, 3] : [1, 2],
    compile: (args, context, token) => counterFetch(indexed, args, context, token, use),
  };
}

function byFixedCounter(counter: number, suffix: string, doc: string, use: Use): FetchKeyword {
  const name = `sc${counter}_${suffix}`;
  return {
    name,
    syntax: `${name}([<table>])`,
    doc,
    source: SOURCE,
    layer: LAYER_CLIENT,
    type: SINT,
    arity: [0, 1],
    compile: (args, context, token) =>
      counterFetch(false, [{ text: String(counter), token }, ...args], context, token, use),
  };
}

function bySource(
  name: string,
  doc: string,
  indexed: boolean,
  use: Use,
  creates = false,
): FetchKeyword {
  return {
    name,
    syntax: `${name}(${indexed ? "<idx>," : ""}[<table>])`,
    doc,
    source: SOURCE,
    layer: LAYER_CLIENT,
    type: SINT,
    arity: indexed ? [1, 2] : [0, 1],
    compile: (args, context, token) => {
      const index = indexed ? indexOf(args[0], context, token) : 0;
      const table = tableOf(args[indexed ? 1 : 0], context, token);
      if (index === undefined || table === undefined) return undefined;
      return withEntry(sourceIn(table, creates), (located, t) => use(located, index, t));
    },
  };
}

function counterFetch(
  indexed: boolean,
  args: readonly Argument[],
  context: CompileContext,
  token: Token,
  use: Use,
): Fetch | undefined {
  const index = indexed ? indexOf(args[0], context, token) : 0;
  const locate = counterOf(args[indexed ? 1 : 0], args[indexed ? 2 : 1], context, token);
  if (index === undefined || locate === undefined) return undefined;
  return withEntry(locate, (located, t) => use(located, index, t));
}

function indexOf(
  argument: Argument | undefined,
  context: CompileContext,
  token: Token,
): number | undefined {
  const index = Number(argument?.text);
  if (Number.isInteger(index) && index >= 0 && index < 100) return index;
  return refuse(context, token, `'${argument?.text}' is not a counter's index: 0 to 99`);
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

/** Looks at what the counter tracks; in another table when one is named, by the same key. */
function counterOf(
  argument: Argument | undefined,
  tableName: Argument | undefined,
  context: CompileContext,
  token: Token,
): Locate | undefined {
  const counter = Number(argument?.text);
  if (!Number.isInteger(counter) || counter < 0 || counter >= stickCounters(context)) {
    return refuse(
      context,
      token,
      `counter '${argument?.text}' does not exist: there are 0 to ${stickCounters(context) - 1}`,
    );
  }
  const other = tableName === undefined ? undefined : tableOf(tableName, context, token);
  if (tableName !== undefined && other === undefined) return undefined;
  return (t, found) => {
    const tracked = trackedBy(t, counter);
    if (tracked === undefined) return;
    if (other === undefined || other === tracked.table) {
      tracked.table.hold(tracked.entry);
      found.table = tracked.table;
      found.entry = tracked.entry;
      return;
    }
    const key = tracked.table.key(tracked.entry);
    found.table = other;
    found.entry = other.find(key, 0, key.length, t.now);
  };
}

function sourceIn(table: StickTable, creates: boolean): Locate {
  const sample = createSample();
  return (t, found) => {
    if (!setAddress(sample, t.session.source) || !makeKey(sample, table, t)) return;
    found.table = table;
    const { bytes, start, end } = sample;
    found.entry = creates
      ? table.obtain(bytes, start, end, t.now)
      : table.find(bytes, start, end, t.now);
  };
}

function look(locate: Locate, t: Transaction, found: Located): Located {
  found.table = undefined;
  found.entry = NO_ENTRY;
  locate(t, found);
  return found;
}

/** Zero where there is no entry, no sample where the table does not keep it. */
function withEntry(
  locate: Locate,
  use: (located: { table: StickTable; entry: number }, t: Transaction) => number | undefined,
): Fetch {
  const found: Located = { table: undefined, entry: NO_ENTRY };
  return (t, sample) => {
    const { table, entry } = look(locate, t, found);
    if (table === undefined) return false;
    if (entry === NO_ENTRY) return setInt(sample, 0);
    const value = use({ table, entry }, t);
    table.release(entry);
    return value !== undefined && setInt(sample, value);
  };
}

function trackedFetch(
  what: string,
  args: readonly Argument[],
  context: CompileContext,
  token: Token,
): Fetch | undefined {
  const locate = counterOf(args[0], args[1], context, token);
  if (locate === undefined) return undefined;
  const found: Located = { table: undefined, entry: NO_ENTRY };
  return (t, sample) => {
    const { table, entry } = look(locate, t, found);
    const isThere = table !== undefined && entry !== NO_ENTRY;
    if (!isThere) return what === "tracked" && setBool(sample, false);
    const holders = table.references(entry) - 1;
    table.release(entry);
    return what === "tracked" ? setBool(sample, true) : setInt(sample, holders);
  };
}
