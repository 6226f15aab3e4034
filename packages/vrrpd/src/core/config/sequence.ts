import type { Position } from "@ha/base";
import { positionIn, type SourceLine, sliceLine, trimLine } from "./source-line.ts";

/** A line to be read once for each row of values. */
export interface ListValues {
  readonly names: readonly string[];
  /** One row for each repetition, as long as `names`. */
  values(): Iterable<readonly string[]>;
  readonly rest: SourceLine;
}

/**
 * `~SEQ(var, [start, [step,]] end)`, `~SEQx(…)` in hexadecimal, `~LST(var, a, b …)`, `~LST({v, w}, {a, b}, …)`.
 * Undefined when the line begins with none of them. keepalived.conf(5), Sequence blocks, List blocks
 */
export function readSequence(
  line: SourceLine,
  problem: (at: Position, message: string, hint: string) => void,
): ListValues | "invalid" | undefined {
  const kind = /^~(SEQx?|LST)/.exec(line.text)?.[1];
  if (kind === undefined) return undefined;
  const invalid = (message: string): "invalid" => {
    problem(
      positionIn(line, 0),
      message,
      kind === "LST"
        ? "write: ~LST(name, a, b) or ~LST({name, name}, {a, b}, {c, d})"
        : `write: ~${kind}(name, [start, [step,]] end)`,
    );
    return "invalid";
  };
  const match = /^~(?:SEQx?|LST)\(([^()]*)\)/.exec(line.text);
  if (match === null) return invalid(`~${kind} needs its values in parentheses`);
  const rest = trimLine(sliceLine(line, match[0].length));
  const inner = match[1] ?? "";
  const read = kind === "LST" ? readList(inner) : readNumbers(inner, kind === "SEQx" ? 16 : 10);
  return typeof read === "string" ? invalid(`~${kind}: ${read}`) : { ...read, rest };
}

function readNumbers(inner: string, radix: number): Omit<ListValues, "rest"> | string {
  const [name = "", ...words] = inner.split(",").map((word) => word.trim());
  if (!NAME.test(name)) return `'${name}' is not a name`;
  if (words.length < 1 || words.length > 3) return "from one to three numbers follow the name";
  const numbers = words.map((word) =>
    /^[+-]?(0[xX][0-9a-fA-F]+|\d+)$/.test(word) ? signed(word) : Number.NaN,
  );
  const bad = numbers.findIndex((value) => !Number.isSafeInteger(value));
  if (bad !== -1) return `'${words[bad]}' is not a number`;
  const end = numbers.at(-1) ?? 0;
  const start = numbers.length > 1 ? (numbers[0] ?? 0) : end < 0 ? -1 : 1;
  const step = numbers.length > 2 ? (numbers[1] ?? 0) : end < start ? -1 : 1;
  if (step === 0 || (end !== start && step > 0 !== end > start)) {
    return `steps of ${step} never lead from ${start} to ${end}`;
  }
  return {
    names: [name],
    *values() {
      for (let value = start; step > 0 ? value <= end : value >= end; value += step) {
        yield [value.toString(radix)];
      }
    },
  };
}

function signed(word: string): number {
  return word.startsWith("-") ? -Number(word.slice(1)) : Number(word.replace(/^\+/, ""));
}

function readList(inner: string): Omit<ListValues, "rest"> | string {
  const parts = splitAtCommas(inner);
  if (parts === undefined) return "braces do not match";
  const [head = "", ...rows] = parts.map(unbrace);
  const names = typeof head === "string" ? [head] : head;
  const bad = names.find((name) => !NAME.test(name));
  if (bad !== undefined) return `'${bad}' is not a name`;
  if (rows.length === 0) return "at least one value must follow the name";
  const values: string[][] = [];
  for (const row of rows) {
    const columns = typeof row === "string" ? [row] : row;
    if (columns.some((value) => /\s/.test(value))) return "a value may not have blanks";
    if (columns.length > names.length) return `${columns.length} values for ${names.length} names`;
    values.push(columns);
  }
  return { names, values: () => values };
}

function splitAtCommas(inner: string): string[] | undefined {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < inner.length; i++) {
    if (inner[i] === "{") depth++;
    else if (inner[i] === "}") depth--;
    else if (inner[i] === "," && depth === 0) {
      parts.push(inner.slice(start, i).trim());
      start = i + 1;
    }
    if (depth < 0 || depth > 1) return undefined;
  }
  parts.push(inner.slice(start).trim());
  return depth === 0 ? parts : undefined;
}

function unbrace(part: string): string | string[] {
  return part.startsWith("{") && part.endsWith("}")
    ? part
        .slice(1, -1)
        .split(",")
        .map((word) => word.trim())
    : part;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
