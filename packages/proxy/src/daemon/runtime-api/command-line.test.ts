import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { findCommand, hasLevel, helpText, parseLine } from "./command-line.ts";
import { RUNTIME_COMMANDS } from "./commands.ts";
import { parseSessionName, sessionName } from "./session-view.ts";

test("a line is taken apart at semicolons and blanks; a backslash takes their meaning away", () => {
  const words = (line: string) => parseLine(line).map((command) => command.words);
  assert.deepEqual(words("show info;show stat"), [
    ["show", "info"],
    ["show", "stat"],
  ]);
  assert.deepEqual(words("  add  acl #1   a\\ b\\;c\\\\ "), [["add", "acl", "#1", "a b;c\\"]]);
  assert.deepEqual(words(""), [[]]);
  assert.deepEqual(words(";"), [[], []]);
});

test("a payload is announced by the last word", () => {
  assert.deepEqual(parseLine("add map #1 <<"), [{ words: ["add", "map", "#1"], payloadEnd: "" }]);
  assert.deepEqual(parseLine("add map #1 <<END").at(-1)?.payloadEnd, "END");
  assert.equal(parseLine("add map #1 << x").at(-1)?.payloadEnd, undefined);
});

test("no line makes the reader or the help throw", () => {
  fc.assert(
    fc.property(fc.string(), (line) => {
      for (const { words } of parseLine(line)) {
        if (findCommand(RUNTIME_COMMANDS, words) === undefined) {
          assert.match(helpText(RUNTIME_COMMANDS, words, "unknown"), /^Unknown command/);
        }
      }
    }),
  );
});

test("the command with the most words of its own is found", () => {
  const found = (line: string) => findCommand(RUNTIME_COMMANDS, line.split(" "))?.words.join(" ");
  assert.equal(found("set maxconn server a/b 3"), "set maxconn server");
  assert.equal(found("show servers state app"), "show servers state");
  assert.equal(found("show servers"), undefined);
  assert.equal(found("shutdown session 0x1"), "shutdown session");
  assert.equal(found("shutdown sessions server a/b"), "shutdown sessions server");
});

test("every command stands once, with a line of help that begins with it", () => {
  const names = RUNTIME_COMMANDS.map(({ words }) => words.join(" "));
  assert.equal(new Set(names).size, names.length);
  for (const { words, usage, doc } of RUNTIME_COMMANDS) {
    assert.equal(usage.split(/[ []/)[0], words[0]);
    assert.notEqual(doc, "");
  }
});

test("unknown words are answered with what shares their beginning", () => {
  const text = helpText(RUNTIME_COMMANDS, ["set", "maxconn", "foo"], "unknown");
  const shown = text
    .split("\n")
    .slice(1, -1)
    .map((line) => line.trim().split(" ").slice(0, 3).join(" "));
  assert.deepEqual(shown.slice(0, 3), [
    "set maxconn frontend",
    "set maxconn global",
    "set maxconn server",
  ]);
  assert.match(text, / {2}quit {36}: /);
});

test("levels are ordered", () => {
  assert.ok(hasLevel("admin", "user") && hasLevel("operator", "operator"));
  assert.ok(!hasLevel("user", "operator") && !hasLevel("operator", "admin"));
});

test("a session's name tells its thread and number", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 2 ** 39 }),
      (thread, session) => {
        const view = {
          thread,
          session,
          source: "",
          frontend: "",
          backend: "",
          server: "",
          ageSeconds: 0,
          bytesIn: 0,
          bytesOut: 0,
          transactions: 0,
        };
        assert.deepEqual(parseSessionName(sessionName(view)), { thread, session });
      },
    ),
  );
  assert.equal(parseSessionName("12"), undefined);
});
