import assert from "node:assert/strict";
import { test } from "node:test";
import { lexLine } from "./lexer.ts";

const ENVIRONMENT = new Map([
  ["A", "a"],
  ["LIST", "one two"],
]);

function words(text: string): readonly string[] | string {
  const { words, error } = lexLine(text, "t.cfg", 1, ENVIRONMENT);
  return error === undefined
    ? words.map((word) => word.text)
    : `${error.message} at ${error.index + 1}`;
}

test("blanks part words, and a # outside quotes ends the line even within a word", () => {
  assert.deepEqual(words("  bind\t:80  name x#y z"), ["bind", ":80", "name", "x"]);
  assert.deepEqual(words('a "b#c" # d'), ["a", "b#c"]);
});

test("quotes join to the word they touch, and an empty pair is an empty word", () => {
  assert.deepEqual(words(`a"b c"'d e' ""`), ["ab cd e", ""]);
});

test("a backslash escapes blanks, quotes and itself, spells control characters, and else stays", () => {
  assert.deepEqual(words(String.raw`a\ b\#c\\d \x41\n\z`), ["a b#c\\d", "A\n\\z"]);
  assert.deepEqual(words(String.raw`'a\n' "\$A" \$A`), ["a\\n", "$A", "\\$A"]);
});

test("variables count within double quotes alone", () => {
  assert.deepEqual(words(`"$A" "\${A}b" '$A' $A`), ["a", "ab", "$A", "$A"]);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is haproxy.cfg's own syntax
  assert.deepEqual(words('"${UNSET}" "${UNSET-d e}" "${A-d}"'), ["", "d e", "a"]);
});

test("[*] makes a word of each part of the value", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is haproxy.cfg's own syntax
  assert.deepEqual(words('x "${LIST[*]}" y'), ["x", "one", "two", "y"]);
});

test("what is wrong is told at its character", () => {
  assert.equal(words('mode "a'), "unmatched quote at 6");
  assert.equal(words('"${A"'), "unmatched brace in environment variable name at 3");
  assert.equal(words('"$1"'), "forbidden first char in environment variable name at 3");
  assert.equal(words("a \\xZZ"), "truncated or invalid hexadecimal sequence at 3");
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is haproxy.cfg's own syntax
  assert.equal(words('"${A[1]}"'), "truncated or invalid word expansion sequence at 5");
});

test("a line has 64 words at most, and the last one kept is named", () => {
  const { words, error } = lexLine(
    Array.from({ length: 70 }, (_, i) => `w${i}`).join(" "),
    "t",
    1,
    ENVIRONMENT,
  );
  assert.equal(words.length, 64);
  assert.match(
    error?.message ?? "",
    /too many words, truncating after word 64, position \d+: <w63>/,
  );
});

test("a word's column is that of its first character, quotes included", () => {
  const { words } = lexLine('  a "b c" d', "t.cfg", 7, ENVIRONMENT);
  assert.deepEqual(
    words.map(({ at }) => at.column),
    [3, 5, 11],
  );
  assert.equal(words[0]?.at.line, 7);
});
