import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type FileReport, runTestFile } from "./test-file.ts";

/** Runs a file with this text as `./scripts/test` does. */
async function run(text: string, limitSeconds = 20): Promise<FileReport> {
  const folder = mkdtempSync(join(tmpdir(), "test-file-"));
  try {
    const file = join(folder, "sample.test.mjs");
    writeFileSync(file, `import { test, describe } from "node:test";\n${text}`);
    return await runTestFile(file, { folder, limitSeconds });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const outcomes = ({ results }: FileReport): string[] =>
  results.map(({ outcome, path }) => `${outcome} ${path.join(" > ")}`);

test("tests that pass, fail and skip are told apart, with their suites", async () => {
  const report = await run(`
    describe("suite", () => {
      test("good", () => {});
      test("bad", () => { throw new Error("why"); });
    });
    test("left out", { skip: "no root" }, () => {});
  `);
  assert.deepEqual(outcomes(report), [
    "passed suite > good",
    "failed suite > bad",
    "skipped left out",
  ]);
  assert.match(report.results[1]?.detail ?? "", /why/);
  assert.equal(report.results[2]?.detail, "no root");
});

test("a file without a test fails", async () => {
  const { results } = await run("");
  assert.match(results[0]?.detail ?? "", /holds no test/);
});

test("a file that cannot be loaded fails, and its message is shown", async () => {
  const { results } = await run(`import "./nowhere.mjs";`);
  assert.equal(results[0]?.outcome, "failed");
  assert.match(results[0]?.detail ?? "", /nowhere\.mjs/);
});

test("a file that does not end is stopped and fails", async () => {
  const { results, seconds } = await run(
    `test("endless", () => new Promise((done) => setTimeout(done, 60000)));`,
    1,
  );
  assert.ok(seconds < 10);
  assert.match(results.at(-1)?.detail ?? "", /longer than 1 s/);
});
