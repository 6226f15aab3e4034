import assert from "node:assert/strict";
import { test } from "node:test";
import { algorithms } from "../balance/algorithm.ts";
import { LOG_VARIABLES } from "../log/log-variables.ts";
import { ACTION_LIST } from "../rule/actions/table.ts";
import { splitCalls } from "./call.ts";
import { CONVERTER_LIST } from "./converters/table.ts";
import { compileExpression } from "./expression.ts";
import { FETCH_LIST } from "./fetches/table.ts";
import { createTestWorld, findings, testContext, token } from "./testing/index.ts";

const TABLES = {
  fetches: FETCH_LIST,
  converters: CONVERTER_LIST,
  actions: ACTION_LIST,
  "log variables": [...LOG_VARIABLES.values()],
  algorithms,
};

for (const [name, entries] of Object.entries(TABLES)) {
  test(`every entry of the ${name} has a doc and a source that a search finds, and a name of its own`, () => {
    const seen = new Set<string>();
    for (const entry of entries) {
      assert.ok(entry.doc.length > 3, `${entry.name} has no doc`);
      assert.match(entry.source, /^HAProxy configuration manual §/, entry.name);
      const aliases = "aliases" in entry ? (entry.aliases ?? []) : [];
      for (const spelling of [entry.name, ...aliases]) {
        assert.ok(!seen.has(spelling), `${spelling} stands twice`);
        seen.add(spelling);
      }
    }
  });
}

test("a mistake in an expression is reported at its word, with what to write", () => {
  const report = (text: string): string => {
    const context = testContext(createTestWorld());
    assert.equal(compileExpression(token(text), context), undefined, text);
    return findings(context).join("\n");
  };
  assert.equal(
    report("pathh"),
    "test.cfg:1:1: error: unknown fetch method 'pathh'\n  hint: did you mean 'path'?",
  );
  assert.match(report("path,lowr"), /unknown converter 'lowr'\n {2}hint: did you mean 'lower'\?/);
  assert.match(report("hdr(host"), /missing '\)' in 'hdr\(host'/);
  assert.match(report("path(1)"), /'path' takes no arguments\n {2}hint: write: path/);
  assert.match(report("bin(41),add(1)"), /'add' cannot be applied to type bin: it takes sint/);
  assert.match(report("req.hdr(x,-21)"), /header occurrence must be >= -10/);
  assert.match(report("str(a),regsub('(a+)+',x)"), /regular expression/);
  assert.match(report("var(user)"), /'user' is not a variable's name/);
  assert.match(report("nbsrv(nowhere)"), /unable to find backend 'nowhere'/);
});

test("no word makes the expression parser throw", () => {
  for (const text of [
    "(",
    ")",
    ",",
    "a(",
    "a()",
    "a(,",
    'a("',
    "a('",
    "a(\\",
    "((",
    "a)b",
    "a,,b",
    "a(b)c",
    "\u00ff(",
    "",
  ]) {
    splitCalls(token(text), testContext(createTestWorld()));
    compileExpression(token(text), testContext(createTestWorld()));
  }
});
