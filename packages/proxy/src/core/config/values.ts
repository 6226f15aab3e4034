import { type Micros, micros } from "@ha/base";
import { MAX_TIMER_MILLISECONDS } from "./limits.ts";

/** What reading a time or a size found. */
export type Parsed<T> =
  | { readonly kind: "ok"; readonly value: T; readonly trailing: string | undefined }
  /** The first character that does not belong; "" when nothing stood there. */
  | { readonly kind: "bad"; readonly character: string }
  | { readonly kind: "overflow" };

const UNITS: readonly (readonly [string, number])[] = [
  ["us", 1],
  ["ms", 1_000],
  ["s", 1_000_000],
  ["m", 60_000_000],
  ["h", 3_600_000_000],
  ["d", 86_400_000_000],
];

/**
 * Reads a time. HAProxy configuration manual §2.5: a whole number and us, ms, s, m, h or d; milliseconds
 * (or `unit`) when none stands. Kept to the millisecond, rounded up as HAProxy's timers are, unless `exact`.
 * What follows a unit is in `trailing`: HAProxy warns about `5min` and takes the `5m`.
 */
export function parseTime(
  text: string,
  { unit = 1_000, exact = false }: { readonly unit?: number; readonly exact?: boolean } = {},
): Parsed<Micros> {
  const digits = /^\d+/.exec(text)?.[0];
  if (digits === undefined) return { kind: "bad", character: text[0] ?? "" };
  const rest = text.slice(digits.length);
  const found = rest === "" ? (["", unit] as const) : UNITS.find(([name]) => rest.startsWith(name));
  if (found === undefined) return { kind: "bad", character: rest[0] as string };
  const [name, scale] = found;
  const value = Number(digits) * scale;
  if (value / 1_000 > MAX_TIMER_MILLISECONDS) return { kind: "overflow" };
  const trailing = rest.slice(name.length);
  return {
    kind: "ok",
    value: micros(exact ? value : Math.ceil(value / 1_000) * 1_000),
    trailing: trailing === "" ? undefined : trailing,
  };
}

/** Reads a size in bytes or a count: a whole number with an optional k, m or g (powers of 1024). HAProxy configuration manual §2.6. */
export function parseSize(text: string): Parsed<number> {
  const match = /^(\d+)([kKmMgG])?(.*)$/s.exec(text);
  if (match === null) return { kind: "bad", character: text[0] ?? "" };
  const [, digits, suffix, rest] = match;
  if (rest !== "") return { kind: "bad", character: (rest as string)[0] as string };
  const power = suffix === undefined ? 0 : "kmg".indexOf(suffix.toLowerCase()) + 1;
  const value = Number(digits) * 1024 ** power;
  if (value > Number.MAX_SAFE_INTEGER) return { kind: "overflow" };
  return { kind: "ok", value, trailing: undefined };
}

/** A whole decimal number with nothing after it; undefined otherwise. */
export function parseWhole(text: string): number | undefined {
  if (!/^[-+]?\d{1,15}$/.test(text)) return undefined;
  return Number(text);
}

/** The leading number, as C's `atol`: 0 when none stands. For keywords whose text HAProxy never checks. */
export function leadingNumber(text: string): number {
  const match = /^\s*[-+]?\d{1,15}/.exec(text);
  return match === null ? 0 : Number(match[0]);
}
