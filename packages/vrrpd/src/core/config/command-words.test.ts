import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { quoteCommandWord, splitCommand } from "./command-words.ts";

// observed: keepalived 2.2.7 -d
const cases: readonly (readonly [text: string, words: readonly string[] | undefined])[] = [
  ["killall -0 haproxy", ["killall", "-0", "haproxy"]],
  ["/bin/sh -c 'exit 0'", ["/bin/sh", "-c", "exit 0"]],
  ['/bin/sh -c "exit 0"', ["/bin/sh", "-c", "exit 0"]],
  ["a\\ b c", ["a b", "c"]],
  ["a\\x41b \\101 \\q", ["aAb", "A", "q"]],
  ["\\cA", ["\x01"]],
  ["a''b", ["ab"]],
  ["''", [""]],
  ["'open", undefined],
];

for (const [text, words] of cases) {
  test(`'${text}' is split as keepalived splits it`, () => {
    assert.deepEqual(splitCommand(text), words);
  });
}

test("a quoted word is one word again", () => {
  const word = fc.string({ unit: "grapheme" }).filter((text) => !/[\r\t\v\f]/.test(text));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), (words) => {
      assert.deepEqual(splitCommand(words.map(quoteCommandWord).join(" ")), words);
    }),
  );
});
