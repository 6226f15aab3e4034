import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseRequest } from "./control-protocol.ts";

test("no line makes the reader of requests throw, and what is wrong is said in words", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      const request = parseRequest(line);
      assert.ok(typeof request === "string" || typeof request.command === "string");
    }),
  );
});

test("a command with values of the wrong kind is refused", () => {
  const values = fc.dictionary(
    fc.constantFrom("instance", "instances", "at", "timeout", "on", "for", "names", "file", "back"),
    fc.jsonValue(),
  );
  const commands = fc.constantFrom("why", "switchover", "maintenance", "metrics", "plan");
  fc.assert(
    fc.property(commands, values, (command, more) => {
      const request = parseRequest(JSON.stringify({ ...more, command }));
      if (typeof request === "string") return;
      if (request.command === "switchover") {
        assert.ok(request.instances.every((name) => typeof name === "string"));
        assert.ok(request.timeout >= 0);
      }
      if (request.command === "maintenance") assert.equal(typeof request.on, "boolean");
      if (request.command === "why") assert.ok(request.at === undefined || request.at >= 0);
    }),
  );
});
