import assert from "node:assert/strict";
import { test } from "node:test";
import type { VrrpView } from "@ha/base/pair-line";
import { vrrpTable } from "./vrrp-table.ts";

const at = 1_700_000_000_007; // 2023-11-14 22:13:20.007 UTC
const view: VrrpView = {
  host: "lb1",
  at,
  instances: [
    {
      name: "VI_1",
      state: "MASTER",
      since: at - 90_000,
      priority: 101,
      addresses: ["192.168.1.100/24"],
      peers: [{ address: "10.0.0.2", words: "never heard (a backup is silent)", good: true }],
      problems: [],
    },
  ],
  transitions: [{ at, instance: "VI_1", from: "BACKUP", to: "MASTER", because: "10.0.0.2 left" }],
};

test("without a VRRP daemon there is nothing", () => {
  assert.equal(vrrpTable(undefined, at), "");
});

test("state, peer and last change stand there", () => {
  const html = vrrpTable(view, at);
  for (const text of [
    "VI_1",
    "MASTER",
    "192.168.1.100/24",
    "90s",
    "a backup is silent",
    "10.0.0.2 left",
    "2023-11-14 22:13:20.007",
  ]) {
    assert.ok(html.includes(text), text);
  }
  assert.ok(!html.includes("silent)</span>"));
});

test("no text of another's becomes part of the page", () => {
  const evil = `<script>alert("x")</script>'&`;
  const html = vrrpTable(
    {
      host: evil,
      at,
      instances: [
        {
          name: evil,
          state: evil,
          since: at,
          priority: 1,
          addresses: [evil],
          peers: [{ address: evil, words: evil, good: false }],
          problems: [evil],
        },
      ],
      transitions: [{ at, instance: evil, from: evil, to: evil, because: evil }],
    },
    at,
  );
  assert.ok(!html.includes("<script"));
  assert.ok(!html.includes('"x"'));
});

test("what has not been told for a while is called old", () => {
  assert.match(vrrpTable(view, at + 60_000), /as of 60 s ago/);
});
