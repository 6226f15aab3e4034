/**
 * How a check ended. Names as `show stat` has them in `check_status`, numbers as server state files have them, texts
 * as logs have them. HAProxy management guide §9.1, check_status; observed: haproxy 2.6.12.
 */
export type CheckStatus = keyof typeof CHECK_STATUSES;

interface StatusEntry {
  readonly number: number;
  /** After "reason: ". */
  readonly text: string;
  readonly result: CheckOutcome;
  /** Whether a code (HTTP's, an exit status) belongs to it. */
  readonly hasCode: boolean;
}

/** `neutral`: nothing learnt about the server. */
export type CheckOutcome = "unknown" | "neutral" | "fail" | "pass" | "condpass";

const entry = (
  number: number,
  text: string,
  result: CheckOutcome,
  hasCode = false,
): StatusEntry => ({ number, text, result, hasCode });

export const CHECK_STATUSES = {
  UNK: entry(0, "Unknown", "unknown"),
  INI: entry(1, "Initializing", "unknown"),
  CHECKED: entry(3, "No status change", "neutral"),
  HANA: entry(4, "Health analyze", "fail"),
  SOCKERR: entry(5, "Socket error", "fail"),
  L4OK: entry(6, "Layer4 check passed", "pass"),
  L4TOUT: entry(7, "Layer4 timeout", "fail"),
  L4CON: entry(8, "Layer4 connection problem", "fail"),
  L6OK: entry(9, "Layer6 check passed", "pass"),
  L6TOUT: entry(10, "Layer6 timeout", "fail"),
  L6RSP: entry(11, "Layer6 invalid response", "fail"),
  L7TOUT: entry(12, "Layer7 timeout", "fail"),
  L7RSP: entry(13, "Layer7 invalid response", "fail"),
  L7OK: entry(14, "Layer7 check passed", "pass", true),
  L7OKC: entry(15, "Layer7 check conditionally passed", "condpass", true),
  L7STS: entry(16, "Layer7 wrong status", "fail", true),
  PROCERR: entry(17, "External check error", "fail", true),
  PROCTOUT: entry(18, "External check timeout", "fail", true),
  PROCOK: entry(19, "External check passed", "pass", true),
} as const satisfies Record<string, StatusEntry>;

/** What one check found. */
export interface CheckResult {
  readonly status: CheckStatus;
  /** HTTP status, exit status, error number of a protocol; 0 where there is none. */
  readonly code: number;
  /** `info: "…"` of log lines and `last_chk` of statistics; "" for none. */
  readonly info: string;
  /** Milliseconds from its start; -1 for what was no check of its own. */
  readonly duration: number;
}

/** Before the first check: `show stat` says "INI". */
export const NOT_CHECKED: CheckResult = { status: "INI", code: 0, info: "", duration: -1 };

export function outcomeOf({ status }: CheckResult): CheckOutcome {
  return CHECK_STATUSES[status].result;
}

/** `, reason: …[, code: …][, info: "…"], check duration: …ms`. Observed: haproxy 2.6.12. */
export function reasonText({ status, code, info, duration }: CheckResult): string {
  const { text, hasCode } = CHECK_STATUSES[status];
  let line = `, reason: ${text}`;
  if (hasCode) line += `, code: ${code}`;
  if (info !== "") line += `, info: "${printable(info)}"`;
  if (duration >= 0) line += `, check duration: ${duration}ms`;
  return line;
}

/** What a server said goes into log lines and pages: control characters and quotes must not forge any. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is replaced.
  return text.replace(/[\u0000-\u001f\u007f"]/g, (byte) =>
    byte === '"' ? "'" : `#${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
