import { formatAddress, parseAddress } from "@ha/base";
import type { Field, StickTable } from "../../core/server/stick-table.ts";
import { NO_ENTRY } from "../../core/server/stick-table.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

const OPERATORS = ["eq", "ne", "le", "ge", "lt", "gt"] as const;
type Operator = (typeof OPERATORS)[number];

interface DataFilter {
  readonly field: Field;
  readonly operator: Operator;
  readonly value: number;
}

export const tableCommands: readonly Command[] = [
  {
    words: ["show", "table"],
    usage: "show table <table> [<filter>]*",
    doc: "lists stick tables, or the entries of one (filter: data/key)",
    level: "user",
    run: (args, context) => {
      const { tables, now } = context.process.source;
      const [name, ...rest] = args;
      if (name === undefined)
        return [...tables].map(([known, table]) => heading(known, table)).join("");
      return onTable(name, context, (table) => {
        const chosen = choose(table, rest, now());
        if ("refusal" in chosen) return chosen;
        let text = rest[0] === "key" && chosen.entries.length === 0 ? "" : heading(name, table);
        for (const entry of chosen.entries) {
          // The look itself holds the entry: it is no user of it.
          text += entryLine(table, entry, now());
          table.release(entry);
        }
        return text;
      });
    },
  },
  {
    words: ["clear", "table"],
    usage: "clear table <table> [<filter>]*",
    doc: "removes entries from a stick table (filter: data/key)",
    level: "operator",
    run: ([name, ...rest], context) => {
      if (name === undefined) {
        return refuse(
          'Required arguments: <table> "data.<store_data_type>" <operator> <value> or <table> key <key>',
        );
      }
      return onTable(name, context, (table) => {
        const chosen = choose(table, rest, context.process.source.now());
        if ("refusal" in chosen) return chosen;
        let inUse = false;
        for (const entry of chosen.entries) {
          if (table.remove(entry)) continue;
          table.release(entry);
          inUse = true;
        }
        return inUse && rest[0] === "key" ? refuse("Entry currently in use, cannot remove") : "";
      });
    },
  },
  {
    words: ["set", "table"],
    usage: "set table <table> key <k> [data.* <v>]*",
    doc: "makes or changes an entry of a stick table",
    level: "operator",
    run: ([name, word, key, ...rest], context) => {
      if (name === undefined) {
        return refuse("Required arguments: <table> key <key> [data.<store_data_type> <value>]*");
      }
      return onTable(name, context, (table) => {
        if (word === undefined) return "";
        if (word !== "key" || key === undefined)
          return refuse("Required arguments: <table> key <key> [data.<store_data_type> <value>]*");
        return setEntry(table, key, rest, context.process.source.now());
      });
    },
  },
];

function setEntry(
  table: StickTable,
  key: string,
  words: readonly string[],
  now: number,
): string | Refusal {
  const bytes = keyBytes(table, key);
  if (bytes === undefined) return refuse("Invalid key");
  const changes: { readonly field: Field; readonly element: number; readonly value: number }[] = [];
  for (let i = 0; i < words.length; i += 2) {
    const found = dataOf(table, words[i] as string);
    if (found === undefined) return refuse("Unknown data type");
    const value = words[i + 1];
    if (value === undefined || !/^-?\d+$/.test(value))
      return refuse("Require a valid integer value to store");
    changes.push({ ...found, value: Number(value) });
  }
  const entry = table.obtain(bytes, 0, bytes.length, now);
  if (entry === NO_ENTRY) return refuse("Unable to allocate a new entry");
  for (const { field, element, value } of changes) table.set(entry, field, element, value, now);
  table.release(entry, now);
  return "";
}

/** The entries that filters leave, each held once by the caller. */
function choose(
  table: StickTable,
  words: readonly string[],
  now: number,
): { readonly entries: number[] } | Refusal {
  if (words[0] === "key") {
    const bytes = keyBytes(table, words[1] ?? "");
    if (bytes === undefined) return refuse("Invalid key");
    const entry = table.find(bytes, 0, bytes.length, now);
    return { entries: entry === NO_ENTRY ? [] : [entry] };
  }
  const filters: DataFilter[] = [];
  for (let i = 0; i < words.length; i += 3) {
    const number = i / 3 + 1;
    const found = dataOf(table, words[i] as string);
    if (found === undefined) return refuse(`Filter entry #${number}: Unknown data type`);
    const operator = OPERATORS.find((known) => known === words[i + 1]);
    if (operator === undefined) {
      return refuse(
        `Filter entry #${number}: Require and operator among "eq", "ne", "le", "ge", "lt", "gt"`,
      );
    }
    const value = words[i + 2];
    if (value === undefined || !/^-?\d+$/.test(value)) {
      return refuse(`Filter entry #${number}: Require a valid integer value to compare against`);
    }
    filters.push({ field: found.field, operator, value: Number(value) });
  }
  const entries: number[] = [];
  for (const entry of table.entries(now)) {
    const holds = filters.every(({ field, operator, value }) =>
      compare(table.read(entry, field, 0, now), operator, value),
    );
    if (!holds) continue;
    table.hold(entry);
    entries.push(entry);
  }
  return { entries };
}

function compare(left: number, operator: Operator, right: number): boolean {
  switch (operator) {
    case "eq":
      return left === right;
    case "ne":
      return left !== right;
    case "le":
      return left <= right;
    case "ge":
      return left >= right;
    case "lt":
      return left < right;
    case "gt":
      return left > right;
  }
}

/** `data.http_req_rate`, `data.gpc[2]`. */
function dataOf(table: StickTable, word: string) {
  const match = /^data\.([a-z0-9_]+)(?:\[(\d+)\])?$/.exec(word);
  const field = match === null ? undefined : table.field(match[1] as string);
  const element = Number(match?.[2] ?? 0);
  return field === undefined || element >= field.elements ? undefined : { field, element };
}

/** A key as commands write it. Undefined when it cannot be one of that table. */
function keyBytes({ spec }: StickTable, text: string): Uint8Array | undefined {
  switch (spec.type) {
    case "ip":
    case "ipv6": {
      const address = parseAddress(text);
      return address?.family === (spec.type === "ip" ? 4 : 6) ? address.bytes : undefined;
    }
    case "integer": {
      if (!/^\d+$/.test(text)) return undefined;
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, Number(text) % 2 ** 32);
      return bytes;
    }
    case "binary": {
      if (text.length % 2 !== 0 || !/^[0-9a-f]+$/i.test(text)) return undefined;
      const bytes = new Uint8Array(spec.keySize);
      bytes.set(Buffer.from(text, "hex").subarray(0, spec.keySize));
      return bytes;
    }
    default:
      return text === "" ? undefined : Buffer.from(text, "latin1");
  }
}

function heading(name: string, table: StickTable): string {
  const { type, size } = table.spec;
  return `# table: ${name}, type: ${type}, size:${size}, used:${table.used}\n`;
}

function entryLine(table: StickTable, entry: number, now: number): string {
  const expires = table.expiresIn(entry, now);
  // The caller's own hold does not count.
  const users = table.references(entry) - 1;
  let line = `0x${(entry + 1).toString(16)}: key=${keyText(table, entry)} use=${users} exp=${Number.isFinite(expires) ? expires : 0}`;
  for (const field of inOrder(table)) {
    for (let element = 0; element < field.elements; element++) {
      const index =
        field.elements > 1 || field.name === "gpc" || field.name === "gpt" ? `[${element}]` : "";
      const period = field.kind === "rate" ? `(${field.period})` : "";
      line += ` ${field.name}${index}${period}=${table.read(entry, field, element, now)}`;
    }
  }
  return `${line}\n`;
}

/** HAProxy's own order of stored data, whatever the table's line says. */
function inOrder({ fields }: StickTable): readonly Field[] {
  const place = ({ name }: Field) => {
    const at = DATA_ORDER.indexOf(name);
    return at === -1 ? DATA_ORDER.length : at;
  };
  return [...fields.values()].sort((a, b) => place(a) - place(b));
}

const DATA_ORDER: readonly string[] =
  "server_id gpt0 gpc0 gpc0_rate conn_cnt conn_rate conn_cur sess_cnt sess_rate http_req_cnt http_req_rate http_err_cnt http_err_rate bytes_in_cnt bytes_in_rate bytes_out_cnt bytes_out_rate gpc1 gpc1_rate server_key http_fail_cnt http_fail_rate gpt gpc gpc_rate glitch_cnt glitch_rate".split(
    " ",
  );

function keyText(table: StickTable, entry: number): string {
  const key = table.key(entry);
  switch (table.spec.type) {
    case "ip":
      return formatAddress({ family: 4, bytes: key });
    case "ipv6":
      return formatAddress({ family: 6, bytes: key });
    case "integer":
      return String(new DataView(key.buffer, key.byteOffset, 4).getUint32(0));
    case "binary":
      return Buffer.from(key).toString("hex").toUpperCase();
    default:
      return Buffer.from(key).toString("latin1");
  }
}

function onTable(
  name: string,
  { process }: CommandContext,
  then: (table: StickTable) => string | Refusal,
): string | Refusal {
  const table = process.source.tables.get(name);
  return table === undefined ? refuse("No such table") : then(table);
}
