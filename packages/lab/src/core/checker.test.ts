import assert from "node:assert/strict";
import { test } from "node:test";
import { milliseconds, seconds } from "@ha/base";
import { type Judgement, judge } from "./checker.ts";
import type { HistoryEvent } from "./history.ts";
import { loadDrill } from "./load-files.ts";
import type { Programs } from "./programs.ts";

/** Times of these histories are seconds after the start of the baseline; the fault comes at 2, the end at 8. */
const FAULT = 2;
const END = 8;
const OURS: Programs = { daemon: "vrrpd", proxy: "lbproxy" };
const REFERENCE: Programs = { daemon: "keepalived", proxy: "haproxy" };
const SLACK = { time_factor: 1, floor_s: 0.3 };

/** A drill with these checks, as its file would say. */
function drillWith(checks: string, steps = "[{fault: {kind: stop, on: lb1}}]", more = "") {
  const text = `name: d\nabout: d\nsteady: [{vip_owner: {host: lb1}}]\nsteps: ${steps}\ncheck: ${checks}\n${more}`;
  const read = loadDrill("d.yaml", text, new Set(["lb1", "lb2", "web1", "web2", "client"]));
  assert.ok(read.ok, JSON.stringify(read));
  return read.value;
}

function judged(
  history: readonly HistoryEvent[],
  drill: ReturnType<typeof drillWith>,
  programs = OURS,
): Judgement {
  const times = { version: 3 as const, advert: milliseconds(100), priority: 100 };
  return judge({ drill, programs, history, slack: SLACK, times });
}

/** Requests every 20 ms from 0 to the end; `who` says who answers one, undefined that it times out. */
function answers(who: (time: number) => string | undefined): HistoryEvent[] {
  return Array.from({ length: END * 50 }, (_, i): HistoryEvent => {
    const time = i / 50;
    const by = who(time);
    const base = { kind: "answer", at: seconds(time), probe: "who" } as const;
    return by === undefined
      ? { ...base, until: seconds(time + 0.5), failure: "timeout" }
      : { ...base, until: seconds(time + 0.002), by, server: "web1" };
  });
}

const frame: readonly HistoryEvent[] = [
  { kind: "baseline", at: seconds(0), until: seconds(1.9) },
  { kind: "holder", at: seconds(-1), host: "lb1", held: true },
  { kind: "fault", at: seconds(FAULT), what: "stop" },
  { kind: "end", at: seconds(END) },
];

const steady = (): HistoryEvent[] => [...frame, ...answers(() => "lb1")];

test("A history without a gap passes a limit on gaps", () => {
  const judgement = judged(steady(), drillWith("[{probe: who, longest_gap: 50ms}]"));
  assert.equal(judgement.verdict, "PASS");
});

test("A gap longer than its limit and the slack fails, and its length is told", () => {
  const history = [...frame, ...answers((time) => (time < FAULT || time > 3 ? "lb1" : undefined))];
  const judgement = judged(history, drillWith("[{probe: who, longest_gap: 500ms}]"));
  assert.equal(judgement.verdict, "FAIL");
  const [finding] = judgement.findings;
  assert.equal(finding?.good, false);
  assert.match(finding?.found ?? "", /^1\.0\d s$/);
  assert.equal(finding?.limit, "800 ms");
});

test("A gap that never ends counts up to the end of the drill", () => {
  const history = [...frame, ...answers((time) => (time < 5 ? "lb1" : undefined))];
  const judgement = judged(history, drillWith("[{probe: who, longest_gap: 2s}]"));
  assert.equal(judgement.verdict, "FAIL");
  assert.match(judgement.findings[0]?.found ?? "", /^3\.0/);
});

test("The answer that came before the fault is where a gap begins, not the fault", () => {
  const history = [...frame, ...answers((time) => (time < 1.95 || time > 2.5 ? "lb1" : undefined))];
  const judgement = judged(history, drillWith("[{probe: who, longest_gap: 200ms}]"));
  assert.equal(judgement.verdict, "FAIL");
});

test("Another order of answering hosts than the drill's fails", () => {
  const check = "[{probe: who, answered_by: [lb1, lb2, lb1]}]";
  const there = answers((time) => (time < 3 || time > 5 ? "lb1" : "lb2"));
  assert.equal(judged([...frame, ...there], drillWith(check)).verdict, "PASS");
  const stayed = judged(steady(), drillWith(check));
  assert.equal(stayed.verdict, "FAIL");
  assert.equal(stayed.findings[0]?.found, "lb1");
  const lasting = answers((time) => (time < 3 ? "lb1" : "lb2"));
  assert.equal(judged([...frame, ...lasting], drillWith(check)).verdict, "FAIL");
});

test("Two holders at once for longer than allowed fail", () => {
  const check = "[{two_owners: 100ms}]";
  const both = (from: number, to: number): HistoryEvent[] => [
    ...steady(),
    { kind: "holder", at: seconds(from), host: "lb2", held: true },
    { kind: "holder", at: seconds(to), host: "lb1", held: false },
  ];
  assert.equal(judged(both(3, 3.1), drillWith(check)).verdict, "PASS");
  const judgement = judged(both(3, 3.9), drillWith(check));
  assert.equal(judgement.verdict, "FAIL");
  assert.equal(judgement.findings[0]?.found, "900 ms");
});

test("Two holders until the end fail, whoever let go before", () => {
  const history: HistoryEvent[] = [
    ...steady(),
    { kind: "holder", at: seconds(7), host: "lb2", held: true },
  ];
  assert.equal(judged(history, drillWith("[{two_owners: 100ms}]")).verdict, "FAIL");
});

test("Nobody holding the address for longer than allowed fails", () => {
  const history: HistoryEvent[] = [
    ...steady(),
    { kind: "holder", at: seconds(3), host: "lb1", held: false },
    { kind: "holder", at: seconds(4), host: "lb2", held: true },
  ];
  assert.equal(judged(history, drillWith("[{no_owner: 2s}]")).verdict, "PASS");
  assert.equal(judged(history, drillWith("[{no_owner: 500ms}]")).verdict, "FAIL");
});

test("More failed requests than allowed fail, and their kinds are told", () => {
  const history = [...frame, ...answers((time) => (time > 3 && time < 3.1 ? undefined : "lb1"))];
  assert.equal(judged(history, drillWith("[{probe: who, failed: 4}]")).verdict, "PASS");
  const judgement = judged(history, drillWith("[{probe: who, failed: 3}]"));
  assert.equal(judgement.verdict, "FAIL");
  assert.equal(judgement.findings[0]?.found, "4 (timeout 4)");
});

test("Two hosts that answer by turns fail, while a move there and back does not", () => {
  const check = "[{probe: who, two_answerers: 100ms}]";
  const move = answers((time) => (time < 3 || time > 5 ? "lb1" : "lb2"));
  assert.equal(judged([...frame, ...move], drillWith(check)).verdict, "PASS");
  const turns = answers((time) => {
    if (time < 3 || time > 5) return "lb1";
    return Math.floor(time * 10) % 2 === 0 ? "lb1" : "lb2";
  });
  assert.equal(judged([...frame, ...turns], drillWith(check)).verdict, "FAIL");
});

test("State changes are counted exactly; that a daemon ended and what it begins with is none", () => {
  const states = (...names: string[]): HistoryEvent[] =>
    names.map((state, i) => ({
      kind: "state",
      at: seconds(i === 0 ? 0 : 2 + i),
      host: "lb2",
      state,
    }));
  const check = drillWith("[{vrrp_transitions: {lb2: 2}}]");
  assert.equal(
    judged([...steady(), ...states("BACKUP", "MASTER", "BACKUP")], check).verdict,
    "PASS",
  );
  assert.equal(judged([...steady(), ...states("BACKUP", "MASTER")], check).verdict, "FAIL");
  assert.equal(judged([...steady(), ...states("BACKUP")], check).verdict, "FAIL");
  const restarted = states("BACKUP", "STOPPED", "BACKUP", "MASTER", "BACKUP");
  assert.equal(judged([...steady(), ...restarted], check).verdict, "PASS");
});

test("An expectation that came late or never fails", () => {
  const drill = drillWith(
    "[{two_owners: 10s}]",
    "[{fault: {kind: stop, on: lb1}}, {expect: {vip_owner: {host: lb2}, within: master-down}}]",
  );
  const expected = (until: number | undefined): HistoryEvent[] => [
    ...steady(),
    {
      kind: "expect",
      at: seconds(2),
      step: 1,
      until: until === undefined ? undefined : seconds(until),
    },
  ];
  assert.equal(judged(expected(2.6), drill).verdict, "PASS");
  const late = judged(expected(2.7), drill);
  assert.equal(late.verdict, "FAIL");
  assert.equal(late.findings[0]?.limit, "661 ms");
  assert.equal(judged(expected(undefined), drill).findings[0]?.found, "never");
});

test("What is not steady in the end fails, whatever the checks say", () => {
  const history: HistoryEvent[] = [
    ...steady(),
    { kind: "unsettled", at: seconds(END), what: "one holds" },
  ];
  assert.equal(judged(history, drillWith("[{two_owners: 10s}]")).verdict, "FAIL");
});

test("A drill that did not come to its end fails", () => {
  const history = steady().filter(({ kind }) => kind !== "end");
  assert.equal(judged(history, drillWith("[{two_owners: 10s}]")).verdict, "FAIL");
});

test("A baseline with a failed request or a gap of its own is inconclusive, even when checks fail", () => {
  const check = drillWith("[{probe: who, longest_gap: 50ms}]");
  const failing = answers((time) => (time > 1 && time < 1.05 ? undefined : "lb1"));
  assert.equal(judged([...frame, ...failing], check).verdict, "INCONCLUSIVE");
  const silent = answers(() => "lb1").filter(({ at }) => at < seconds(1) || at > seconds(1.5));
  const judgement = judged([...frame, ...silent], check);
  assert.equal(judgement.verdict, "INCONCLUSIVE");
  assert.match(judgement.reason ?? "", /before anything was done/);
  const none = steady().filter(({ kind }) => kind !== "baseline");
  assert.equal(judged(none, check).verdict, "INCONCLUSIVE");
});

test("A request that hangs since before the baseline is neither a disturbance nor a victim", () => {
  const old: HistoryEvent[] = [1, 4].map((time) => {
    return {
      kind: "answer",
      at: seconds(-1),
      until: seconds(time),
      probe: "who",
      failure: "timeout",
    };
  });
  assert.equal(
    judged([...steady(), ...old], drillWith("[{probe: who, failed: 0}]")).verdict,
    "PASS",
  );
});

test("A request that was under way when the fault came counts as failed by it", () => {
  const victim: HistoryEvent = {
    ...{ kind: "answer", at: seconds(1.8), until: seconds(2.3) },
    ...{ probe: "who", failure: "timeout" },
  };
  assert.equal(
    judged([...steady(), victim], drillWith("[{probe: who, failed: 0}]")).verdict,
    "FAIL",
  );
});

test("A failure while the machine stood still is inconclusive, a pass while it did is a pass", () => {
  const stall: HistoryEvent = { kind: "stall", at: seconds(3), until: seconds(4), host: "client" };
  const gap = answers((time) => (time < 3 || time > 4 ? "lb1" : undefined));
  const check = drillWith("[{probe: who, longest_gap: 50ms}]");
  assert.equal(judged([...frame, ...gap, stall], check).verdict, "INCONCLUSIVE");
  assert.equal(judged([...steady(), stall], check).verdict, "PASS");
});

test("A limit by program holds for that program alone", () => {
  const check = drillWith(
    "[{probe: who, longest_gap: {ours: 100ms, keepalived: 1s, haproxy: any}}]",
  );
  const half = [...frame, ...answers((time) => (time < 2 || time > 3 ? "lb1" : undefined))];
  assert.equal(judged(half, check, OURS).verdict, "FAIL");
  assert.equal(judged(half, check, { daemon: "keepalived", proxy: "lbproxy" }).verdict, "PASS");
  assert.equal(judged(half, check, REFERENCE).findings[0]?.limit, "not judged");
});

test("A failure that is known of a program is a failure still, and told as known; a pass then says so, too", () => {
  const drill = drillWith(
    "[{probe: who, longest_gap: 50ms}]",
    "[{fault: {kind: stop, on: lb1}}]",
    "known_to_fail: {keepalived: it waits}",
  );
  const gap = [...frame, ...answers((time) => (time < 2 || time > 3 ? "lb1" : undefined))];
  assert.deepEqual(
    [judged(gap, drill, REFERENCE).verdict, judged(gap, drill, REFERENCE).reason],
    ["FAIL", "as known: it waits"],
  );
  assert.equal(judged(gap, drill).reason, undefined);
  assert.match(judged(steady(), drill, REFERENCE).reason ?? "", /^passed, although/);
});
