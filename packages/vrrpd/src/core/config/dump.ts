import type { Statement, Token } from "@ha/base";
import { splitCommand } from "./command-words.ts";
import { type Entry, lookUp, type Table } from "./entry.ts";
import { topTable } from "./group-tables.ts";

export interface DumpOptions {
  /** Leave out the keywords that keepalived does not have. */
  readonly strict: boolean;
}

/**
 * The tree as a file of keepalived's: includes, definitions and sequences written out, comments gone. Our own keywords
 * stand on `@vrrpd` lines, which keepalived skips. Reading it again gives the same configuration.
 */
export function dumpConf(tree: readonly Statement[], options: DumpOptions): string {
  const lines: string[] = [];
  writeStatements(tree, topTable, "", options, lines);
  return lines.map((line) => `${line}\n`).join("");
}

function writeStatements(
  statements: readonly Statement[],
  table: Table,
  indent: string,
  options: DumpOptions,
  lines: string[],
): void {
  for (const statement of statements) {
    const [head] = statement.words;
    const known = lookUp(table, head.text);
    if (known === undefined || (known.ours === true && options.strict)) continue;
    const own = known.ours === true ? "@vrrpd " : "";
    const text = `${indent}${own}${lineOf(statement, known)}`;
    const { body } = known;
    if (body === undefined) {
      lines.push(text);
      continue;
    }
    lines.push(`${text} {`);
    const inner = `${indent}    `;
    if (body === "lines") {
      for (const { words } of statement.body ?? [])
        lines.push(inner + own + words.map(quoteWord).join(" "));
    } else if (body !== "ignored") {
      writeStatements(statement.body ?? [], body, inner, options, lines);
    }
    lines.push(`${indent}${own}}`);
  }
}

function lineOf({ words, text }: Statement, known: Entry): string {
  return known.command === true ? protect(text) : words.map(quoteWord).join(" ");
}

/** Quotes a word where it would fall apart, end a line or begin something else. */
export function quoteWord({ text }: Token): string {
  return text === "" || /[\s#!{}]/.test(text) || /^[@~$]/.test(text) ? `"${text}"` : text;
}

/** `#` and `!` outside of double quotes would begin a comment when the text is read again. */
function protect(text: string): string {
  return text.replace(/"[^"]*"|[#!]/g, (found) =>
    found === "#" ? `\${_HASH}` : found === "!" ? `\${_BANG}` : found,
  );
}

/** A value of the tree as YAML and JSON have it. */
export type Plain = string | number | true | readonly Plain[] | { readonly [key: string]: Plain };

/**
 * The tree as maps and lists: a named block is a map by name, a block of lines a list, a keyword without value `true`,
 * one that is written several times a list.
 */
export function toPlain(tree: readonly Statement[], options: DumpOptions): Plain {
  return plainBlock(tree, topTable, options);
}

function plainBlock(statements: readonly Statement[], table: Table, options: DumpOptions): Plain {
  const result = new Map<string, Plain>();
  const lists = new Set<string>();
  for (const statement of statements) {
    const [head, name] = statement.words;
    const known = lookUp(table, head.text);
    if (known === undefined || (known.ours === true && options.strict)) continue;
    if (known.body === "ignored") continue;
    const value = plainValue(statement, known, options);
    const before = result.get(head.text);
    if (known.named === true && name !== undefined) {
      const named = before === undefined ? {} : (before as { readonly [key: string]: Plain });
      if (!Object.hasOwn(named, name.text)) result.set(head.text, { ...named, [name.text]: value });
      continue;
    }
    if (before === undefined) result.set(head.text, value);
    else if (lists.has(head.text)) result.set(head.text, [...(before as readonly Plain[]), value]);
    else {
      lists.add(head.text);
      result.set(head.text, [before, value]);
    }
  }
  return Object.fromEntries(result);
}

function plainValue(statement: Statement, known: Entry, options: DumpOptions): Plain {
  const { words, body, text } = statement;
  if (known.body === "lines") {
    return (body ?? []).map((line) => scalarOf(line.words.map(quoteWord).join(" ")));
  }
  if (known.body !== undefined && known.body !== "ignored") {
    return plainBlock(body ?? [], known.body, options);
  }
  const args = words.slice(1);
  if (args.length === 0) return true;
  if (known.command === true) {
    const command = splitCommand(text)?.slice(1) ?? [];
    const [only] = command;
    return command.length === 1 && only !== undefined ? only : command;
  }
  return scalarOf(args.map(quoteWord).join(" "));
}

/** A number where that is exactly how it is written. */
function scalarOf(text: string): string | number {
  const number = Number(text);
  return text !== "" && Number.isFinite(number) && String(number) === text ? number : text;
}
