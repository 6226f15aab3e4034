import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  PAIR_LINE_LIMIT,
  PairLines,
  pairLine,
  parseProxyOrder,
  parseProxyWord,
} from "./pair-line.ts";

const plain = fc.string({ unit: "grapheme-ascii", maxLength: 40 });

test("no line makes a reader throw, and what is no message is none", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      for (const read of [parseProxyWord, parseProxyOrder]) {
        const message = read(line);
        if (message !== undefined) assert.equal(typeof message.type, "string");
      }
    }),
  );
});

test("orders and words are read as they were written", () => {
  fc.assert(
    fc.property(
      plain,
      fc.nat(),
      fc.boolean(),
      fc.array(plain, { maxLength: 5 }),
      (name, n, up, addresses) => {
        const words = [
          { type: "hello", pid: n, version: name },
          { type: "beat", sessions: n },
          { type: "listener", name, up, why: name },
          { type: "backend", name, up },
          { type: "drain", state: "draining", sessions: n, old: n, idle: n, waiting: n },
          { type: "cut", sessions: n },
          {
            type: "status",
            status: {
              sessions: n,
              requests: n,
              listeners: [{ name, up }],
              backends: [
                {
                  name,
                  status: name,
                  sessions: n,
                  servers: [{ name, status: name, weight: n, sessions: n, check: name }],
                },
              ],
            },
          },
        ] as const;
        for (const word of words) assert.deepEqual(parseProxyWord(pairLine(word)), word);
        const orders = [
          { type: "drain", on: up, closeIdle: up, addresses },
          { type: "cut", addresses },
          {
            type: "vrrp",
            view: {
              host: name,
              at: n,
              instances: [
                {
                  name,
                  state: name,
                  since: n,
                  priority: n,
                  addresses,
                  peers: [{ address: name, words: name, good: up }],
                  problems: addresses,
                },
              ],
              transitions: [{ at: n, instance: name, from: name, to: name, because: name }],
            },
          },
        ] as const;
        for (const order of orders) assert.deepEqual(parseProxyOrder(pairLine(order)), order);
      },
    ),
  );
});

test("however the text is split, the lines are the same", () => {
  fc.assert(
    fc.property(fc.array(plain), fc.array(fc.nat(80)), (texts, cuts) => {
      const whole = texts.map((text) => `${text.replaceAll("\n", "")}\n`).join("");
      const lines = new PairLines();
      const found: string[] = [];
      let rest = whole;
      for (const cut of cuts) {
        found.push(...lines.add(rest.slice(0, cut)));
        rest = rest.slice(cut);
      }
      found.push(...lines.add(rest));
      assert.deepEqual(found, new PairLines().add(whole));
    }),
  );
});

test("a line without end is given up at its limit", () => {
  const lines = new PairLines();
  lines.add("x".repeat(PAIR_LINE_LIMIT + 1));
  assert.equal(lines.tooLong, true);
  assert.deepEqual(lines.add("\n{}\n"), []);
});
