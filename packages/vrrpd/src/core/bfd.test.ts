import assert from "node:assert/strict";
import { test } from "node:test";
import { micros, milliseconds, seconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import fc from "fast-check";
import { type BfdEvent, type BfdSettings, bfdInitial, bfdStep } from "./bfd.ts";
import { type BfdPacket, decodeBfd, encodeBfd } from "./bfd-packet.ts";

const packets: fc.Arbitrary<BfdPacket> = fc
  .record({
    diagnostic: fc.integer({ min: 0, max: 31 }),
    state: fc.constantFrom("admin-down", "down", "init", "up"),
    poll: fc.boolean(),
    final: fc.boolean(),
    demand: fc.boolean(),
    multiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
    yourDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
    desiredMinTx: fc.integer({ min: 0, max: 0xffffffff }).map(micros),
    requiredMinRx: fc.integer({ min: 0, max: 0xffffffff }).map(micros),
  })
  .map((packet) => ({ ...packet }));

test("decoding an encoded BFD packet gives it back, whatever follows", () => {
  fc.assert(
    fc.property(packets, fc.uint8Array({ maxLength: 20 }), (packet, rest) => {
      const bytes = Uint8Array.from([...encodeBfd(packet), ...rest]);
      assert.deepEqual(decodeBfd(bytes), { ok: true, value: packet });
    }),
  );
});

test("no bytes make the BFD decoder throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decodeBfd(bytes)));
});

test("a BFD packet that claims authentication is refused", () => {
  const bytes = encodeBfd(samplePacket);
  bytes[1] = (bytes[1] as number) | 0x04;
  assert.deepEqual(decodeBfd(bytes), { ok: false, error: "unexpected-authentication" });
});

test("two BFD sessions come up, and each is down one detection time after the other falls silent", () => {
  const pair = new Pair();
  pair.a.handle({ type: "start" });
  pair.b.handle({ type: "start" });
  pair.clock.run(seconds(5));
  assert.deepEqual([pair.a.state.name, pair.b.state.name], ["up", "up"]);

  pair.cut = true;
  // min_rx 50 ms, the neighbour's min_tx 50 ms, multiplier 3.
  pair.clock.run(milliseconds(151));
  assert.deepEqual([pair.a.state.name, pair.b.state.name], ["down", "down"]);
  assert.equal(pair.a.state.diagnostic, 1);

  pair.cut = false;
  pair.clock.run(seconds(5));
  assert.deepEqual([pair.a.state.name, pair.b.state.name], ["up", "up"]);
});

test("a BFD session that is stopped takes its neighbour down at once", () => {
  const pair = new Pair();
  pair.a.handle({ type: "start" });
  pair.b.handle({ type: "start" });
  pair.clock.run(seconds(5));
  pair.a.handle({ type: "stop" });
  pair.clock.run(milliseconds(2));
  assert.equal(pair.b.state.name, "down");
  assert.equal(pair.b.state.diagnostic, 3);
});

test("two passive BFD sessions never speak", () => {
  const pair = new Pair({ passive: true });
  pair.a.handle({ type: "start" });
  pair.b.handle({ type: "start" });
  pair.clock.run(seconds(10));
  assert.equal(pair.sent, 0);
});

test("a BFD packet for another discriminator changes nothing", () => {
  const step = bfdStep(settingsOf(1, {}), bfdInitial, {
    type: "packet",
    packet: { ...samplePacket, yourDiscriminator: 77, state: "init" },
  });
  assert.deepEqual(step, { state: bfdInitial, actions: [] });
});

const samplePacket: BfdPacket = {
  diagnostic: 0,
  state: "up",
  poll: false,
  final: false,
  demand: false,
  multiplier: 3,
  myDiscriminator: 5,
  yourDiscriminator: 6,
  desiredMinTx: milliseconds(50),
  requiredMinRx: milliseconds(50),
};

function settingsOf(discriminator: number, change: Partial<BfdSettings>): BfdSettings {
  return {
    discriminator,
    minRx: milliseconds(50),
    minTx: milliseconds(50),
    idleTx: seconds(1),
    multiplier: 3,
    passive: false,
    ...change,
  };
}

/** Two sessions on virtual time, one millisecond apart, that always send at the latest moment. */
class Pair {
  readonly clock = new SimClock();
  cut = false;
  sent = 0;
  readonly a: Session;
  readonly b: Session;

  constructor(change: Partial<BfdSettings> = {}) {
    this.a = new Session(this, settingsOf(1, change), () => this.b);
    this.b = new Session(this, settingsOf(2, change), () => this.a);
  }
}

class Session {
  state = bfdInitial;
  readonly #pair: Pair;
  readonly #settings: BfdSettings;
  readonly #other: () => Session;
  readonly #timers = new Map<string, { cancel(): void }>();

  constructor(pair: Pair, settings: BfdSettings, other: () => Session) {
    this.#pair = pair;
    this.#settings = settings;
    this.#other = other;
  }

  handle(event: BfdEvent): void {
    const { state, actions } = bfdStep(this.#settings, this.state, event);
    this.state = state;
    for (const action of actions) {
      if (action.type === "send") {
        this.#pair.sent++;
        if (this.#pair.cut) continue;
        const bytes = encodeBfd(action.packet);
        this.#pair.clock.after(milliseconds(1), () => {
          const decoded = decodeBfd(bytes);
          assert.ok(decoded.ok, "we send what we accept");
          this.#other().handle({ type: "packet", packet: decoded.value });
        });
      } else if (action.type === "set-transmit-timer") this.#set("transmit", action.to);
      else if (action.type === "set-detect-timer") this.#set("detect", action.after);
      else if (action.type === "cancel-timer") this.#timers.get(action.timer)?.cancel();
    }
  }

  #set(timer: "transmit" | "detect", after: number): void {
    this.#timers.get(timer)?.cancel();
    this.#timers.set(
      timer,
      this.#pair.clock.after(micros(after), () => this.handle({ type: "timer", timer })),
    );
  }
}
