import assert from "node:assert/strict";
import { test } from "node:test";
import { isInBackground } from "./background.ts";

test("a daemon that the guard starts again goes on where it is, and not to the background once more", () => {
  assert.equal(isInBackground({}), false);
  assert.equal(isInBackground({ VRRPD_READY_FD: "3" }), true);
  // Its descriptor 3 is the guard: a second launch would put a pipe there.
  assert.equal(isInBackground({ VRRPD_GUARD_FD: "3" }), true);
});
