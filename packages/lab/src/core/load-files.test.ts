import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDiagnostic } from "@ha/base";
import { loadDrill, loadInventory } from "./load-files.ts";

const HOSTS = new Set(["lb1", "lb2", "client"]);

/** What is said of a drill's text. */
function findingsOf(text: string): string[] {
  const read = loadDrill("d.yaml", text, HOSTS);
  return read.ok ? [] : read.findings.map(formatDiagnostic);
}

const GOOD = `name: d
about: a drill
steady:
  - vip_owner: {host: lb1}
steps:
  - fault: {kind: stop, on: lb1, as: f1}
  - expect: {vip_owner: {host: lb2}, within: skew + 100ms}
  - heal: f1
check:
  - {probe: who, longest_gap: 2s}
`;

test("A drill as the documentation shows it has no findings", () => {
  assert.deepEqual(findingsOf(GOOD), []);
});

test("Findings stand where the mistake stands, all of a file at once", () => {
  const text = GOOD.replace("kind: stop", "kind: explode").replace(
    "longest_gap: 2s",
    "longest_gap: soon",
  );
  const findings = findingsOf(text);
  assert.equal(findings.length, 2, findings.join("\n"));
  assert.match(findings[0] ?? "", /^d\.yaml:6:19: error: 'kind'.*'stop', 'kill'/);
  assert.match(findings[1] ?? "", /^d\.yaml:10:31: error: .*'soon' is no duration: write 250ms/);
});

test("An unknown key is named where it stands, with the one that was meant", () => {
  const [finding = ""] = findingsOf(GOOD.replace("steady:", "stedy:"));
  assert.match(finding, /d\.yaml:1:1: error: 'steady' is missing/);
  const findings = findingsOf(GOOD.replace("on: lb1, as: f1", "onn: lb1, as: f1"));
  assert.ok(
    findings.some((one) =>
      /^d\.yaml:6:25: error: unknown key 'onn'\n {2}hint: did you mean 'on'\?$/.test(one),
    ),
    findings.join("\n"),
  );
});

test("Names that nothing carries are found: hosts, probes, faults that are to be healed", () => {
  assert.match(
    findingsOf(GOOD.replace("on: lb1", "on: lb9")).join(),
    /^d\.yaml:6:29: error: no host is called 'lb9'; there are lb1, lb2, client/,
  );
  assert.match(
    findingsOf(GOOD.replace("heal: f1", "heal: f2")).join(),
    /^d\.yaml:8:11: error: no fault before it is called 'f2'/,
  );
  assert.match(
    findingsOf(GOOD.replace("probe: who", "probe: what")).join(),
    /^d\.yaml:10:13: error: no probe is called 'what'/,
  );
});

test("What is no YAML is said with its place, and an empty file is refused", () => {
  assert.match(findingsOf("name: [")[0] ?? "", /^d\.yaml:1:\d+: error: /);
  assert.match(findingsOf("")[0] ?? "", /^d\.yaml:1:1: error: the file is empty/);
});

test("A broken inventory is told with line and column", () => {
  const read = loadInventory("i.yaml", "driver: netns\nslack: {time_factor: 0.5, floor_s: 0.3}\n");
  assert.ok(!read.ok);
  const findings = read.findings.map(formatDiagnostic);
  assert.ok(
    findings.some((one) => /^i\.yaml:2:22: error: 'time_factor'/.test(one)),
    findings.join("\n"),
  );
  assert.ok(findings.some((one) => /'hosts'/.test(one)));
});
