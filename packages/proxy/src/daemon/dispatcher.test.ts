import assert from "node:assert/strict";
import { test } from "node:test";
import { configOf } from "../core/check/testing/checked-backend.ts";
import { testTransaction } from "../core/sample/testing/index.ts";
import { createProxyState } from "../core/server/proxy-state.ts";
import { createTicket } from "../core/server/queue.ts";
import { NONE } from "../core/transaction.ts";
import { Dispatcher, QUEUED, type ServerWaiter } from "./dispatcher.ts";

/** A dispatcher over the servers of some lines, whose balance always chooses the same one. */
function dispatcherOf(lines: string, chosen: () => number, redistributes = true) {
  const [backend] = configOf(`backend b\n${lines}`).backends;
  const { servers } = createProxyState(0, undefined, backend);
  const dispatcher = new Dispatcher(
    servers,
    { choose: (_transaction, avoid) => (chosen() === avoid ? NONE : chosen()) },
    new Map(),
    () => undefined,
    redistributes,
  );
  let owners = 0;
  const waiter = (wanted = NONE) => {
    const transaction = testTransaction("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    transaction.wantedServer = wanted;
    const got: number[] = [];
    const made: ServerWaiter & { readonly got: number[] } = {
      transaction,
      ticket: createTicket(++owners),
      got,
      assigned: (server) => got.push(server),
      unserved: () => got.push(NONE),
    };
    return made;
  };
  return { dispatcher, servers, waiter };
}

test("a server that is down takes nothing from the backend's queue when its last request ends", () => {
  const { dispatcher, servers, waiter } = dispatcherOf(
    " server s 192.0.2.1:80 maxconn 1\n server t 192.0.2.2:80 maxconn 1\n",
    () => NONE,
  );
  assert.equal(dispatcher.assign(waiter(0), NONE, 0), 0);
  assert.equal(dispatcher.assign(waiter(1), NONE, 0), 1);
  const waiting = waiter();
  assert.equal(dispatcher.assign(waiting, NONE, 0), QUEUED);
  servers.usable[0] = 0;
  dispatcher.release(0);
  assert.deepEqual(waiting.got, []);
  dispatcher.release(1);
  assert.deepEqual(waiting.got, [1]);
});

test("a backup takes nothing from the backend's queue while another server is up", () => {
  const { dispatcher, servers, waiter } = dispatcherOf(
    " server s 192.0.2.1:80 maxconn 1\n server spare 192.0.2.2:80 backup\n",
    () => NONE,
  );
  assert.equal(dispatcher.assign(waiter(0), NONE, 0), 0);
  const waiting = waiter();
  assert.equal(dispatcher.assign(waiting, NONE, 0), QUEUED);
  dispatcher.wake();
  assert.deepEqual(waiting.got, []);
  servers.usable[0] = 0;
  dispatcher.wake();
  assert.deepEqual(waiting.got, [1]);
});

test("what waits for a server that went down goes to another, or is told that there is none", () => {
  let chosen = 1;
  const { dispatcher, servers, waiter } = dispatcherOf(
    " server s 192.0.2.1:80 maxconn 1\n server t 192.0.2.2:80\n",
    () => chosen,
  );
  assert.equal(dispatcher.assign(waiter(0), NONE, 0), 0);
  const [first, second] = [waiter(0), waiter(0)];
  assert.equal(dispatcher.assign(first, NONE, 0), QUEUED);
  servers.usable[0] = 0;
  assert.equal(dispatcher.redistribute(0), 1);
  assert.deepEqual(first.got, [1]);
  servers.usable[0] = 1;
  assert.equal(dispatcher.assign(second, NONE, 0), QUEUED);
  servers.usable[0] = servers.usable[1] = 0;
  chosen = NONE;
  dispatcher.wake();
  assert.deepEqual(second.got, [NONE]);
  assert.equal(dispatcher.waiting, 0);
});

test("without redispatch what waits for a server that went down waits on", () => {
  const { dispatcher, servers, waiter } = dispatcherOf(
    " server s 192.0.2.1:80 maxconn 1\n server t 192.0.2.2:80\n",
    () => 1,
    false,
  );
  assert.equal(dispatcher.assign(waiter(0), NONE, 0), 0);
  const waiting = waiter(0);
  assert.equal(dispatcher.assign(waiting, NONE, 0), QUEUED);
  servers.usable[0] = 0;
  assert.equal(dispatcher.redistribute(0), 0);
  dispatcher.wake();
  assert.deepEqual([waiting.got, dispatcher.waiting], [[], 1]);
});
