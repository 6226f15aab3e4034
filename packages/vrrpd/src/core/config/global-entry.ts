import { integer, text } from "@ha/base/keyword";
import type { Entry } from "./entry.ts";
import { boolean, flag, words } from "./schemas.ts";
import { GLOBAL } from "./sources.ts";

/** The fields that nearly all entries of this table share. */
export function global<T>(
  fields: Omit<Entry<T>, "source" | "reload"> & Partial<Entry<T>>,
): Entry<T> {
  return { source: GLOBAL, reload: "live", ...fields };
}

export const on = (name: string, doc: string) =>
  global({ syntax: name, schema: flag, default: false, doc });

export const switched = (name: string, doc: string, fallback = false) =>
  global({ syntax: `${name} [<boolean>]`, schema: boolean, default: fallback, doc });

/** A text that must be there; without it keepalived complains and goes on. */
export const path = (name: string, doc: string) =>
  global({ syntax: `${name} <path>`, schema: text, doc });

export const limited = (name: string, doc: string) =>
  global({
    syntax: `${name} <bytes>`,
    schema: integer({ min: 0, max: 4_294_967_295 }),
    doc,
    reload: "restart",
  });

export const script = (name: string, doc: string) =>
  global({
    syntax: `${name} "<path> [<argument> ...]" [<user> [<group>]]`,
    schema: words,
    command: true,
    repeated: "first",
    doc,
  });
