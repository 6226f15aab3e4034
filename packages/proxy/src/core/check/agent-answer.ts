import type { AgentReport } from "../server/health-model.ts";
import type { CheckResult } from "./check-status.ts";

/** What one line of an agent means: for the server's health, and for the check's own status. */
export interface AgentAnswer {
  readonly report: AgentReport;
  readonly result: Pick<CheckResult, "status" | "code" | "info">;
}

/**
 * Reads an agent's answer: its first line, words apart by blanks, commas or tabs; after `#` stands a text for
 * humans. What is not known is kept as the error, and changes nothing. Undefined: no line has ended yet and more
 * may come. HAProxy configuration manual §5.2, agent-check; observed: haproxy 2.6.12.
 */
export function readAgentAnswer(text: string, isLast: boolean): AgentAnswer | undefined {
  const end = text.search(/[\r\n]/);
  if (end === -1 && !isLast && text.length < MAX_LINE) return undefined;
  const line = (end === -1 ? text : text.slice(0, end)).slice(0, MAX_LINE);
  const words: Words = {};
  let reason = "";
  let unknown = "";
  for (const match of line.matchAll(/[^\s,]+/g)) {
    const word = match[0];
    if (word.startsWith("#")) {
      reason = line.slice(match.index + 1).trim();
      break;
    }
    if (!takeWord(word, words) && unknown === "") unknown = word;
  }
  const report: AgentReport = {
    state: words.state,
    admin: words.admin,
    weightPercent: words.percent,
    maxconn: words.maxconn,
    reason,
  };
  return { report, result: resultOf(words, reason, unknown) };
}

interface Words {
  state?: NonNullable<AgentReport["state"]>;
  /** As the agent spelt it. */
  spelling?: string;
  admin?: NonNullable<AgentReport["admin"]>;
  percent?: number;
  maxconn?: number;
}

function takeWord(word: string, words: Words): boolean {
  const lower = word.toLowerCase();
  switch (lower) {
    case "up":
    case "down":
    case "stopped":
      words.state = lower;
      words.spelling = word;
      return true;
    case "fail":
      words.state = "failed";
      words.spelling = word;
      return true;
    case "ready":
    case "drain":
    case "maint":
      words.admin = lower;
      return true;
  }
  const percent = /^(\d{1,5})%$/.exec(word);
  if (percent !== null) {
    words.percent = Math.min(MAX_PERCENT, Number(percent[1]));
    return true;
  }
  const limit = /^maxconn:(\d{1,9})$/i.exec(word);
  if (limit === null) return false;
  words.maxconn = Number(limit[1]);
  return true;
}

function resultOf(words: Words, reason: string, unknown: string): AgentAnswer["result"] {
  const { state, spelling = "" } = words;
  const why = reason === "" ? "" : ` (${reason})`;
  if (state === "up") return { status: "L7OK", code: 0, info: `via agent : ${spelling}${why}` };
  if (state !== undefined)
    return { status: "L7STS", code: 0, info: `via agent : ${spelling}${why}` };
  const known =
    words.admin !== undefined || words.percent !== undefined || words.maxconn !== undefined;
  if (unknown !== "" && !known) {
    return { status: "CHECKED", code: 0, info: `via agent : unknown keyword '${unknown}'` };
  }
  return { status: "CHECKED", code: 0, info: "" };
}

/** Longest line read: an agent says a few words. */
const MAX_LINE = 1_024;
/** As much as a weight of 1 can be raised: 256 times. */
const MAX_PERCENT = 25_600;
