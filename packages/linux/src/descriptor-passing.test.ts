import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync } from "node:fs";
import { test } from "node:test";
import { receiveDescriptors, sendDescriptors, socketPair } from "./descriptor-passing.ts";

function pair(): readonly [number, number] {
  const fds = socketPair();
  assert.ok(fds !== undefined);
  return fds;
}

test("descriptors arrive as others of the same open files, with the bytes they were sent with", () => {
  const [here, there] = pair();
  const files = [openSync("/dev/null", "r"), openSync("/dev/zero", "r")];
  assert.equal(sendDescriptors(here, Uint8Array.of(1, 2, 3), files, 0), 3);
  const message = receiveDescriptors(there, 16, 0);
  assert.ok(typeof message !== "number");
  assert.deepEqual([...message.bytes], [1, 2, 3]);
  assert.equal(message.descriptors.length, 2);
  for (const [i, fd] of message.descriptors.entries()) {
    assert.ok(!files.includes(fd));
    assert.equal(fstatSync(fd).rdev, fstatSync(files[i] as number).rdev);
  }
  for (const fd of [here, there, ...files, ...message.descriptors]) closeSync(fd);
});

test("nothing to receive is EAGAIN after the patience is over", () => {
  const [here, there] = pair();
  const begin = performance.now();
  assert.equal(receiveDescriptors(there, 16, 20), -11);
  assert.ok(performance.now() - begin >= 15);
  closeSync(here);
  closeSync(there);
});

test("a peer that left is an empty message to the receiver, and an error to the sender", () => {
  const [here, there] = pair();
  closeSync(there);
  assert.ok(sendDescriptors(here, Uint8Array.of(1), [], 0) < 0);
  const end = receiveDescriptors(here, 16, 0);
  assert.ok(typeof end !== "number" && end.bytes.length === 0 && end.descriptors.length === 0);
  closeSync(here);
});
