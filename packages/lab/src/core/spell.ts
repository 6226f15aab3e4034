import { type Micros, micros } from "@ha/base";
import { type AnswerEvent, eventsOf, type HistoryEvent } from "./history.ts";

/** A stretch of time. */
export interface Spell {
  readonly from: Micros;
  readonly to: Micros;
}

/** Who held the address when, each stretch with its holders; together they cover `window`. */
export function holderSpells(
  history: readonly HistoryEvent[],
  window: Spell,
): readonly (Spell & { readonly hosts: readonly string[] })[] {
  const spells: (Spell & { hosts: readonly string[] })[] = [];
  const hosts = new Set<string>();
  let from = window.from;
  const close = (to: Micros): void => {
    if (to > from) spells.push({ from, to, hosts: [...hosts].sort() });
    from = micros(Math.max(from, to));
  };
  for (const { at, host, held } of eventsOf(history, "holder")) {
    if (at >= window.to) break;
    if (at > from && hosts.has(host) !== held) close(at);
    if (held) hosts.add(host);
    else hosts.delete(host);
  }
  close(window.to);
  return spells;
}

/** The longest stretch of the window in which the number of holders was as wanted, in one piece. */
export function longestHeld(
  history: readonly HistoryEvent[],
  window: Spell,
  isWanted: (count: number) => boolean,
): Micros {
  let longest = 0;
  let sum = 0;
  for (const { from, to, hosts } of holderSpells(history, window)) {
    sum = isWanted(hosts.length) ? sum + to - from : 0;
    longest = Math.max(longest, sum);
  }
  return micros(longest);
}

/** Answers of a probe in the order in which they were asked for. */
export function answersOf(history: readonly HistoryEvent[], probe: string): readonly AnswerEvent[] {
  return eventsOf(history, "answer").filter((answer) => answer.probe === probe);
}

/** The longest time of the window in which no good answer came in. */
export function longestGap(answers: readonly AnswerEvent[], window: Spell): Spell {
  const times = answers
    .filter(
      ({ failure, until }) => failure === undefined && until >= window.from && until <= window.to,
    )
    .map(({ until }) => until)
    .sort((a, b) => a - b);
  let longest: Spell = { from: window.from, to: window.from };
  let from = window.from;
  for (const to of [...times, window.to]) {
    if (to - from > longest.to - longest.from) longest = { from, to };
    from = to;
  }
  return longest;
}

/** Successive good answers of one host. */
export interface Run extends Spell {
  readonly by: string;
}

/** Who answered, one after another. */
export function answerRuns(answers: readonly AnswerEvent[]): readonly Run[] {
  const runs: { by: string; from: Micros; to: Micros }[] = [];
  for (const { by, failure, at, until } of answers) {
    if (by === undefined || failure !== undefined) continue;
    const last = runs.at(-1);
    if (last?.by === by) last.to = until;
    else runs.push({ by, from: at, to: until });
  }
  return runs;
}

/** A host that answers for less than this between two turns of another did not take over: both answer at once. */
export const FLIP = micros(250_000);

/** The longest time in which two hosts answered by turns. */
export function longestFlips(runs: readonly Run[]): Micros {
  let longest = 0;
  let from: Micros | undefined;
  runs.forEach((run, i) => {
    const isBetween = i > 0 && i < runs.length - 1 && runs[i - 1]?.by === runs[i + 1]?.by;
    if (isBetween && run.to - run.from < FLIP) {
      from ??= run.from;
      longest = Math.max(longest, run.to - from);
    } else {
      from = undefined;
    }
  });
  return micros(longest);
}
