import type { Micros } from "@ha/base";
import type { AddressRules } from "./address.ts";
import type { ServerDraft } from "./draft.ts";
import { warnTrailing } from "./global-keyword.ts";
import type { KeywordEntry } from "./keyword.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";
import type { TlsVersion } from "./tls-model.ts";
import { leadingNumber, parseTime, parseWhole } from "./values.ts";

/** A server's words while they are read. What only counts together (check, agent, TLS) is put together at the end. */
export interface ServerWords {
  readonly server: ServerDraft;
  /** `check` and `agent-check` stand. */
  check: boolean;
  agentCheck: boolean;
  ssl: boolean;
  /** `verify` was given by the line or its defaults. */
  verifySet: boolean;
  refusedVersions: Set<TlsVersion>;
}

export interface ServerWordContext {
  readonly reading: Reading;
  readonly line: Line;
  /** The server's name, "" on a default-server line. */
  readonly name: string;
  /** Index of the word itself on the line. */
  readonly index: number;
}

/**
 * One word of a `server` line. `read` gets its value ("" for a plain word) and returns what is wrong; a number is
 * how many words beyond the usual it took.
 */
export interface ServerWord extends KeywordEntry {
  readonly missing?: string;
  readonly read: (
    words: ServerWords,
    value: string,
    context: ServerWordContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: most readers find nothing wrong and return nothing
  ) => string | number | undefined | void;
}

export const SOURCE = "§5.2";

export const plain = (
  name: string,
  doc: string,
  read: (words: ServerWords) => void,
  status: ServerWord["status"] = "works",
): ServerWord => ({ name, syntax: name, doc, source: SOURCE, status, read });

export const valued = (
  name: string,
  value: string,
  missing: string,
  doc: string,
  read: ServerWord["read"],
  status: ServerWord["status"] = "works",
): ServerWord => ({ name, syntax: `${name} ${value}`, doc, source: SOURCE, status, missing, read });

/** A count read as C reads it; text that is no number is warned about, since HAProxy takes it for 0 in silence. */
export function count(line: Line, name: string, value: string): number {
  if (parseWhole(value) === undefined) {
    line.findings.put(
      "warning",
      "place",
      "config/not-a-number",
      line.at,
      `'${name}' of this server: '${value}' is not a number, ${leadingNumber(value)} is used as HAProxy does.`,
    );
  }
  return leadingNumber(value);
}

export const counted = (
  name: string,
  doc: string,
  set: (words: ServerWords, value: number) => void,
): ServerWord =>
  valued(
    name,
    "<number>",
    `'${name}' expects a number as argument.`,
    doc,
    (words, value, { line }) => set(words, count(line, name, value)),
  );

export function timed(
  name: string,
  doc: string,
  set: (words: ServerWords, value: Micros) => void,
  { zero = true, unit = 1_000 }: { readonly zero?: boolean; readonly unit?: number } = {},
): ServerWord {
  return valued(
    name,
    "<time>",
    `'${name}' expects a delay as argument..`,
    doc,
    (words, value, { line, name: server }) => {
      const time = parseTime(value, { unit });
      if (time.kind === "overflow") {
        return `timer overflow in argument <${value}> to <${name}> of server ${server}, maximum value is 2147483647 ms (~24.8 days)..`;
      }
      if (time.kind === "bad") {
        return `unexpected character '${time.character}' in '${name}' argument of server ${server}..`;
      }
      if (time.value === 0 && !zero)
        return `invalid value ${time.value} for argument '${name}' of server ${server}..`;
      if (time.trailing !== undefined) warnTrailing(line, value, time.trailing);
      set(words, time.value);
      return undefined;
    },
  );
}

export function choice<Name extends string>(
  name: string,
  values: readonly Name[],
  doc: string,
  set: (words: ServerWords, value: Name) => void,
): ServerWord {
  const listed = values.map((value) => `'${value}'`).join(", ");
  return valued(name, values.join("|"), `'${name}' expects <mode> as argument`, doc, (w, v) => {
    const found = values.find((value) => value === v);
    if (found === undefined) return `'${name}' expects one of ${listed} but got '${v}'.`;
    set(w, found);
    return undefined;
  });
}

/** An address that a connection goes to. */
export const CONNECT: AddressRules = {
  port: "optional",
  portZero: true,
  stream: true,
  datagram: false,
  inherited: false,
  local: true,
  names: true,
};
