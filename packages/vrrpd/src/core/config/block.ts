import type { Diagnostics, Position, Statement, Token } from "@ha/base";
import { type Entry, lookUp, type Table } from "./entry.ts";
import { withoutEffect } from "./unsupported.ts";

type ValueOf<E> = E extends Entry<infer T> ? T : never;

/** A value and the statement it was written in. */
export interface Written<T> {
  readonly value: T;
  readonly statement: Statement;
  readonly at: Position;
}

/** The values of one block, typed by its table; each still knows where it stands. */
export class Block<T extends Table> {
  readonly #written = new Map<string, Written<unknown>[]>();

  readonly table: T;
  /** Of the block's keyword. */
  readonly at: Position | undefined;
  readonly name: string;

  constructor(table: T, at: Position | undefined, name: string) {
    this.table = table;
    this.at = at;
    this.name = name;
  }

  /** Undefined when the keyword is not written (or was wrong and dropped). */
  get<K extends keyof T & string>(keyword: K): ValueOf<T[K]> | undefined {
    return this.written(keyword)?.value;
  }

  /** The value, or the default of the table. */
  take<K extends keyof T & string>(keyword: K): ValueOf<T[K]> | undefined {
    const written = this.written(keyword);
    return written === undefined ? (this.table[keyword]?.default as ValueOf<T[K]>) : written.value;
  }

  /** The statement that counts, by a name that this table need not have. */
  statementOf(keyword: string): Statement | undefined {
    const known = lookUp(this.table, keyword);
    const all = this.#written.get(keyword);
    return (known?.repeated === "first" ? all?.[0] : all?.at(-1))?.statement;
  }

  has(keyword: keyof T & string): boolean {
    return this.#written.has(keyword);
  }

  positionOf(keyword: keyof T & string): Position | undefined {
    return this.#written.get(keyword)?.at(-1)?.at ?? this.at;
  }

  written<K extends keyof T & string>(keyword: K): Written<ValueOf<T[K]>> | undefined {
    const all = this.#written.get(keyword) as Written<ValueOf<T[K]>>[] | undefined;
    if (all === undefined) return undefined;
    return this.table[keyword]?.repeated === "first" ? all[0] : all.at(-1);
  }

  all<K extends keyof T & string>(keyword: K): readonly Written<ValueOf<T[K]>>[] {
    return (this.#written.get(keyword) ?? []) as readonly Written<ValueOf<T[K]>>[];
  }

  /** The lines of all blocks of that keyword together: `virtual_ipaddress`, `track_script` … */
  lines(keyword: keyof T & string): readonly Statement[] {
    return (this.#written.get(keyword) ?? []).flatMap(({ statement }) => statement.body ?? []);
  }

  add(keyword: string, written: Written<unknown>): void {
    const list = this.#written.get(keyword);
    if (list === undefined) this.#written.set(keyword, [written]);
    else list.push(written);
  }
}

/** The third stage: statements to values, by the table. Keywords inside inner blocks are left to who knows them. */
export function readBlock<T extends Table>(
  table: T,
  statements: readonly Statement[],
  diagnostics: Diagnostics,
  block: { readonly at?: Position; readonly name?: string } = {},
): Block<T> {
  const values = new Block(table, block.at, block.name ?? "");
  for (const statement of statements) {
    const [head, ...args] = statement.words;
    const known = lookUp(table, head.text);
    if (known === undefined) continue;
    tellStatus(head, known, diagnostics);
    if (args.length < (known.needs ?? 0)) {
      diagnostics.error(
        "config/missing-parameter",
        head.at,
        `${head.text} lacks its value; keepalived stops reading here`,
        `write: ${known.syntax}`,
      );
      continue;
    }
    if (values.has(head.text) && known.repeated === "first") {
      diagnostics.warning(
        "config/repeated",
        head.at,
        `${head.text} is written twice, the first one counts`,
      );
    }
    const value = readValue(statement, known, diagnostics);
    if (value !== undefined) values.add(head.text, { value, statement, at: head.at });
  }
  return values;
}

function readValue({ words }: Statement, known: Entry, diagnostics: Diagnostics): unknown {
  const [head, ...args] = words;
  const texts = args.map(({ text }) => text);
  const parsed = known.schema.safeParse(texts);
  if (parsed.success) return parsed.data;
  const repaired = known.repair?.(texts);
  const problem = parsed.error.issues[0]?.message ?? "is wrong";
  const at = args[0]?.at ?? head.at;
  const hint = `write: ${known.syntax}`;
  if (repaired === undefined) {
    diagnostics.error("config/bad-value", at, `${head.text} ${problem}`, hint);
  } else {
    diagnostics.warning(
      "config/corrected",
      at,
      `${head.text} ${problem}; goes on with ${shown(known, repaired)}`,
      hint,
    );
  }
  return repaired;
}

/** A time as the file would have it, in seconds; anything else as it is. */
function shown(known: Entry, value: unknown): string {
  if (typeof value === "number") {
    const seconds = known.schema.safeParse([String(value / 1e6)]);
    if (seconds.success && seconds.data === value) return String(value / 1e6);
  }
  return String(value);
}

function tellStatus(head: Token, known: Entry, diagnostics: Diagnostics): void {
  const why = withoutEffect.get(head.text);
  switch (why === undefined ? known.status : "no effect") {
    case undefined:
      return;
    case "deprecated":
      diagnostics.warning(
        "config/deprecated",
        head.at,
        `${head.text} is deprecated`,
        known.instead === undefined ? undefined : `write: ${known.instead}`,
      );
      return;
    case "not served":
      diagnostics.warning(
        "config/not-served",
        head.at,
        `${head.text} is not served by vrrpd`,
        "load balancing is lbproxy's work; keep keepalived for IPVS",
      );
      return;
    case "not supported":
      diagnostics.warning("config/not-supported", head.at, `${head.text} is not supported`);
      return;
    case "no effect":
      diagnostics.warning(
        "config/no-effect",
        head.at,
        `${head.text} has no effect in vrrpd`,
        why ?? known.doc,
      );
  }
}
