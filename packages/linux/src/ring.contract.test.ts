import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ip } from "@ha/base";
import {
  ECANCELED,
  ECONNREFUSED,
  type Executor,
  encodeSocketAddress,
  NO_BUFFER,
  OP_ACCEPT,
  OP_CLOSE,
  OP_CONNECT,
  OP_POLL,
  OP_RECEIVE,
  OP_RECEIVE_LARGE,
  OP_SEND,
  openRing,
  type Ring,
  RingError,
  type RingOptions,
  type RingOwner,
} from "./ring-index.ts";
import {
  listenStream,
  openStream,
  setAbortive,
  shutdownStream,
  socketName,
  socketNameRoom,
} from "./stream-socket.ts";

const SMALL: RingOptions = { smallCount: 1024, smallLent: 32, largeCount: 8, entries: 256 };

// The contract of every executor. What io_uring does is the measure; epoll must do the same.
for (const executor of ["io_uring", "epoll"] as const) {
  const skip = refusal(executor);
  const contract = (name: string, body: () => void) => test(`${executor}: ${name}`, { skip }, body);

  contract("bytes sent on one end arrive on the other, in provided buffers", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      client.send("hello");
      wait(ring, () => server.text === "hello");
      server.send("world");
      wait(ring, () => client.text === "world");
    });
  });

  contract("a multishot receive goes on until the end of the stream, which is 0", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      for (let i = 0; i < 20; i++) {
        client.send(`${i};`);
        wait(ring, () => server.text.endsWith(`${i};`));
      }
      shutdownStream(client.fd, 1);
      wait(ring, () => server.has(OP_RECEIVE, 0));
      assert.equal(server.events.filter(({ op }) => op === OP_RECEIVE).length, 21);
    });
  });

  contract("a single receive takes one buffer and leaves the rest", () => {
    withPair(executor, { smallSize: 1024 }, ({ ring, client, server }) => {
      ring.cancel(server.slot, server.fd, OP_RECEIVE);
      wait(ring, () => server.has(OP_RECEIVE, ECANCELED));
      client.send("x".repeat(1500));
      ring.receive(server.slot, server.fd, 0, false);
      wait(ring, () => server.text.length === 1024);
      for (let i = 0; i < 5; i++) ring.step(1);
      assert.equal(server.text.length, 1024);
      ring.receive(server.slot, server.fd, 0, false);
      wait(ring, () => server.text.length === 1500);
    });
  });

  contract("large buffers take what small ones would need many for", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      ring.cancel(server.slot, server.fd, OP_RECEIVE);
      wait(ring, () => server.has(OP_RECEIVE, ECANCELED));
      client.send("y".repeat(16_000));
      client.sendAgain();
      wait(ring, () => client.count(OP_SEND) === 2);
      ring.receive(server.slot, server.fd, 1, false);
      wait(ring, () => server.count(OP_RECEIVE_LARGE) === 1);
      assert.equal(server.text.length, 32_000);
    });
  });

  contract("a send larger than the socket's buffers completes whole once the peer reads", () => {
    withPair(executor, { smallCount: 64, smallLent: 4, largeCount: 48 }, (pair) => {
      const { ring, client, server } = pair;
      const buffers = Array.from({ length: 40 }, () => ring.slab.takeLarge());
      const start = ring.slab.offsetOf(Math.min(...buffers));
      const length = 40 * ring.slab.largeSize;
      server.keep = false;
      ring.send(client.slot, client.fd, start, length);
      wait(ring, () => client.has(OP_SEND, length), 20_000);
      wait(ring, () => server.received === length, 20_000);
      for (const buffer of buffers) ring.slab.release(buffer);
    });
  });

  contract("a message of two parts arrives as one stream", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      const a = client.write("head ");
      const b = client.write("and body");
      const at = ring.spareOffset + 1024;
      ring.writeMessage(at, Int32Array.of(a.start, b.start), Int32Array.of(a.end, b.end), 2);
      ring.sendMessage(client.slot, client.fd, at);
      wait(ring, () => server.text === "head and body");
      wait(ring, () => client.has(OP_SEND, 13));
    });
  });

  contract("a cancelled receive says so and takes nothing more", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      ring.cancel(server.slot, server.fd, OP_RECEIVE);
      wait(ring, () => server.has(OP_RECEIVE, ECANCELED));
      client.send("late");
      for (let i = 0; i < 5; i++) ring.step(1);
      assert.equal(server.text, "");
    });
  });

  contract("closing while a receive is in flight ends it, and the peer learns at once", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      ring.close(server.slot, server.fd);
      wait(ring, () => server.has(OP_CLOSE, 0) && ring.inFlight(server.slot) === 0);
      assert.equal(server.has(OP_RECEIVE, ECANCELED), true);
      wait(ring, () => client.has(OP_RECEIVE, 0));
      server.closed = true;
    });
  });

  contract("a close behind the last send comes with it, and the peer gets all of it first", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      ring.cancel(server.slot, server.fd, OP_RECEIVE);
      wait(ring, () => server.has(OP_RECEIVE, ECANCELED));
      const { start, end } = server.write("last words");
      // One entry is left in the submission queue: send and close must not be torn apart.
      for (let i = 0; i < 255; i++) ring.cancel(server.slot, server.fd, OP_POLL);
      ring.sendAndClose(server.slot, server.fd, start, end - start);
      wait(ring, () => server.has(OP_CLOSE, 0) && ring.inFlight(server.slot) === 0);
      assert.equal(server.has(OP_SEND, 10), true);
      wait(ring, () => client.has(OP_RECEIVE, 0));
      assert.equal(client.text, "last words");
      server.closed = true;
    });
  });

  contract("a close behind a last message of two parts comes with it", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      ring.cancel(server.slot, server.fd, OP_RECEIVE);
      wait(ring, () => server.has(OP_RECEIVE, ECANCELED));
      const a = server.write("last ");
      const b = server.write("words");
      const at = ring.spareOffset + 1024;
      ring.writeMessage(at, Int32Array.of(a.start, b.start), Int32Array.of(a.end, b.end), 2);
      ring.sendAndClose(server.slot, server.fd, at, 0);
      wait(ring, () => server.has(OP_CLOSE, 0) && ring.inFlight(server.slot) === 0);
      assert.equal(server.has(OP_SEND, 10), true);
      wait(ring, () => client.has(OP_RECEIVE, 0));
      assert.equal(client.text, "last words");
      server.closed = true;
    });
  });

  contract(
    "a close behind a send that is cancelled is not done, and the descriptor is ours",
    () => {
      withPair(executor, { smallCount: 64, smallLent: 4, largeCount: 48 }, (pair) => {
        const { ring, client, server } = pair;
        for (const { slot, fd } of [client, server]) ring.cancel(slot, fd, OP_RECEIVE);
        wait(ring, () => [client, server].every((end) => end.has(OP_RECEIVE, ECANCELED)));
        const buffers = Array.from({ length: 40 }, () => ring.slab.takeLarge());
        const start = ring.slab.offsetOf(Math.min(...buffers));
        ring.sendAndClose(client.slot, client.fd, start, 40 * ring.slab.largeSize);
        for (let i = 0; i < 5; i++) ring.step(1);
        assert.equal(client.count(OP_SEND), 0);
        ring.cancel(client.slot, client.fd, OP_SEND);
        wait(ring, () => client.has(OP_CLOSE, ECANCELED) && ring.inFlight(client.slot) === 0);
        assert.ok(socketName(client.fd, false, socketNameRoom()) > 0);
        ring.close(client.slot, client.fd);
        wait(ring, () => client.has(OP_CLOSE, 0) && ring.inFlight(client.slot) === 0);
        for (const buffer of buffers) ring.slab.release(buffer);
        client.closed = true;
      });
    },
  );

  contract("a close behind a send that fails is not done", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      setAbortive(client.fd);
      ring.close(client.slot, client.fd);
      wait(ring, () => client.has(OP_CLOSE, 0) && server.count(OP_RECEIVE) === 1);
      client.closed = true;
      const { start, end } = server.write("to nobody");
      ring.sendAndClose(server.slot, server.fd, start, end - start);
      wait(ring, () => server.has(OP_CLOSE, ECANCELED));
      assert.ok(server.events.some(({ op, result }) => op === OP_SEND && result < 0));
    });
  });

  contract("closing while a send is in flight ends it", () => {
    withPair(executor, { smallCount: 64, smallLent: 4, largeCount: 48 }, (pair) => {
      const { ring, client, server } = pair;
      ring.cancel(server.slot, server.fd, OP_RECEIVE);
      wait(ring, () => server.has(OP_RECEIVE, ECANCELED));
      const buffers = Array.from({ length: 40 }, () => ring.slab.takeLarge());
      const start = ring.slab.offsetOf(Math.min(...buffers));
      ring.send(client.slot, client.fd, start, 40 * ring.slab.largeSize);
      for (let i = 0; i < 5; i++) ring.step(1);
      assert.equal(client.count(OP_SEND), 0);
      ring.close(client.slot, client.fd);
      wait(ring, () => client.has(OP_CLOSE, 0) && ring.inFlight(client.slot) === 0);
      assert.equal(client.count(OP_SEND), 1);
      for (const buffer of buffers) ring.slab.release(buffer);
      client.closed = true;
    });
  });

  contract("a connection refused is told as such", () => {
    const ring = openRing({ executor, ...SMALL });
    const end = new End(ring, openStream(2));
    const port = freePort();
    ring.bytes.set(loopback(port), ring.spareOffset);
    ring.connect(end.slot, end.fd, ring.spareOffset, 16);
    wait(ring, () => end.has(OP_CONNECT, ECONNREFUSED));
    end.close();
    drain(ring);
  });

  contract("poll tells once that a descriptor is readable", () => {
    withPair(executor, {}, ({ ring, client, server }) => {
      ring.cancel(server.slot, server.fd, OP_RECEIVE);
      wait(ring, () => server.has(OP_RECEIVE, ECANCELED));
      ring.poll(server.slot, server.fd, 1);
      for (let i = 0; i < 3; i++) ring.step(1);
      assert.equal(server.count(OP_POLL), 0);
      client.send("!");
      wait(ring, () => server.count(OP_POLL) === 1);
    });
  });

  contract("out of provided buffers is told, and a retry works when some came back", () => {
    withPair(executor, { smallSize: 1024, smallCount: 8, smallLent: 4 }, (pair) => {
      const { ring, client, server } = pair;
      const held: number[] = [];
      for (let b = ring.slab.take(); b !== NO_BUFFER; b = ring.slab.take()) held.push(b);
      server.retain = true;
      client.sendFrom(ring.slab.offsetOf(held[0] as number), 1024);
      for (let i = 0; i < 5; i++) {
        wait(ring, () => client.count(OP_SEND) === i + 1);
        client.sendFrom(ring.slab.offsetOf(held[0] as number), 1024);
      }
      wait(ring, () => server.starved > 0);
      const before = server.received;
      server.retain = false;
      server.releaseAll();
      wait(ring, () => server.received === 6 * 1024);
      assert.ok(before < 6 * 1024);
      for (const buffer of held) ring.slab.release(buffer);
    });
  });

  contract("a completion queue that is full loses nothing", () => {
    const ring = openRing({ executor, ...SMALL, entries: 8 });
    const listener = new End(ring, mustListen());
    ring.accept(listener.slot, listener.fd);
    const ends: End[] = [];
    // 8 entries give 32 completions: far fewer than what happens at once here.
    for (let i = 0; i < 100; i++) {
      const end = new End(ring, openStream(2));
      ring.bytes.set(loopback(portOf(listener.fd)), ring.spareOffset);
      ring.connect(end.slot, end.fd, ring.spareOffset, 16);
      ends.push(end);
    }
    wait(ring, () => ends.every((end) => end.has(OP_CONNECT, 0)));
    wait(ring, () => listener.accepted.length === 100);
    for (const end of ends) ring.receive(end.slot, end.fd, 0, true);
    const accepted = listener.accepted.map((fd) => new End(ring, fd));
    for (const end of [...ends, ...accepted, listener]) end.close();
    drain(ring);
  });

  contract("random sends in both directions arrive whole and in order", () => {
    let seed = 12345;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return (seed >>> 8) % below;
    };
    withPair(executor, { smallSize: 512 }, ({ ring, client, server }) => {
      const sent = new Map<End, string>([
        [client, ""],
        [server, ""],
      ]);
      for (let round = 0; round < 300; round++) {
        const end = random(2) === 0 ? client : server;
        if (end.sending > 0) {
          ring.step(0);
          continue;
        }
        const text = String.fromCharCode(97 + random(26)).repeat(1 + random(500));
        sent.set(end, `${sent.get(end)}${text}`);
        end.send(text);
        if (random(3) === 0) ring.step(0);
      }
      wait(ring, () => server.text === sent.get(client) && client.text === sent.get(server));
    });
  });
}

test("accepting without a descriptor left waits for a close instead of spinning", () => {
  // In a process of its own: the limit holds for all of it.
  const script = fileURLToPath(new URL("./testing/accept-limit.js", import.meta.url));
  for (const executor of ["io_uring", "epoll"] as const) {
    if (refusal(executor) !== false) continue;
    const run = spawnSync(
      "sh",
      ["-c", `ulimit -n 512; exec "$0" "$1" "$2"`, process.execPath, script, executor],
      {
        encoding: "utf8",
        timeout: 30_000,
      },
    );
    assert.equal(run.status, 0, `${executor}: ${run.stdout}${run.stderr}`);
    const { beforeClose, afterClose } = JSON.parse(run.stdout);
    assert.deepEqual(beforeClose, { emfile: 1, accepted: 0 }, executor);
    assert.equal(afterClose.accepted, 10, executor);
    assert.ok(afterClose.emfile <= 11, run.stdout);
  }
});

interface Event {
  readonly op: number;
  readonly result: number;
}

/** One end of a connection that writes down what completes. */
class End implements RingOwner {
  readonly ring: Ring;
  readonly fd: number;
  readonly slot: number;
  readonly events: Event[] = [];
  readonly accepted: number[] = [];
  text = "";
  received = 0;
  sending = 0;
  starved = 0;
  keep = true;
  retain = false;
  closed = false;
  readonly #retained: number[] = [];
  readonly #written: number[] = [];
  #last = { start: 0, end: 0 };

  constructor(ring: Ring, fd: number) {
    assert.ok(fd >= 0, `a descriptor, not ${fd}`);
    this.ring = ring;
    this.fd = fd;
    this.slot = ring.attach(this);
  }

  complete(op: number, result: number, buffer: number, more: boolean): void {
    if (op === OP_ACCEPT && result >= 0) {
      this.accepted.push(result);
      // A full completion queue ends what is multishot: the owner goes on.
      if (!more) this.ring.accept(this.slot, this.fd);
    }
    if (op === OP_SEND) this.sending--;
    if (buffer !== NO_BUFFER) {
      const start = this.ring.slab.offsetOf(buffer);
      this.received += result;
      if (this.keep) {
        this.text += Buffer.from(this.ring.bytes.subarray(start, start + result)).toString(
          "latin1",
        );
      }
      if (this.retain) this.#retained.push(buffer);
      else this.ring.slab.release(buffer);
    }
    if (op === OP_RECEIVE && !more && result === -105) {
      this.starved++;
      this.ring.retryReceive(this.slot);
      return;
    }
    if (op === OP_RECEIVE && result === -11) {
      this.ring.receive(this.slot, this.fd, 0, true);
      return;
    }
    this.events.push({ op, result });
  }

  write(text: string): { start: number; end: number } {
    const buffer = this.ring.slab.take();
    assert.notEqual(buffer, NO_BUFFER);
    this.#written.push(buffer);
    const start = this.ring.slab.offsetOf(buffer);
    for (let i = 0; i < text.length; i++) this.ring.bytes[start + i] = text.charCodeAt(i);
    this.#last = { start, end: start + text.length };
    return this.#last;
  }

  send(text: string): void {
    const { start, end } = this.write(text);
    this.sendFrom(start, end - start);
  }

  sendAgain(): void {
    wait(this.ring, () => this.sending === 0);
    this.sendFrom(this.#last.start, this.#last.end - this.#last.start);
  }

  sendFrom(start: number, length: number): void {
    this.sending++;
    this.ring.send(this.slot, this.fd, start, length);
  }

  has(op: number, result: number): boolean {
    return this.events.some((event) => event.op === op && event.result === result);
  }

  count(op: number): number {
    return this.events.filter((event) => event.op === op).length;
  }

  releaseAll(): void {
    for (const buffer of this.#retained.splice(0)) this.ring.slab.release(buffer);
  }

  close(): void {
    if (!this.closed) this.ring.close(this.slot, this.fd);
    wait(this.ring, () => this.ring.inFlight(this.slot) === 0);
    for (const buffer of this.#written.splice(0)) this.ring.slab.release(buffer);
    this.releaseAll();
    this.ring.detach(this.slot);
  }
}

interface Pair {
  readonly ring: Ring;
  readonly client: End;
  readonly server: End;
}

/** A connection over loopback, both ends on one ring and receiving; closed and drained afterwards. */
function withPair(executor: Executor, options: RingOptions, body: (pair: Pair) => void): void {
  const ring = openRing({ executor, ...SMALL, ...options });
  assert.equal(ring.executor, executor);
  const listener = new End(ring, mustListen());
  ring.accept(listener.slot, listener.fd);
  const client = new End(ring, openStream(2));
  ring.bytes.set(loopback(portOf(listener.fd)), ring.spareOffset);
  ring.connect(client.slot, client.fd, ring.spareOffset, 16);
  wait(ring, () => client.has(OP_CONNECT, 0) && listener.accepted.length === 1);
  const server = new End(ring, listener.accepted[0] as number);
  ring.receive(client.slot, client.fd, 0, true);
  ring.receive(server.slot, server.fd, 0, true);
  body({ ring, client, server });
  for (const end of [client, server, listener]) end.close();
  drain(ring);
}

/** Every contract ends so: nothing in flight, nothing held, nothing that belonged to nobody. */
function drain(ring: Ring): void {
  assert.equal(ring.operations, 0);
  assert.equal(ring.slotsHeld, 0);
  assert.equal(ring.buffersHeld, 0);
  assert.equal(ring.stale, 0);
  ring.destroy();
}

function wait(ring: Ring, done: () => boolean, milliseconds = 5_000): void {
  const end = performance.now() + milliseconds;
  while (!done()) {
    assert.ok(performance.now() < end, "nothing came of it in time");
    ring.step(10);
  }
}

function mustListen(): number {
  const fd = listenStream({
    address: { kind: "inet", address: ip("127.0.0.1"), port: 0 },
    backlog: 512,
  });
  if (typeof fd !== "number") throw new Error(`${fd.operation}: ${fd.errno}`);
  return fd;
}

function portOf(fd: number): number {
  const name = socketNameRoom();
  socketName(fd, false, name);
  return ((name[2] as number) << 8) | (name[3] as number);
}

function loopback(port: number): Uint8Array {
  return encodeSocketAddress({ kind: "inet", address: ip("127.0.0.1"), port });
}

/** A port that nobody listens on: bound, read, closed. */
function freePort(): number {
  const fd = mustListen();
  const port = portOf(fd);
  const ring = openRing({ executor: "epoll", ...SMALL });
  const end = new End(ring, fd);
  end.close();
  ring.destroy();
  return port;
}

function refusal(executor: Executor): string | false {
  try {
    openRing({ executor, ...SMALL }).destroy();
    return false;
  } catch (error) {
    if (!(error instanceof RingError)) throw error;
    return error.message;
  }
}
