import assert from "node:assert/strict";
import { test } from "node:test";
import { ArrivalAge } from "./arrival-age.ts";
import { controlMessage, SOL_SOCKET } from "./kernel-address.ts";

const SCM_TIMESTAMPNS = 35;

function stamp(microseconds: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigInt64(0, BigInt(Math.floor(microseconds / 1e6)), true);
  view.setBigInt64(8, BigInt(Math.floor(microseconds % 1e6)) * 1_000n, true);
  return controlMessage(SOL_SOCKET, SCM_TIMESTAMPNS, bytes);
}

test("a packet is as old as its stamp says, unless the wall clock was set meanwhile", () => {
  let wall = 1_790_000_000_000_000;
  let monotonic = 5_000_000;
  const pass = (us: number): void => {
    wall += us;
    monotonic += us;
  };
  const ages = new ArrivalAge({ realtime: () => wall, monotonic: () => monotonic });
  const arrived = (): Uint8Array => stamp(wall);
  assert.equal(ages.of(arrived()), 0);

  const first = arrived();
  pass(1_234_567);
  assert.equal(ages.of(first), 1_234_567);

  for (const step of [-3_600_000_000, 20_000]) {
    const second = arrived();
    pass(1_000);
    wall += step;
    assert.equal(ages.of(second), 0, `a step of ${step} us`);
    const third = arrived();
    pass(40);
    assert.equal(ages.of(third), 40);
  }

  // Slewed: a stamp from the future is of now.
  assert.equal(ages.of(stamp(wall + 300)), 0);
});

test("no control bytes make the age anything but a number that is not negative", () => {
  const ages = new ArrivalAge({ realtime: () => 1e15, monotonic: () => 0 });
  for (const control of [
    new Uint8Array(0),
    new Uint8Array(15),
    controlMessage(SOL_SOCKET, SCM_TIMESTAMPNS, new Uint8Array(8)),
    controlMessage(SOL_SOCKET, 1, new Uint8Array(16)),
    stamp(2e15),
  ]) {
    assert.equal(ages.of(control), 0);
  }
});
