import type { Transaction } from "../../transaction.ts";
import type { CompileContext } from "../compile-context.ts";
import type { Fetch, FetchKeyword, Layer } from "../fetch-keyword.ts";
import { BOOL, type DeclaredType, SINT, setBool, setInt } from "../sample.ts";

/** What every entry of one file has in common. */
export interface Family {
  readonly layer: Layer;
  readonly source: string;
}

/** A fetch without arguments. */
export function plain(
  family: Family,
  name: string,
  type: DeclaredType,
  doc: string,
  make: (context: CompileContext) => Fetch,
  aliases: readonly string[] = [],
): FetchKeyword {
  return {
    name,
    aliases,
    syntax: name,
    doc,
    ...family,
    type,
    compile: (_args, context) => make(context),
  };
}

/** A number without arguments; negative and NaN-free by contract of `read`; undefined is no sample. */
export function number(
  family: Family,
  name: string,
  doc: string,
  read: (transaction: Transaction) => number | undefined,
  aliases: readonly string[] = [],
): FetchKeyword {
  const fetch: Fetch = (transaction, sample) => {
    const value = read(transaction);
    return value !== undefined && setInt(sample, value);
  };
  return { name, aliases, syntax: name, doc, ...family, type: SINT, compile: () => fetch };
}

export function flag(
  family: Family,
  name: string,
  doc: string,
  read: (transaction: Transaction) => boolean,
  aliases: readonly string[] = [],
): FetchKeyword {
  const fetch: Fetch = (transaction, sample) => setBool(sample, read(transaction));
  return { name, aliases, syntax: name, doc, ...family, type: BOOL, compile: () => fetch };
}

/** The layer of what stick tables count. */
export const LAYER_CLIENT = "client" satisfies Layer;
