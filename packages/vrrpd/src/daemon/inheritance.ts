import type { Sequences } from "../core/advert-encoder.ts";

/** What a master leaves with the guard for the daemon that follows it. */
export interface Inheritance {
  /** The instance. */
  readonly name: string;
  readonly bootId: string;
  /** The verdicts of scripts, so that the successor's priority is ours from its first advert on. */
  readonly scripts: Readonly<Record<string, boolean>>;
  /** Numbers that the prepared adverts use up, where HMAC or AH number them. */
  readonly sequences: Sequences;
}

export function writeInheritance(record: Inheritance): Uint8Array {
  return Buffer.from(
    JSON.stringify(record, (_key, value: unknown) =>
      typeof value === "bigint" ? { bigint: value.toString() } : value,
    ),
  );
}

/** Undefined for anything that was not written by `writeInheritance`. */
export function readInheritance(bytes: Uint8Array): Inheritance | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString(), (_key, part: unknown) =>
      isRecord(part) && typeof part["bigint"] === "string" ? BigInt(part["bigint"]) : part,
    );
    if (!isRecord(value)) return undefined;
    const { name, bootId, scripts, sequences } = value;
    if (typeof name !== "string" || typeof bootId !== "string") return undefined;
    if (!isSequences(sequences) || !isVerdicts(scripts)) return undefined;
    return { name, bootId, scripts, sequences };
  } catch {
    return undefined;
  }
}

function isSequences(value: unknown): value is Sequences {
  return isRecord(value) && typeof value["ah"] === "number";
}

function isVerdicts(value: unknown): value is Record<string, boolean> {
  return isRecord(value) && Object.values(value).every((up) => typeof up === "boolean");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
