import type { Verdict } from "./checker.ts";
import type { DrillRun } from "./runner.ts";

/** Rows of equal columns. */
export function alignRows(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/** The table of all drills, and below it what did not pass, and the line `N passed, N failed, …`. */
export function summarise(runs: readonly DrillRun[]): string {
  const rows = runs.map(({ drill, judgement }) => [
    judgement.verdict,
    drill.name,
    waited(judgement.findings),
    failed(judgement.findings),
    judgement.reason ?? drill.about,
  ]);
  const lines = alignRows([["verdict", "drill", "client waits", "failed", ""], ...rows]);
  const details = runs.flatMap(({ drill, judgement }) => {
    if (judgement.verdict !== "FAIL") return [];
    return [
      `\n${drill.name}:`,
      ...judgement.findings.filter(({ good }) => !good).map(describeFinding),
    ];
  });
  return [...lines, ...details, "", countLine(runs)].join("\n");
}

/** `  two hold the address at once: 412 ms, allowed 300 ms`. */
export function describeFinding({
  claim,
  found,
  limit,
}: {
  readonly claim: string;
  readonly found: string;
  readonly limit?: string;
}): string {
  return `  ${claim}: ${found}${limit === undefined ? "" : `, allowed ${limit}`}`;
}

export function countLine(runs: readonly DrillRun[]): string {
  const count = (wanted: Verdict): number =>
    runs.filter(({ judgement }) => judgement.verdict === wanted).length;
  return `${count("PASS")} passed, ${count("FAIL")} failed, ${count("SKIPPED")} skipped, ${count("INCONCLUSIVE")} inconclusive`;
}

const waited = (findings: readonly { claim: string; found: string }[]): string =>
  findings.find(({ claim }) => claim === "the client waits")?.found ?? "";

const failed = (findings: readonly { claim: string; found: string }[]): string =>
  (findings.find(({ claim }) => claim === "requests failed")?.found ?? "").replace(/ .*/, "");
