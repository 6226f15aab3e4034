import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBytes } from "../sample/sample.ts";
import {
  createTestWorld,
  findings,
  testContext,
  testTransaction,
  words,
} from "../sample/testing/index.ts";
import { compileRules } from "./compile-rules.ts";
import type { ActionRuleset, Rule } from "./rule.ts";
import { runRules } from "./rule.ts";

function compile(
  ruleset: ActionRuleset,
  lines: readonly string[],
): { rules: Rule[]; found: string[] } {
  const context = testContext(createTestWorld());
  const rules = compileRules(
    ruleset,
    lines.map((line, i) => ({
      at: { file: "test.cfg", line: i + 1, column: 1 },
      words: words(line),
    })),
    context,
  );
  return { rules, found: findings(context) };
}

/** A TCP connection of which these bytes are here. */
function tcp(payload: string, complete = false) {
  const transaction = testTransaction("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  transaction.http = false;
  const bytes = encodeBytes(payload);
  transaction.bytes.set(bytes, 16_384);
  transaction.payloadStart = 16_384;
  transaction.payloadEnd = 16_384 + bytes.length;
  transaction.payloadComplete = complete;
  return transaction;
}

/** A ClientHello for the name, as short as can be. */
function clientHello(name: string): string {
  const two = (value: number): string => String.fromCharCode(value >> 8, value & 255);
  const sni = `\0${two(name.length)}${name}`;
  const extension = `\0\0${two(sni.length + 2)}${two(sni.length)}${sni}`;
  const body = `\x03\x03${"r".repeat(32)}\0\0\x02\x13\x01\x01\0${two(extension.length)}${extension}`;
  const handshake = `\x01\0${two(body.length)}${body}`;
  return `\x16\x03\x01${two(handshake.length)}${handshake}`;
}

test("content rules wait for the bytes that a condition needs, and go on where they were", () => {
  const { rules, found } = compile("tcp-request content", [
    "set-var(txn.n) int(1)",
    "accept if { req.ssl_sni a.example }",
    "reject if WAIT_END",
  ]);
  assert.deepEqual(found, []);
  const hello = clientHello("a.example");
  const progress = { next: 0 };
  const half = tcp(hello.slice(0, 20));
  assert.deepEqual(runRules(rules, half, progress, true), { type: "more" });
  assert.equal(progress.next, 1);
  const whole = tcp(hello);
  assert.equal(runRules(rules, whole, progress, true).type, "final");
  assert.deepEqual(whole.lastRule, { file: "test.cfg", line: 2, column: 1 });
});

test("another name waits for the end of inspect-delay, and is then refused", () => {
  const { rules } = compile("tcp-request content", [
    "accept if { req.ssl_sni a.example }",
    "reject if WAIT_END",
  ]);
  const transaction = tcp(clientHello("b.example"));
  const progress = { next: 0 };
  assert.equal(runRules(rules, transaction, progress, true).type, "more");
  assert.equal(progress.next, 1);
  assert.deepEqual(runRules(rules, transaction, progress, false), { type: "close", silent: false });
});

test("a ClientHello cut anywhere never throws and never gives a wrong name", () => {
  const { rules } = compile("tcp-request content", ["accept if { req.ssl_sni a.example }"]);
  const hello = clientHello("a.example");
  for (let size = 0; size < hello.length; size++) {
    assert.equal(
      runRules(rules, tcp(hello.slice(0, size)), { next: 0 }, true).type,
      "more",
      `${size} bytes`,
    );
  }
});

test("every mistake of a ruleset is reported, each at its word", () => {
  const { rules, found } = compile("http-request", [
    "set-headr X v",
    "set-header X",
    "deny if nope",
    "deny deny_status 700",
    "redirect location / code 300",
    "set-log-level loud",
    "track-sc0 src table nowhere",
    "sc-inc-gpc0(7)",
    "set-header X %[path",
    "expect-proxy layer4",
  ]);
  assert.equal(rules.length, 0);
  assert.equal(found.length, 10, found.join("\n"));
  assert.match(
    found[0] ?? "",
    /^test\.cfg:1:1: error: 'http-request' expects an action, not 'set-headr'\n {2}hint: did you mean 'set-header'\?/,
  );
  assert.match(found[2] ?? "", /no such ACL : 'nope'/);
});

test("a response's rule cannot look at the request's head, and says so", () => {
  const { found } = compile("http-response", [
    "set-header X %[path]",
    "set-header Y 1 if { path /x }",
  ]);
  assert.match(
    found[0] ?? "",
    /error: fetch method 'path' extracts information from 'HTTP request headers'/,
  );
  assert.match(found[1] ?? "", /warning: anonymous acl 'path' will never match/);
});

test("an action that has no effect here says so, and one that does not work yet is refused", () => {
  assert.match(
    compile("http-request", ["set-nice 5"]).found[0] ?? "",
    /warning: 'set-nice' is not supported: this rule has no effect/,
  );
  assert.match(
    compile("http-request", ["cache-use c"]).found[0] ?? "",
    /error: the action 'cache-use' is not supported yet/,
  );
});

test("a header that finds no room ends the request with a 500, unless strict-mode is off", () => {
  const fill = `set-header X-${"n".repeat(30)} ${"v".repeat(9000)}`;
  const lines = Array.from({ length: 12 }, () => fill.replace("set-", "add-"));
  const strict = testTransaction("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  assert.equal(
    runRules(compile("http-request", lines).rules, strict, { next: 0 }).type,
    "internal-error",
  );
  const loose = testTransaction("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  assert.equal(
    runRules(compile("http-request", ["strict-mode off", ...lines]).rules, loose, { next: 0 }).type,
    "continue",
  );
});
