// biome-ignore-all lint/suspicious/noTemplateCurlyInString: definitions of keepalived.conf look like that.
import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultLimits, type Limits } from "./limits.ts";
import { loadConfig } from "./load.ts";
import { memoryHost } from "./memory-host.ts";

function limitFindings(files: Record<string, string>, limits: Partial<Limits> = {}): string[] {
  const loaded = loadConfig("/c", {
    host: memoryHost(files),
    limits: { ...defaultLimits, ...limits },
  });
  return (loaded?.diagnostics ?? [])
    .filter(({ code }) => code === "config/limit")
    .map(({ message }) => message);
}

const reached: Readonly<Record<keyof Limits, () => string[]>> = {
  fileLength: () => limitFindings({ "/c": "x".repeat(200) }, { fileLength: 100 }),
  lineLength: () => limitFindings({ "/c": `router_id ${"x".repeat(1_000_000)}` }),
  lines: () =>
    limitFindings({ "/c": "~SEQ(A,1,1000000) ~SEQ(B,1,1000000) x${A}" }, { lines: 1000 }),
  files: () =>
    limitFindings({ "/c": "include /d\ninclude /d\ninclude /d", "/d": "" }, { files: 2 }),
  includeDepth: () => limitFindings({ "/c": "include /c" }),
  replacements: () => limitFindings({ "/c": "$A=${B}\n$B=${A}\nx $A" }),
  expansionDepth: () => limitFindings({ "/c": "$A= \\\nx \\\n$A\n$A" }),
  blockDepth: () =>
    limitFindings({ "/c": "vrrp_instance A {\nauthentication {\n}\n}" }, { blockDepth: 1 }),
  findings: () => limitFindings({ "/c": "x\n".repeat(2000) }),
};

for (const [name, run] of Object.entries(reached)) {
  test(`the limit ${name} ends reading with a message and without a throw`, () => {
    assert.ok(run().length > 0);
  });
}

test("a definition that doubles itself stops at the length of a line", () => {
  const lines = Array.from({ length: 40 }, (_, i) => `$D${i + 1}=\${D${i}}\${D${i}}`);
  assert.ok(
    limitFindings({ "/c": ["$D0=xxxxxxxxxx", ...lines, "x ${D40}"].join("\n") }).length > 0,
  );
});

test("two hundred unknown blocks inside one another are read", () => {
  const text = `${"foo {\n".repeat(200)}${"}\n".repeat(200)}`;
  const loaded = loadConfig("/c", { host: memoryHost({ "/c": text }) });
  assert.equal(loaded?.testExit, 5);
});

test("words of ten thousand characters are kept short in messages", () => {
  const loaded = loadConfig("/c", { host: memoryHost({ "/c": "x".repeat(10_000) }) });
  assert.ok((loaded?.diagnostics[0]?.message.length ?? 0) < 200);
});
