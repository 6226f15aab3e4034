import { formatAddress, type IpAddress } from "@ha/base";
import { type Entry, lookUp, type Table } from "./entry.ts";
import { globalTable } from "./global-table.ts";
import { topTable } from "./group-tables.ts";
import { withoutEffect } from "./unsupported.ts";

/** The reference page of all keywords, in Markdown, from the tables: `docs/keepalived-conf.md`. */
export function referencePage(): string {
  const parts = [
    "# keepalived.conf: every keyword",
    "This page is generated from the keyword tables (`npm run docs`); do not edit it.",
    [
      "vrrpd reads the files of keepalived. A keyword marked **vrrpd** is our own: it may stand on an `@vrrpd` line,",
      "which keepalived skips, so that one file serves both. *restart* means that a reload begins anew what the",
      "keyword is about; everything else changes while it runs.",
    ].join("\n"),
  ];
  for (const name of Object.keys(topTable)) {
    const known = lookUp(topTable, name);
    if (known === undefined) continue;
    const table = tableOf(known);
    if (table === undefined) continue;
    parts.push(`## ${name}`, `\`${known.syntax}\``, known.doc, tableText(table));
    for (const inner of Object.keys(table)) {
      const entry = lookUp(table, inner);
      const nested = entry === undefined ? undefined : tableOf(entry);
      if (entry === undefined || nested === undefined) continue;
      parts.push(`### ${inner} in ${name}`, entry.doc, tableText(nested));
    }
  }
  const rest = Object.fromEntries(
    Object.entries(topTable).filter(([, known]) => tableOf(known) === undefined),
  );
  parts.push("## Outside of other blocks", tableText(rest));
  return `${parts.join("\n\n")}\n`;
}

/** Our own keywords as one Markdown table, for the README. */
export function ownKeywordsTable(): string {
  const rows: string[] = [];
  const add = (table: Table, where: string): void => {
    for (const [name, known] of Object.entries(table)) {
      if (known.ours !== true) continue;
      rows.push(`| \`${name}\` | ${where} | ${defaultText(known)} | ${cell(known.doc)} |`);
    }
  };
  add(globalTable, "global_defs");
  for (const [name, known] of Object.entries(topTable)) {
    const table = tableOf(known);
    if (table !== undefined && name !== "global_defs") add(table, name);
  }
  return ["| keyword | where | default | meaning |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

function tableOf({ body }: Entry): Table | undefined {
  return typeof body === "object" ? body : undefined;
}

function tableText(table: Table): string {
  const rows = Object.values(table)
    .filter((known) => tableOf(known) === undefined || known.named !== true)
    .map(
      (known) =>
        `| \`${cell(known.syntax)}\` | ${defaultText(known)} | ${meaning(known)} | ${cell(known.source)} |`,
    );
  return ["| syntax | default | meaning | source |", "| --- | --- | --- | --- |", ...rows].join(
    "\n",
  );
}

function meaning(known: Entry): string {
  const [keyword = ""] = known.syntax.split(" ");
  const status = withoutEffect.has(keyword) ? "no effect" : known.status;
  const marks = [
    known.ours === true ? "**vrrpd**" : undefined,
    status === undefined ? undefined : `**${status}**`,
    known.since === undefined ? undefined : `(since ${known.since})`,
  ].filter((mark) => mark !== undefined);
  const instead = known.instead === undefined ? "" : ` Instead: ${known.instead}.`;
  const reload = known.reload === "restart" ? " *restart*" : "";
  return cell([...marks, known.doc].join(" ") + instead + reload);
}

function defaultText({ default: value, schema, syntax }: Entry): string {
  if (value === undefined) return "";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "number") {
    // Times are microseconds inside; the file has seconds, or the unit that its syntax names.
    if (/<seconds>|<0\.\.|<1\.\.4294>|<0\.01/.test(syntax) && isTime(schema, value))
      return String(value / 1e6);
    if (/milliseconds/.test(syntax)) return String(value / 1e3);
    return String(value);
  }
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && "weight" in value) return String(value.weight);
  if (isAddress(value)) return formatAddress(value);
  return "";
}

/** Whether the schema reads the number of seconds as so many microseconds. */
function isTime(schema: Entry["schema"], value: number): boolean {
  const parsed = schema.safeParse([String(value / 1e6)]);
  return parsed.success && parsed.data === value;
}

function isAddress(value: unknown): value is IpAddress {
  return typeof value === "object" && value !== null && "family" in value && "bytes" in value;
}

function cell(text: string): string {
  return text.replace(/\|/g, "\\|");
}
