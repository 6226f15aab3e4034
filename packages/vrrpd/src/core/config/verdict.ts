import type { Diagnostic } from "@ha/base";

/** Exit codes of `keepalived -t`. observed: keepalived 2.4.3; the manual numbers them otherwise. */
export const TestExit = {
  fine: 0,
  /** Reading stopped at once: a keyword lacks its value. */
  stopped: 2,
  /** Nothing but interfaces that are not there where they are only listed. */
  fatal: 4,
  /** Any other complaint. */
  complaint: 5,
  /** Scripts are not secured, or an include that is checked is missing. */
  security: 6,
} as const;

/** Findings that keepalived does not have, or only logs: they leave the exit code alone. */
const silent = new Set<Diagnostic["code"]>([
  "config/fifo-names",
  "config/include-skipped",
  "config/no-effect",
  "config/not-served",
  "config/not-supported",
  "config/nul",
  "config/script-dropped",
  "config/trap",
]);

/** What `-t` exits with: the highest class wins, not the most severe. */
export function testExit(diagnostics: readonly Diagnostic[]): number {
  let highest: number = TestExit.fine;
  let stopped = false;
  for (const { code, severity } of diagnostics) {
    if (severity === "note" || silent.has(code)) continue;
    if (code === "config/missing-parameter") stopped = true;
    else if (code === "config/include-missing") return TestExit.security;
    highest = Math.max(highest, classOf(code));
  }
  return stopped ? TestExit.stopped : highest;
}

function classOf(code: Diagnostic["code"]): number {
  switch (code) {
    case "config/script-security":
    case "config/key-file-readable":
      return TestExit.security;
    case "config/unknown-interface":
      return TestExit.fatal;
    default:
      return TestExit.complaint;
  }
}

const refusing = new Set<Diagnostic["code"]>([
  "config/duplicate-vrid",
  "config/include-missing",
  "config/loopback",
  "config/missing-interface",
  "config/missing-parameter",
  "config/no-interface",
  "config/no-vrid",
  "config/strict-unicast",
]);

/** Whether a daemon would not start on this (exit 2); everything else is repaired or left out. */
export function refusesStart(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ code }) => refusing.has(code));
}
