import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBytes } from "../sample/sample.ts";
import { compileRegex, REGEX_INPUT_LIMIT } from "./regex.ts";

function matches(pattern: string, text: string, ignoreCase = false): boolean {
  const regex = compileRegex(pattern, ignoreCase);
  if (typeof regex === "string") throw new Error(regex);
  const bytes = encodeBytes(text);
  return regex.test(bytes, 0, bytes.length);
}

test("what PCRE writes otherwise than JavaScript means the same here", () => {
  assert.ok(matches("(?i)^ABC$", "abc"));
  assert.ok(matches("\\Aabc\\z", "abc"));
  assert.ok(!matches("\\Aabc\\z", "abc\n"));
  assert.ok(matches("^abc$", "abc\n"));
  assert.ok(!matches("^abc$", "abc\nd"));
  assert.ok(matches("^[[:alpha:]]+[[:digit:]]$", "abc1"));
  assert.ok(matches("(?P<name>a)\\k<name>", "aa"));
  assert.ok(matches("\\Qa.b\\E", "a.b"));
  assert.ok(!matches("\\Qa.b\\E", "axb"));
  assert.ok(matches("\\x41\\x{42}", "AB"));
  assert.ok(matches("a{,3}", "a{,3}"));
  assert.ok(matches("(?#comment)a", "a"));
  assert.ok(matches("^\\h+$", " \t"));
  assert.ok(matches("[]a]", "]"));
  assert.ok(matches("^a.b$", "a\rb"));
  assert.ok(matches("^a++b$", "aaab"));
  assert.ok(!matches("^a++ab$", "aaab"));
  assert.ok(!matches("^[a-z]*+z$", "abz"));
});

test("what JavaScript cannot do is refused with a reason", () => {
  for (const pattern of [
    "(ab)++",
    "a++(b)\\1",
    "(?>a+)",
    "(?R)",
    "\\Ka",
    "(*SKIP)",
    "(?(1)a|b)",
    "a(",
    "[a",
    "\\",
  ]) {
    assert.equal(typeof compileRegex(pattern, false), "string", pattern);
  }
});

test("patterns that hostile input could make run for ever are refused, and their harmless kin are not", () => {
  for (const pattern of [
    "(a+)+$",
    "(a*)*b",
    "(?:x+y?)+z",
    "((a|b)+)*c",
    "(a+a)+$",
    "(?:\\w+x)+$",
  ]) {
    assert.equal(typeof compileRegex(pattern, false), "string", pattern);
  }
  for (const pattern of ["(?:[a-z0-9-]+\\.)+com$", "^/(?:[^/]+/)*x", "(a|b)+", "(.*)/(.*)"]) {
    assert.notEqual(typeof compileRegex(pattern, false), "string", pattern);
  }
});

test("input beyond the limit does not match", () => {
  assert.ok(matches("a", "a".repeat(REGEX_INPUT_LIMIT)));
  assert.ok(!matches("a", "a".repeat(REGEX_INPUT_LIMIT + 1)));
});

test("groups keep their numbers beside possessive quantifiers", () => {
  const regex = compileRegex("(a)b++(c)d*+(e)", false);
  assert.ok(typeof regex !== "string");
  assert.deepEqual([...(regex.exec("xabbcdde", 0) ?? [])], ["abbcdde", "a", "c", "e"]);
});
