import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createTicket, nextOf, PendingQueue, type QueueTicket } from "./queue.ts";

test("tickets leave by class, then by due time, then by arrival, whoever leaves in between", () => {
  const request = fc.record({
    priorityClass: fc.integer({ min: -2, max: 2 }),
    due: fc.integer({ min: 0, max: 3 }),
    leaves: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 50 }), (requests) => {
      const queue = new PendingQueue();
      const tickets = requests.map(({ priorityClass, due }, i) => {
        const ticket = createTicket(i);
        ticket.priorityClass = priorityClass;
        ticket.due = due;
        const ahead = requests
          .slice(0, i)
          .filter((other) => before(other, { priorityClass, due })).length;
        assert.equal(queue.push(ticket), ahead);
        return ticket;
      });
      requests.forEach(({ leaves }, i) => {
        if (leaves) queue.remove(tickets[i] as QueueTicket);
      });
      const expected = requests
        .map((each, i) => ({ ...each, i }))
        .filter(({ leaves }) => !leaves)
        .sort((a, b) => a.priorityClass - b.priorityClass || a.due - b.due || a.i - b.i)
        .map(({ i }) => i);
      const left: number[] = [];
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) left.push(next.owner);
      assert.deepEqual(left, expected);
      assert.equal(queue.length, 0);
    }),
  );
});

function before(
  a: { priorityClass: number; due: number },
  b: { priorityClass: number; due: number },
): boolean {
  return a.priorityClass !== b.priorityClass ? a.priorityClass < b.priorityClass : a.due <= b.due;
}

test("a slot goes to whichever of the two queues has the more urgent request", () => {
  const [server, backend] = [new PendingQueue(), new PendingQueue()];
  const [late, early] = [createTicket(1), createTicket(2)];
  late.due = 20;
  early.due = 10;
  server.push(late);
  assert.equal(nextOf(server, backend), late);
  backend.push(early);
  assert.equal(nextOf(server, backend), early);
});
