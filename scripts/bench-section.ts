import type { DaemonKind } from "@ha/lab/namespaces";

/** A set of measurements that share their columns. */
export interface Section {
  /** For `--only`. */
  readonly name: string;
  readonly title: string;
  /** How it is measured, and what the columns mean. */
  readonly method: string;
  readonly columns: readonly string[];
  readonly cases: readonly Case[];
}

export interface Case {
  readonly name: string;
  /** One value a column, ready to print. */
  readonly measure: (kind: DaemonKind) => Promise<readonly string[]>;
}

/** A section as a table in Markdown: for each case a row a daemon. */
export async function measureSection(
  { title, method, columns, cases }: Section,
  kinds: readonly DaemonKind[],
  print: (line: string) => void,
): Promise<void> {
  print(`### ${title}\n`);
  print(`${method}\n`);
  print(`| case | daemon | ${columns.join(" | ")} |`);
  print(`|${" --- |".repeat(columns.length + 2)}`);
  for (const { name, measure } of cases) {
    for (const kind of kinds)
      print(`| ${name} | ${kind} | ${(await measureOne(measure, kind, columns)).join(" | ")} |`);
  }
  print("");
}

/** A case that cannot be measured says why in its row, and the others go on. */
async function measureOne(
  measure: Case["measure"],
  kind: DaemonKind,
  columns: readonly string[],
): Promise<readonly string[]> {
  try {
    return await measure(kind);
  } catch (error) {
    const [first = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    return [`not measured: ${first.replaceAll("|", "\\|")}`, ...columns.slice(1).map(() => "")];
  }
}

export function ms(value: number, digits = 1): string {
  return `${value.toFixed(digits)} ms`;
}

/** The value at a share of the sorted ones: 0.5 is the median. 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export const median = (values: readonly number[]): number => percentile(values, 0.5);
