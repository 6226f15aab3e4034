import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createSample, encodeText, IPV4, STR, setBytes, setInt } from "../sample/sample.ts";
import { createPatternIndex, type MatchMethod, type PatternIndex } from "./pattern-index.ts";
import { PatternStore, readPatternLines, splitMapLine } from "./pattern-store.ts";

function found(index: PatternIndex, text: string): number {
  const sample = createSample();
  setBytes(sample, STR, encodeText(text));
  return index.find(sample);
}

/** What each text method means, in the plainest words. */
const MEANING: Readonly<Partial<Record<MatchMethod, (text: string, pattern: string) => boolean>>> =
  {
    str: (text, pattern) => text === pattern,
    beg: (text, pattern) => text.startsWith(pattern),
    end: (text, pattern) => text.endsWith(pattern),
    sub: (text, pattern) => text.includes(pattern),
  };

for (const method of ["str", "beg", "end", "sub"] as const) {
  test(`${method} finds a pattern exactly when one matches, also after patterns went`, () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "A"), maxLength: 6 });
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 8 }),
        text,
        fc.nat(8),
        fc.boolean(),
        (patterns, input, gone, fold) => {
          const index = createPatternIndex(method, fold);
          patterns.forEach((pattern, i) => void index.add(pattern, i));
          index.remove(gone);
          const same = (value: string): string => (fold ? value.toLowerCase() : value);
          const matching = patterns
            .map((pattern, i) => ({ pattern, i }))
            .filter(
              ({ pattern, i }) =>
                i !== gone && MEANING[method]?.(same(input), same(pattern)) === true,
            );
          const number = found(index, input);
          assert.equal(number !== -1, matching.length > 0);
          if (number === -1) return;
          if (method === "beg") {
            const longest = Math.max(...matching.map(({ pattern }) => pattern.length));
            assert.equal((patterns[number] as string).length, longest);
          } else assert.equal(number, matching[0]?.i);
        },
      ),
    );
  });
}

test("dom and dir find whole words between their delimiters only", () => {
  const dom = createPatternIndex("dom", false);
  dom.add("example", 0);
  assert.equal(found(dom, "www.example.com:80"), 0);
  assert.equal(found(dom, "www.myexample.com"), -1);
  const dir = createPatternIndex("dir", false);
  dir.add("/img/", 0);
  assert.equal(found(dir, "/a/img/b.png"), 0);
  assert.equal(found(dir, "/a/img.png"), -1);
});

test("of networks the narrowest wins, and a mapped IPv6 pattern takes IPv4", () => {
  const index = createPatternIndex("ip", false);
  index.add("10.0.0.0/8", 0);
  index.add("10.1.0.0/255.255.0.0", 1);
  index.add("::ffff:192.0.2.0/120", 2);
  const sample = createSample();
  const at = (...bytes: number[]): number => {
    setBytes(sample, IPV4, Uint8Array.from(bytes));
    return index.find(sample);
  };
  assert.equal(at(10, 1, 2, 3), 1);
  assert.equal(at(10, 2, 2, 3), 0);
  assert.equal(at(192, 0, 2, 9), 2);
  assert.equal(at(11, 0, 0, 1), -1);
  assert.match(index.add("10.0.0.0/33", 3) ?? "", /not an IPv4 or IPv6 address/);
  assert.match(index.add("localhost", 3) ?? "", /localhost/);
});

test("integers match by value and by ranges with open ends", () => {
  const index = createPatternIndex("int", false);
  ["5", "10:20", ":-3", "100:"].forEach((pattern, i) => void index.add(pattern, i));
  const sample = createSample();
  const at = (value: number): number => {
    setInt(sample, value);
    return index.find(sample);
  };
  assert.deepEqual([5, 15, -7, 1000, 6].map(at), [0, 1, 2, 3, -1]);
  assert.match(index.add("many", 9) ?? "", /'many'/);
});

test("changes by the runtime API are seen at once, and a bad pattern changes nothing", () => {
  const { list } = new PatternStore().forFile("/etc/nets.lst", false, "test");
  const index = list.use("ip", false);
  assert.ok(!("error" in index));
  assert.ok(list.add("192.0.2.0/24", undefined).ok);
  assert.deepEqual(list.add("nonsense", undefined).ok, false);
  assert.equal(list.size, 1);
  const sample = createSample();
  setBytes(sample, IPV4, Uint8Array.of(192, 0, 2, 1));
  assert.notEqual(index.find(sample), -1);
  assert.ok(list.delete("192.0.2.0/24").ok);
  assert.equal(index.find(sample), -1);
  assert.deepEqual(list.delete("192.0.2.0/24"), { ok: false, error: "key not found" });
});

test("a prepared version is unseen until it is committed, and then replaces the old one whole", () => {
  const { list } = new PatternStore().forFile("/etc/hosts.map", true, "test");
  const index = list.use("str", false);
  assert.ok(!("error" in index));
  list.add("old", "1");
  const version = list.prepare();
  list.add("new", "2", version);
  assert.equal(found(index, "new"), -1);
  assert.notEqual(found(index, "old"), -1);
  assert.deepEqual(list.commit(version), { ok: true, value: 1 });
  assert.equal(found(index, "old"), -1);
  assert.equal(list.entry(found(index, "new"))?.value, "2");
  assert.deepEqual(list.versions, { current: 1, next: 1 });
  assert.deepEqual(list.add("x", "y", 7), { ok: false, error: "version not found" });
});

test("set changes every entry of a key, and lists are found by file and number", () => {
  const store = new PatternStore();
  const { list } = store.forFile("/etc/hosts.map", true, "test");
  list.add("k", "1");
  list.add("k", "2");
  assert.deepEqual(list.set("k", "3"), { ok: true, value: 2 });
  assert.deepEqual(
    [...list.entries()].map(({ value }) => value),
    ["3", "3"],
  );
  assert.equal(store.named("/etc/hosts.map", true), list);
  assert.equal(store.named("#0", true), list);
  assert.equal(store.forFile("/etc/hosts.map", true, "again").isNew, false);
});

test("pattern files leave out blanks and comments, and a map's value begins after the first blanks", () => {
  assert.deepEqual(readPatternLines("# comment\n\n  a  \r\nb c\n"), ["a", "b c"]);
  assert.deepEqual(splitMapLine("key \t a value"), { key: "key", value: "a value" });
  assert.deepEqual(splitMapLine("alone"), { key: "alone", value: "" });
});
