import type { Micros } from "@ha/base";
import type { GlobalDraft } from "./draft.ts";
import type { KeywordEntry, KeywordStatus } from "./keyword.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";
import { parseTime, parseWhole } from "./values.ts";

/** One keyword of `global`. */
export interface GlobalKeyword extends KeywordEntry {
  readonly read: (line: Line, reading: Reading, negated: boolean) => void;
}

interface Words {
  readonly doc: string;
  readonly source?: string;
  readonly status?: KeywordStatus;
  readonly default?: string;
}

const SOURCE = "§3.1";

function entry(
  name: string,
  syntax: string,
  { doc, source = SOURCE, status = "works", ...rest }: Words,
  read: GlobalKeyword["read"],
): GlobalKeyword {
  return { name, syntax, doc, source, status, ...rest, read };
}

/** A keyword with a reader of its own. */
export const keyword = entry;

/** A keyword without argument. `set` is not called when a word follows. */
export function flag(
  name: string,
  words: Words,
  set?: (global: GlobalDraft) => void,
): GlobalKeyword {
  return entry(name, name, words, (line, reading) => {
    if (line.atMost(0)) set?.(reading.draft.global);
  });
}

/** A keyword that `no` turns off. */
export function toggle(
  name: string,
  words: Words,
  set: (global: GlobalDraft, on: boolean) => void = () => {},
): GlobalKeyword {
  return entry(name, `[no] ${name}`, words, (line, reading, negated) => {
    if (line.atMost(0)) set(reading.draft.global, !negated);
  });
}

/** One whole number. */
export function number(
  name: string,
  words: Words,
  set: (global: GlobalDraft, value: number) => void,
): GlobalKeyword {
  return entry(name, `${name} <number>`, words, (line, reading) => {
    const value = readNumber(line);
    if (value !== undefined) set(reading.draft.global, value);
  });
}

/** One number, or undefined after HAProxy's message. */
export function readNumber(line: Line): number | undefined {
  if (!line.atMost(1)) return undefined;
  if (line.text(1) === "") {
    line.alert(`'${line.name}' expects an integer argument.`);
    return undefined;
  }
  const value = parseWhole(line.text(1));
  if (value === undefined || value < 0) {
    line.alert(`cannot parse '${line.name}' value '${line.text(1)}', an integer is expected.`);
    return undefined;
  }
  return value;
}

/** One word. `expects` ends `'name' expects `. */
export function text(
  name: string,
  syntax: string,
  expects: string,
  words: Words,
  set: (global: GlobalDraft, value: string) => void,
): GlobalKeyword {
  return entry(name, `${name} ${syntax}`, words, (line, reading) => {
    if (!line.atMost(1)) return;
    if (line.text(1) === "") line.alert(`'${name}' expects ${expects}.`);
    else set(reading.draft.global, line.text(1));
  });
}

/** One time. */
export function time(
  name: string,
  words: Words,
  set: (global: GlobalDraft, value: Micros) => void,
): GlobalKeyword {
  return entry(name, `${name} <time>`, words, (line, reading) => {
    if (line.text(1) === "") {
      line.alert(`'${name}' expects <time> as argument.\n`);
      return;
    }
    const value = readTime(
      line,
      1,
      name,
      (bad) => `unexpected character '${bad}' in argument to <${name}>.\n`,
    );
    if (value !== undefined) set(reading.draft.global, value);
  });
}

/** The time in word `i`; undefined after a message. What follows a unit is warned about, as HAProxy does. */
export function readTime(
  line: Line,
  i: number,
  name: string,
  bad: (character: string) => string,
  unit?: number,
): Micros | undefined {
  const word = line.text(i);
  const parsed = parseTime(word, unit === undefined ? {} : { unit });
  if (parsed.kind === "bad") {
    line.alert(bad(parsed.character));
    return undefined;
  }
  if (parsed.kind === "overflow") {
    line.alert(
      `timer overflow in argument '${word}' to '${name}' (maximum value is 2147483647 ms or ~24.8 days)`,
    );
    return undefined;
  }
  if (parsed.trailing !== undefined) warnTrailing(line, word, parsed.trailing);
  return parsed.value;
}

export function warnTrailing(line: Line, word: string, trailing: string): void {
  line.findings.warnPlain(
    "config/time-unit",
    line.at,
    `unexpected character '${trailing[0]}' after the timer value '${word}', only (us=microseconds,ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. This will be reported as an error in next versions.`,
    `In [${line.at.file}:${line.at.line}].`,
  );
}

/** Known, checked for nothing, without effect here. */
export function tuning(name: string, syntax: string, doc: string, source = SOURCE): GlobalKeyword {
  return entry(name, `${name} ${syntax}`.trim(), { doc, source, status: "tuning" }, () => {});
}

/** Known, checked for nothing, and warned about: more than tuning, and not done here. */
export function ignored(name: string, syntax: string, doc: string, source = SOURCE): GlobalKeyword {
  return entry(name, `${name} ${syntax}`.trim(), { doc, source, status: "ignored" }, () => {});
}

/** Refused in plain words: `what` says what is not served. */
export function notServed(name: string, syntax: string, what: string): GlobalKeyword {
  return entry(
    name,
    `${name} ${syntax}`.trim(),
    { doc: `Not served: ${what}.`, status: "not served" },
    (line) =>
      line.alert(
        `'${name}' is not supported: ${what} is not served by lbproxy.`,
        undefined,
        "config/not-served",
      ),
  );
}

export function removed(name: string, message: string): GlobalKeyword {
  return entry(name, name, { doc: message, status: "removed" }, (line) =>
    line.alert(message, undefined, "config/removed"),
  );
}
