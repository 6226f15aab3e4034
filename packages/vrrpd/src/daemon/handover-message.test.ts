import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadConfig } from "../core/config/load.ts";
import { memoryHost } from "../core/config/memory-host.ts";
import type { Instance } from "../core/config/model.ts";
import { decodeHandover, encodeHandover, type HandoverMessage } from "./handover-message.ts";

function instanceOf(password: string): Instance {
  const text = `vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 100
    authentication {
        auth_type PASS
        auth_pass ${password}
    }
    virtual_ipaddress {
        10.0.0.1
    }
}
`;
  const instance = loadConfig("/c", { host: memoryHost({ "/c": text }) })?.config.instances[0];
  assert.ok(instance);
  return instance;
}

const own = instanceOf("secret");
const find = (): Instance => own;
const request: HandoverMessage = {
  type: "request",
  vrid: 51,
  family: 4,
  priority: 101,
  nonce: "0123456789abcdef0123456789abcdef",
};

test("what was written is read", () => {
  assert.deepEqual(decodeHandover(encodeHandover(request, own), find)?.message, request);
  const reply = { ...request, type: "draining", limit: 30_000 } as const;
  const { priority: _, ...expected } = reply;
  assert.deepEqual(decodeHandover(encodeHandover(expected, own), find)?.message, expected);
});

test("another secret, or another instance, makes nothing that is believed", () => {
  assert.equal(decodeHandover(encodeHandover(request, instanceOf("other")), find), undefined);
  assert.equal(
    decodeHandover(encodeHandover(request, own), () => undefined),
    undefined,
  );
});

test("no flipped bit is believed, and no bytes make the reader throw", () => {
  const good = encodeHandover(request, own);
  for (let bit = 0; bit < good.length * 8; bit++) {
    const bad = Buffer.from(good);
    bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(decodeHandover(bad, find), undefined, `bit ${bit}`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      assert.equal(decodeHandover(Buffer.from(bytes), find), undefined);
    }),
  );
});
