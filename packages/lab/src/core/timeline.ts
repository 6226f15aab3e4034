import { type Micros, micros, seconds, toSeconds } from "@ha/base";
import { eventsOf, type HistoryEvent } from "./history.ts";
import type { DrillRun } from "./runner.ts";
import { answerRuns, holderSpells, type Spell } from "./spell.ts";

/**
 * A picture of a drill as SVG: along time, what was done, who held the address, what each daemon said it was, who
 * answered each probe and which requests failed, and below it what was judged.
 */
export function drawTimeline({ drill, programs, judgement, history }: DrillRun): string {
  const window = windowOf(history);
  const scale = (time: Micros): number =>
    LEFT + ((time - window.from) / Math.max(1, window.to - window.from)) * WIDTH;
  const hosts = [...new Set(eventsOf(history, "state").map(({ host }) => host))].sort();
  const colourOf = (host: string): string => COLOURS[Math.max(0, hosts.indexOf(host))] ?? OTHER;

  const actions = eventsOf(history, "fault");
  const heals = eventsOf(history, "heal");
  const marks = [
    ...actions.map(({ at, what }) => ({ at, text: what, bad: true })),
    ...heals.map(({ at, what }) => ({ at, text: `undo: ${what}`, bad: false })),
  ].sort((a, b) => a.at - b.at);
  const lanes: string[] = [];
  let y = 64 + Math.max(1, marks.length) * MARK;
  const lane = (label: string, draw: (y: number) => string): void => {
    lanes.push(text(LEFT - 10, y + 15, label, 'text-anchor="end" fill="#444"'), draw(y));
    lanes.push(
      `<line x1="${LEFT}" y1="${y + 20}" x2="${LEFT + WIDTH}" y2="${y + 20}" stroke="#ddd"/>`,
    );
    y += LANE;
  };
  const bar: Bar = (spell, at, fill, title) => {
    const from = scale(micros(Math.max(spell.from, window.from)));
    const width = Math.max(1, scale(micros(Math.min(spell.to, window.to))) - from);
    if (spell.to <= window.from || spell.from >= window.to) return "";
    return `<rect x="${px(from)}" y="${at}" width="${px(width)}" height="18" fill="${fill}"><title>${escapeText(title)}</title></rect>`;
  };
  const spells = holderSpells(history, window);
  for (const host of hosts) {
    lane(`${host} holds the address`, (at) =>
      spells
        .filter((spell) => spell.hosts.includes(host))
        .map((spell) => bar(spell, at, colourOf(host), `${host}: ${duration(spell)}`))
        .join(""),
    );
    lane(`${host} says it is`, (at) => stateBars(host, history, window, bar, at));
  }
  for (const { id } of drill.probes) {
    const answers = eventsOf(history, "answer").filter(({ probe }) => probe === id);
    lane(`probe ${id} answered by`, (at) =>
      answerRuns(answers)
        .map((run) => bar(run, at, colourOf(run.by), `${run.by}: ${duration(run)}`))
        .join(""),
    );
    lane("failed requests", (at) =>
      answers
        .filter(({ failure, at: time }) => failure !== undefined && time >= window.from)
        .map(
          ({ at: time, failure = "" }) =>
            `<line x1="${px(scale(time))}" y1="${at}" x2="${px(scale(time))}" y2="${at + 18}" stroke="#c00"><title>${escapeText(failure)}</title></line>`,
        )
        .join(""),
    );
  }
  const bottom = y;
  const ticks = tickTimes(window).map((time) => {
    const x = px(scale(time));
    return `<line x1="${x}" y1="${bottom}" x2="${x}" y2="${bottom + 5}" stroke="#888"/>${text(x, bottom + 18, `${toSeconds(micros(time - window.from)).toFixed(1)} s`, 'text-anchor="middle" fill="#666" font-size="11"')}`;
  });
  const done = marks.map(({ at, text: words, bad }, i) => {
    const x = scale(at);
    const colour = bad ? "#b00" : "#070";
    const onLeft = x > LEFT + WIDTH * 0.7;
    const line = 60 + i * MARK;
    return `<line x1="${px(x)}" y1="${line}" x2="${px(x)}" y2="${bottom}" stroke="${colour}" stroke-dasharray="3 2"/>${text(x + (onLeft ? -4 : 4), line + 4, words, `fill="${colour}" font-size="12"${onLeft ? ' text-anchor="end"' : ""}`)}`;
  });
  y += 42;
  const findings = judgement.findings.map((finding) => {
    const limit = finding.limit === undefined ? "" : `   (allowed: ${finding.limit})`;
    const row = text(
      LEFT,
      y,
      `${finding.good ? "✓" : "✗"} ${finding.claim}: ${finding.found}${limit}`,
      `fill="${finding.good ? "#333" : "#b00"}"`,
    );
    y += 19;
    return row;
  });
  const height = y + 10;
  const total = LEFT + WIDTH + 30;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${total}" height="${height}" viewBox="0 0 ${total} ${height}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13">
<rect width="${total}" height="${height}" fill="#fff"/>
${text(16, 24, drill.name, 'font-size="17" font-weight="bold"')}
${text(total - 16, 24, `${judgement.verdict} · ${programs.daemon} + ${programs.proxy}`, `text-anchor="end" font-weight="bold" fill="${judgement.verdict === "PASS" ? "#070" : "#b00"}"`)}
${text(16, 42, judgement.reason === undefined ? drill.about : `${drill.about} (${judgement.reason})`, 'fill="#555" font-size="12"')}
${lanes.join("\n")}
<line x1="${LEFT}" y1="${bottom}" x2="${LEFT + WIDTH}" y2="${bottom}" stroke="#888"/>
${ticks.join("\n")}
${done.join("\n")}
${findings.join("\n")}
</svg>
`;
}

const LEFT = 200;
const WIDTH = 900;
const LANE = 26;
const MARK = 17;
const COLOURS = ["#2a7de1", "#e8962e", "#6a4fb3", "#3a9c5b"];
const OTHER = "#888";
const STATES: Readonly<Record<string, string>> = {
  MASTER: "#3a9c5b",
  BACKUP: "#cfd8dc",
  FAULT: "#d9534f",
  STOPPED: "#fff",
};

type Bar = (spell: Spell, at: number, fill: string, title: string) => string;

function stateBars(
  host: string,
  history: readonly HistoryEvent[],
  window: Spell,
  bar: Bar,
  at: number,
): string {
  const states = eventsOf(history, "state").filter((event) => event.host === host);
  return states
    .map(({ at: from, state }, i) => {
      const to = states[i + 1]?.at ?? window.to;
      const spell = { from: micros(Math.max(from, window.from)), to };
      return to <= window.from ? "" : bar(spell, at, STATES[state] ?? OTHER, state);
    })
    .join("");
}

/** From shortly before the first fault to the end: how the daemons started is no part of it. */
function windowOf(history: readonly HistoryEvent[]): Spell {
  const end = eventsOf(history, "end")[0]?.at ?? history.at(-1)?.at ?? micros(1);
  const first =
    eventsOf(history, "fault")[0]?.at ?? micros(Math.max(end - BLIND, history[0]?.at ?? 0));
  return { from: micros(first - LEAD), to: end };
}

const LEAD = seconds(1);
/** So much is shown of a drill that did not come to its first fault. */
const BLIND = seconds(20);

function tickTimes({ from, to }: Spell): Micros[] {
  const length = toSeconds(micros(to - from));
  const step = [0.5, 1, 2, 5, 10, 20, 60].find((one) => length / one <= 12) ?? length / 12;
  const count = Math.floor(length / step);
  return Array.from({ length: count + 1 }, (_, i) => micros(from + seconds(i * step)));
}

const duration = ({ from, to }: Spell): string => `${toSeconds(micros(to - from)).toFixed(3)} s`;

const px = (value: number): string => value.toFixed(1);

function text(x: number | string, y: number, words: string, attributes: string): string {
  return `<text x="${typeof x === "number" ? px(x) : x}" y="${y}" ${attributes}>${escapeText(words)}</text>`;
}

function escapeText(words: string): string {
  return words
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
