// biome-ignore-all lint/suspicious/noTemplateCurlyInString: definitions of keepalived.conf look like that.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "./load.ts";
import { memoryHost } from "./memory-host.ts";

/** Each unknown keyword is named by a complaint, which makes the words of the lexer visible. */
function firstWords(text: string, configId = "node1"): string[] {
  const host = memoryHost(
    {
      "/c/main.conf": text,
      "/c/inc.conf": "included",
      "/c/sub/deep.conf": "include leaf.conf",
      "/c/sub/leaf.conf": "leaf${_PWD}",
    },
    { environment: (name) => (name === "HOME" ? "/root" : undefined) },
  );
  const loaded = loadConfig("/c/main.conf", { host, configId });
  return (loaded?.diagnostics ?? [])
    .map(({ message }) => /^unknown keyword '(.*)'$/.exec(message)?.[1])
    .filter((word) => word !== undefined);
}

// Every row was seen at keepalived 2.2.7, but for the environment, which came later.
const cases: readonly (readonly [what: string, text: string, words: readonly string[]])[] = [
  ["double quotes keep blanks in a word", '"a b"c d', ["a b"]],
  ["a double quote begins a new word", 'a"b c"d', ["a"]],
  ["single quotes are ordinary in plain words", "'a b'", ["'a"]],
  ["there are no escapes in plain words", "\\x41bc", ["\\x41bc"]],
  ["# begins a comment inside a word", "a#b", ["a"]],
  ["! begins a comment inside a word", "a!b", ["a"]],
  ["# in double quotes is no comment", '"a#b" c', ["a#b"]],
  ["# in single quotes is one", "'a#b'", ["'a"]],
  ["a line for our config id is read", "@node1 x", ["x"]],
  ["a line for another id is not", "@other x", []],
  ["a line for all but another id is read", "@^other x", ["x"]],
  ["a line for all but our id is not", "@^node1 x", []],
  ["@ without id is nobody's", "@ x", []],
  ["@^ without id is everybody's", "@^ x", ["x"]],
  ["a line for vrrpd is read", "@vrrpd x", ["x"]],
  ["a line for all but vrrpd is not", "@^vrrpd x", []],
  ["only one condition is looked at", "@node1 @node1 x", ["@node1"]],
  ["a definition is used with $", "$X=y\n$X", ["y"]],
  ["a definition is used with braces inside a word", "$X=y\na${X}b", ["ayb"]],
  ["$X glued to more is text", "$X=y\n$Xb", ["$Xb"]],
  ["the last $X of a word is replaced", "$X=y\n$X$X", ["$Xy"]],
  ["definitions are replaced when used", "$A=${B}\n$B=1\n${A}x\n$B=2\n${A}x", ["1x", "2x"]],
  ["a definition may be for our id only", "@node1 $X=y\n@other $X=z\n$X", ["y"]],
  ["a definition may bring a condition", "$Z=@node1\n$Z x", ["x"]],
  ["a name begins with no digit", "$1=x\n$1", ["$1=x", "$1"]],
  ["an undefined one with braces falls apart", "a${B}", ["a$", "B"]],
  ["definitions go on over lines", "$M= \\\nx \\\ny\n$M", ["x", "y"]],
  ["the first line of such a one may have text", "$M=x \\\ny\n$M", ["x", "y"]],
  ["they nest", "$I= \\\nx${N}\n$O= \\\n$N=1 \\\n$I \\\n$N=2 \\\n$I\n$O", ["x1", "x2"]],
  ["~SEQ counts up", "~SEQ(N,1,2) x${N}", ["x1", "x2"]],
  ["~SEQ counts down", "~SEQ(N,3,1) x${N}", ["x3", "x2", "x1"]],
  ["~SEQ has a step", "~SEQ(N,5,-2,1) x${N}", ["x5", "x3", "x1"]],
  ["~SEQ starts at 1", "~SEQ(N,2) x${N}", ["x1", "x2"]],
  ["~SEQ starts at -1 below zero", "~SEQ(N,-2) x${N}", ["x-1", "x-2"]],
  ["~SEQx writes hexadecimal", "~SEQx(N,0x9,11) x${N}", ["x9", "xa", "xb"]],
  ["~SEQ multiplies", "~SEQ(A,1,2) ~SEQ(B,3,4) x${A}${B}", ["x13", "x14", "x23", "x24"]],
  ["~SEQ stands at the front only", "x ~SEQ(A,1,2)", ["x"]],
  ["~LST goes over values", "~LST(L,a,b) x${L}", ["xa", "xb"]],
  ["~LST goes over tuples", "~LST({A,B},{a,b},{c,d}) x${A}${B}", ["xab", "xcd"]],
  ["~LST may have an empty value", "~LST(L,) x${L}y", ["xy"]],
  ["an unknown sequence is a word", "~FOO(N,1) x", ["~FOO(N,1)"]],
  ["${_HASH} at the front makes a comment", "${_HASH}x", []],
  ["${_BANG} within a word is text", "x${_BANG}", ["x!"]],
  ["${_INSTANCE} is the config id", "x${_INSTANCE}", ["xnode1"]],
  ["${_PWD} is the folder of the file", "include sub/deep.conf", ["leaf/c/sub"]],
  ["${_RANDOM} keeps to its range", "x${_RANDOM 5 5}", ["x5"]],
  ["${_ENV} is the environment", "x${_ENV HOME}", ["x/root"]],
  ["an include may stand under a condition", "@node1 include inc.conf", ["included"]],
  ["an include may come from a definition", "$I=inc.conf\ninclude $I", ["included"]],
  ["a sequence may include", "~SEQ(A,1,2) include inc.conf", ["included", "included"]],
  ["quotes belong to the name of an include", 'include "inc.conf"', []],
  ["include alone is a word", "include", ["include"]],
  ["CRLF ends lines as well", "x\r\ny\r\n", ["x", "y"]],
  ["the last line may lack its newline", "x\ny", ["x", "y"]],
  ["a byte order mark is not part of the first word", "\ufeffx", ["x"]],
  ["NUL ends the line", "x\0y\nz", ["x", "z"]],
  ["a backslash ends no ordinary line", "x \\\ny", ["x", "y"]],
];

for (const [what, text, words] of cases) {
  test(what, () => assert.deepEqual(firstWords(text), words));
}

test("every token keeps its place through definitions and sequences", () => {
  const host = memoryHost({
    "/c": '$X=oops\nglobal_defs {\n    "$X" 1\n  ~SEQ(N,1,1)   bad${N}\n}\n',
  });
  const places = loadConfig("/c", { host })?.diagnostics.map(
    ({ at }) => `${at?.line}:${at?.column}`,
  );
  // A definition does not end at a quote, so the first one stays as it is.
  assert.deepEqual(places, ["3:5", "4:17"]);
});
