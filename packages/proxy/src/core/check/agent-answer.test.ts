import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readAgentAnswer } from "./agent-answer.ts";

/** The words that were understood, and the check's own text. */
function read(text: string): [object, string, string] {
  const answer = readAgentAnswer(text, true);
  assert.ok(answer !== undefined);
  const { state, admin, weightPercent, maxconn } = answer.report;
  const known = Object.entries({ state, admin, weightPercent, maxconn }).filter(
    ([, value]) => value !== undefined,
  );
  return [Object.fromEntries(known), answer.result.status, answer.result.info];
}

test("every word of an agent means what the manual says", () => {
  assert.deepEqual(read("up\n"), [{ state: "up" }, "L7OK", "via agent : up"]);
  assert.deepEqual(read("down #too hot\n"), [
    { state: "down" },
    "L7STS",
    "via agent : down (too hot)",
  ]);
  assert.deepEqual(read("fail"), [{ state: "failed" }, "L7STS", "via agent : fail"]);
  assert.deepEqual(read("Stopped\r\n"), [{ state: "stopped" }, "L7STS", "via agent : Stopped"]);
  assert.deepEqual(read("drain\n"), [{ admin: "drain" }, "CHECKED", ""]);
  assert.deepEqual(read("maint\n"), [{ admin: "maint" }, "CHECKED", ""]);
  assert.deepEqual(read("75%\n"), [{ weightPercent: 75 }, "CHECKED", ""]);
  assert.deepEqual(read("ready,up\tmaxconn:5 50%\n"), [
    { state: "up", admin: "ready", weightPercent: 50, maxconn: 5 },
    "L7OK",
    "via agent : up",
  ]);
});

test("words that are not known change nothing", () => {
  assert.deepEqual(read("stopped#attached\n")[0], {});
  assert.deepEqual(read("100\n")[0], {});
  assert.deepEqual(read("maxconn:many -5%\n")[0], {});
});

test("only the first line counts, and an answer without an end is waited for", () => {
  assert.deepEqual(read("up\ndown\n")[0], { state: "up" });
  assert.equal(readAgentAnswer("dow", false), undefined);
  assert.equal(readAgentAnswer("down\n", false)?.report.state, "down");
});

test("no agent's answer throws or asks for more than 256 times the weight", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 2_000 }), (text) => {
      const answer = readAgentAnswer(text, true);
      assert.ok((answer?.report.weightPercent ?? 0) <= 25_600);
    }),
  );
});
