import assert from "node:assert/strict";
import { test } from "node:test";
import { seconds } from "@ha/base";
import fc from "fast-check";
import { LOG_VARIABLES } from "../log/log-variables.ts";
import { CONVERTER_LIST } from "../sample/converters/table.ts";
import { FETCH_LIST } from "../sample/fetches/table.ts";
import { createTestWorld, testContext, testTransaction, words } from "../sample/testing/index.ts";
import { StickTable } from "../server/stick-table.ts";
import { FURTHER_COUNTER } from "../server/tracked.ts";
import { ACTION_LIST } from "./actions/table.ts";
import { compileRules, RULESET_PLACES } from "./compile-rules.ts";
import { type ActionRuleset, runRules } from "./rule.ts";

const argument = fc.constantFrom(
  "1",
  "0",
  "-1",
  "host",
  "x-a",
  "txn.v",
  "f",
  "t",
  "a,b",
  "/",
  "'q",
  '"q',
  "",
  "64",
  "str",
  "sha256",
  "2,3",
  "%Y",
  "$.a",
  "99999999999999999999",
);
const call = (names: readonly string[]) =>
  fc
    .tuple(
      fc.constantFrom(...names),
      fc.option(fc.array(argument, { maxLength: 3 }), { nil: undefined }),
    )
    .map(([name, args]) => (args === undefined ? name : `${name}(${args.join(",")})`));
/** Each counter beyond the third is as the third. */
const ACTIONS = ACTION_LIST.map(({ name }) => name).filter((name) => !FURTHER_COUNTER.test(name));
const expression = fc
  .tuple(
    call(FETCH_LIST.map(({ name }) => name)),
    fc.array(call(CONVERTER_LIST.map(({ name }) => name)), { maxLength: 3 }),
  )
  .map(([fetch, converters]) => [fetch, ...converters].join(","));
const format = fc
  .array(
    fc.oneof(
      expression.map((text) => `%[${text}]`),
      fc.constantFrom(...LOG_VARIABLES.keys()).map((name) => `%${name}`),
      fc.constantFrom("a", "%%", "%{+Q}o", "%", "%{", "{+X}"),
    ),
    { maxLength: 3 },
  )
  .map((parts) => parts.join(""));
const word = fc.oneof(
  expression,
  format,
  argument,
  fc.constantFrom(
    "if",
    "unless",
    "{",
    "}",
    "!",
    "or",
    "-m",
    "-i",
    "beg",
    "reg",
    "len",
    "status",
    "hdr",
    "table",
    "code",
    "location",
    "string",
  ),
);
const line = fc
  .tuple(call(ACTIONS), fc.array(word, { maxLength: 6 }))
  .map(([action, rest]) => [action, ...rest].filter((text) => text !== "").join(" "));

// Goal: whatever stands in a rule, compiling it reports or gives a closure, and running the closure never throws.
// Method: lines of the tables' own names with random arguments, over one request and its response.
test("no rule makes the compiler throw, and none that compiles throws when it runs", () => {
  const rulesets = Object.keys(RULESET_PLACES) as ActionRuleset[];
  let compiledCount = 0;
  fc.assert(
    fc.property(fc.constantFrom(...rulesets), line, (ruleset, text) => {
      const table = new StickTable({
        name: "f",
        type: "string",
        keySize: 32,
        size: 16,
        expire: seconds(10),
        nopurge: false,
        store: [
          { name: "gpc0", period: undefined, elements: 1 },
          { name: "http_req_rate", period: seconds(10), elements: 1 },
        ],
      });
      const world = createTestWorld({
        tables: new Map([
          ["f", table],
          ["t", table],
        ]),
        files: { f: "k v\n", t: "10.0.0.0/8 1\n" },
      });
      const context = testContext(world);
      const rules = compileRules(
        ruleset,
        [{ at: { file: "f", line: 1, column: 1 }, words: words(text) }],
        context,
      );
      const isRefused = rules.length === 0;
      assert.equal(isRefused, context.diagnostics.hasErrors, text);
      if (isRefused) return;
      compiledCount++;
      const transaction = testTransaction(
        'GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-A: {"a":1}\r\nCookie: a=b\r\n\r\n',
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\ncontent-length: 0\r\n\r\n",
      );
      transaction.hasResponse = ruleset.includes("response");
      runRules(rules, transaction, { next: 0 });
      for (const tracked of transaction.tracked) tracked?.release();
      for (const tracked of transaction.session.tracked) tracked?.release();
    }),
    { numRuns: 6_000 },
  );
  assert.ok(compiledCount > 50, `only ${compiledCount} lines compiled: the test shows too little`);
});
