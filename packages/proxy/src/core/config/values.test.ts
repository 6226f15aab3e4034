import assert from "node:assert/strict";
import { test } from "node:test";
import { seconds } from "@ha/base";
import fc from "fast-check";
import { parseSocketAddress } from "./address.ts";
import { closestKeyword } from "./closest-keyword.ts";
import { evaluateCondition } from "./condition.ts";
import { parseSize, parseTime } from "./values.ts";
import { compareVersions } from "./version.ts";

test("a time is milliseconds unless its unit says else, and rounds up to a whole millisecond", () => {
  const cases: readonly (readonly [string, number])[] = [
    ["5000", 5_000_000],
    ["5s", 5_000_000],
    ["2m", 120_000_000],
    ["1h", 3_600_000_000],
    ["1d", 86_400_000_000],
    ["1500us", 2_000],
    ["0", 0],
  ];
  for (const [text, value] of cases) {
    assert.deepEqual(parseTime(text), { kind: "ok", value, trailing: undefined }, text);
  }
  assert.deepEqual(parseTime("30", { unit: 1_000_000 }), {
    kind: "ok",
    value: seconds(30),
    trailing: undefined,
  });
});

test("a time that is none tells its first wrong character, and one above 24.8 days is an overflow", () => {
  assert.deepEqual(parseTime("abc"), { kind: "bad", character: "a" });
  assert.deepEqual(parseTime("5x"), { kind: "bad", character: "x" });
  assert.deepEqual(parseTime("30d"), { kind: "overflow" });
  assert.equal(
    parseTime("5min").kind === "ok" && (parseTime("5min") as { trailing: string }).trailing,
    "in",
  );
});

test("a size takes k, m and g as powers of 1024", () => {
  assert.deepEqual(parseSize("10k"), { kind: "ok", value: 10_240, trailing: undefined });
  assert.deepEqual(parseSize("1g"), { kind: "ok", value: 2 ** 30, trailing: undefined });
  assert.deepEqual(parseSize("1kb"), { kind: "bad", character: "b" });
});

const LISTEN = {
  port: "required",
  portRange: true,
  stream: true,
  datagram: false,
  inherited: true,
  local: true,
  names: true,
} as const;

test("addresses are read in all their forms", () => {
  const kinds = [
    "*:80",
    ":80-82",
    "[::1]:80",
    "::1:80",
    "unix@/a",
    "/a",
    "abns@x",
    "abnsz@x",
    "fd@3",
    "sockpair@4",
    "ipv6@:80",
  ];
  const read = kinds.map((text) => {
    const result = parseSocketAddress(text, LISTEN);
    return result.ok ? result.value.address.kind : result.message;
  });
  assert.deepEqual(read, [
    "inet",
    "inet",
    "inet",
    "inet",
    "unix",
    "unix",
    "abstract",
    "abstract",
    "fd",
    "sockpair",
    "inet",
  ]);
});

test("an address that is none is told in HAProxy's words", () => {
  const message = (text: string): string => {
    const result = parseSocketAddress(text, LISTEN);
    return result.ok ? "ok" : result.message;
  };
  assert.equal(message("1.2.3.4"), "missing port specification in '1.2.3.4'");
  assert.equal(message(":70000"), "invalid port '70000'");
  assert.equal(message(":90-80"), "invalid port range '90-80'");
  assert.equal(message("udp@:80"), "dgram-type address not acceptable in 'udp@:80'");
  assert.equal(message("300.1.1.1:80"), "invalid address: '300.1.1.1' in '300.1.1.1:80'");
});

test("no text makes the address reader throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => void parseSocketAddress(text, LISTEN)),
  );
});

test("versions compare as HAProxy's, development before release", () => {
  const order = ["2.6", "2.6.12", "2.8-dev8", "2.8-dev10", "2.8-rc1", "2.8", "3.5-dev5"];
  for (const [i, a] of order.entries()) {
    for (const [j, b] of order.entries()) {
      assert.equal(Math.sign(compareVersions(a, b)), Math.sign(i - j), `${a} ${b}`);
    }
  }
  assert.equal(compareVersions("v2.8-dev8", "2.8-dev8"), 0);
});

const CONTEXT = {
  environment: new Map([["HOME", "/root"]]),
  version: "3.5-dev5",
  features: new Map([["THREAD", true]]),
  enabled: new Set<string>(),
  sslLibrary: "OpenSSL 3.0.17 1 Jul 2025",
};

test("conditions take predicates, !, &&, || and parentheses, with && the stronger", () => {
  const cases: readonly (readonly [string, boolean])[] = [
    ["", false],
    ["0 || 1", true],
    ["1 || 0 && 0", true],
    ["(1 || 0) && 0", false],
    ["!feature(THREAD)", false],
    ["streq(\"a b\",'a b') && strneq(a,b)", true],
    ["defined(HOME) && !defined(NOPE)", true],
    ["version_atleast(2.6) && version_before(4.0)", true],
    ["openssl_version_atleast(3.0.0) && ssllib_name_startswith(OpenSSL)", true],
    ["awslc_api_atleast(1)", false],
  ];
  for (const [text, value] of cases) {
    assert.deepEqual(evaluateCondition(text, CONTEXT), { ok: true, value }, text);
  }
});

test("no expression makes the condition reader throw", () => {
  const piece = fc.constantFrom(
    "(",
    ")",
    "!",
    "&&",
    "||",
    " ",
    "1",
    "streq(",
    "a,b)",
    "feature(X)",
    '"',
    "\\",
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 400 }),
      (pieces) => void evaluateCondition(pieces.join(""), CONTEXT),
    ),
  );
});

test("a mistyped keyword is answered by HAProxy's own measure", () => {
  assert.equal(closestKeyword("chek", ["check", "cookie", "crt"]), "check");
  assert.equal(closestKeyword("maxcon", ["maxconn", "mode"]), "maxconn");
  assert.equal(closestKeyword("turbo", ["tfo", "ssl", "crt"]), undefined);
});
