import assert from "node:assert/strict";
import { test } from "node:test";
import { fail, ok } from "@ha/base";
import fc from "fast-check";
import { encodeText } from "../sample/sample.ts";
import { type CrtListPaths, parseCrtList, parseCrtListLine } from "./crt-list.ts";

const paths: CrtListPaths = {
  authority: (word, path) =>
    path === "missing" ? fail(`'${word}' : unable to load missing`) : ok(`/ca/${path}`),
};
const parse = (text: string) => parseCrtList(encodeText(text), "l.txt", paths);

test("a line has a certificate, settings between brackets, and filters", () => {
  const list = parse(
    "# comment\n\nb.pem\na.pem [alpn h2,http/1.1 ssl-min-ver TLSv1.3 verify required ca-file c.pem] *.a.test !b.a.test\n",
  );
  assert.ok(list.ok);
  assert.deepEqual(list.value.lines, [
    { line: 3, certificate: "b.pem", settings: {}, words: undefined, filters: [] },
    {
      line: 4,
      certificate: "a.pem",
      settings: {
        alpn: ["h2", "http/1.1"],
        minVersion: "TLSv1.3",
        verify: "required",
        caFile: "/ca/c.pem",
      },
      words: [
        ...["alpn", "h2,http/1.1", "ssl-min-ver", "TLSv1.3"],
        ...["verify", "required", "ca-file", "c.pem"],
      ],
      filters: ["*.a.test", "!b.a.test"],
    },
  ]);
});

// Texts observed: haproxy 2.6.12.
const REFUSED: readonly (readonly [string, string])[] = [
  ["a.pem alpn h2] x\n", "parsing [l.txt:1]: missing '['"],
  ["a.pem [foo bar]\n", "parsing [l.txt:1]: unknown ssl keyword foo"],
  ["a.pem [crt b.pem]\n", "parsing [l.txt:1]: unknown ssl keyword crt"],
  ["a.pem [alpn]\n", "parsing [l.txt:1]: ssl args out of '[]' for alpn"],
  ["[alpn h2] x\n", "parsing [l.txt:1]: file must start with a cert"],
  ["a.pem [alpn h2] [npn h2] y\n", "parsing [l.txt:1]: too many '['"],
  ["a.pem [verify none]] y\n", "parsing [l.txt:1]: too many ']'"],
  ["a.pem [ssl-min-ver TLSv9]\n", "'TLSv9' : unknown ssl/tls version"],
  ["a.pem [ca-file missing]\n", "'ca-file' : unable to load missing"],
  [
    "b.pem\na.pem",
    "parsing [l.txt:2]: Missing LF on last line, file might have been truncated at position 6.",
  ],
];
for (const [text, words] of REFUSED) {
  test(`${JSON.stringify(text)} is refused in haproxy's words`, () => {
    assert.deepEqual(parse(text), fail(words));
  });
}

test("names in front of the brackets are warned about, and what does nothing is named", () => {
  const list = parse("a.pem x [allow-0rtt]\n");
  assert.ok(list.ok);
  assert.deepEqual(list.value.warnings, [
    "parsing [l.txt:1]: malformated line, filters can't be between filename and options!",
    "parsing [l.txt:1]: 'allow-0rtt' is not supported by lbproxy: it has no effect.",
  ]);
});

test("brackets that nobody closes hold nothing", () => {
  const line = parseCrtListLine("a.pem [alpn h2 x", 1, "l.txt", paths);
  assert.ok(line.ok);
  assert.deepEqual(line.value?.line.settings, {});
});

test("no text makes the reader throw", () => {
  fc.assert(fc.property(fc.string(), (text) => void parse(text)));
});
