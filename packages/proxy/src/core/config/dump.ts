import { formatAddress } from "@ha/base";
import type { Config } from "./model.ts";

/** The model as JSON: addresses as text, bytes as their length, maps as objects, what is absent left out. */
export function dumpConfig(config: Config): string {
  return JSON.stringify(config, replace, 2);
}

function replace(key: string, value: unknown): unknown {
  if (SECRET.has(key)) return "(not shown)";
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (typeof value === "object" && value !== null && "bytes" in value && "family" in value) {
    const { bytes, family } = value;
    if (bytes instanceof Uint8Array && (family === 4 || family === 6))
      return formatAddress({ bytes, family });
  }
  return value;
}

/** What no dump shows: passwords, keys, and the environment, which may hold both. */
const SECRET: ReadonlySet<string> = new Set([
  "password",
  "environment",
  "md5Signature",
  "caSignPass",
  "dynamicCookieKey",
]);
