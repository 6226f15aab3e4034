import { randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { type Clock, formatAddress, type Micros, micros, type Random, type Timer } from "@ha/base";
import { setMinimumTtl } from "@ha/linux";
import {
  type BfdEvent,
  type BfdSettings,
  type BfdState,
  bfdInitial,
  bfdStep,
} from "../core/bfd.ts";
import { type BfdError, decodeBfd, encodeBfd } from "../core/bfd-packet.ts";
import type { BfdInstance } from "../core/config/model.ts";
import { descriptorOf } from "./datagram-descriptor.ts";
import type { Log } from "./log.ts";

/** RFC 5881 §4 (one hop) and RFC 5883 §5 (several). */
const PORT = 3784;
const MULTIHOP_PORT = 4784;
/** Source ports, RFC 5881 §4. */
const SOURCE_PORTS = { first: 49_152, last: 65_535 } as const;

/** Runs one BFD session over UDP. keepalived.conf(5), bfd_instance. */
export class BfdRunner {
  readonly config: BfdInstance;
  readonly #settings: BfdSettings;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #onChange: (up: boolean) => void;
  readonly #refused = new Map<BfdError | "other-peer", number>();
  #state: BfdState = bfdInitial;
  #transmit: Timer | undefined;
  #detect: Timer | undefined;
  #sender: Socket | undefined;
  #receiver: Socket | undefined;
  #retry: Timer | undefined;
  #stopped = false;

  /** @param onChange Told each time the session comes up or goes down. It starts as down. */
  constructor(
    config: BfdInstance,
    clock: Clock,
    random: Random,
    log: Log,
    onChange: (up: boolean) => void,
  ) {
    this.config = config;
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
    this.#onChange = onChange;
    this.#settings = {
      discriminator: randomInt(1, 0xffff_ffff),
      minRx: config.min_rx,
      minTx: config.min_tx,
      idleTx: config.idle_tx,
      multiplier: config.multiplier,
      passive: config.passive,
    };
  }

  get stateName(): string {
    return this.#state.name;
  }

  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  start(): void {
    this.#open();
    this.#handle({ type: "start" });
  }

  /** Tells the neighbour that the session is down on purpose, and closes. */
  stop(): void {
    if (this.#stopped) return;
    this.#handle({ type: "stop" });
    this.#stopped = true;
    this.#retry?.cancel();
    this.#receiver?.close();
    const sender = this.#sender;
    // The farewell is handed to the kernel in a later turn.
    setImmediate(() => sender?.close());
  }

  #open(): void {
    const { config } = this;
    const { family } = config.neighbor_ip;
    const type = family === 4 ? "udp4" : "udp6";
    const port = config.multihop ? MULTIHOP_PORT : PORT;
    const source = config.source_ip === undefined ? undefined : formatAddress(config.source_ip);

    const receiver = createSocket({ type, reuseAddr: true, ipv6Only: family === 6 });
    this.#receiver = receiver;
    receiver.on("error", (error) => this.#fail(error));
    receiver.on("message", (bytes, from) => this.#receive(bytes, from.address));
    receiver.bind({ port, ...(source === undefined ? {} : { address: source }) }, () => {
      const minimum = config.max_hops < 0 || config.max_hops >= 255 ? 0 : 255 - config.max_hops;
      const fd = descriptorOf(receiver);
      if (minimum === 0 || fd === undefined) return;
      const problem = setMinimumTtl(fd, family, config.multihop ? Math.max(0, minimum) : minimum);
      if (problem !== undefined) this.#log.error(`BFD_Instance(${config.name}) ${problem.message}`);
    });

    const sender = createSocket({ type, ipv6Only: family === 6 });
    this.#sender = sender;
    sender.on("error", (error) => this.#fail(error));
    sender.bind(
      {
        port: randomInt(SOURCE_PORTS.first, SOURCE_PORTS.last + 1),
        ...(source === undefined ? {} : { address: source }),
      },
      () => sender.setTTL(config.ttl),
    );
  }

  /** The source address may not be there yet: both sockets are opened anew a second later. */
  #fail(error: Error): void {
    if (this.#stopped || this.#retry !== undefined) return;
    this.#log.warning(`BFD_Instance(${this.config.name}) ${error.message}: tried again`);
    for (const socket of [this.#receiver, this.#sender]) {
      try {
        socket?.close();
      } catch {
        // It was never open.
      }
    }
    this.#receiver = undefined;
    this.#sender = undefined;
    this.#retry = this.#clock.after(RETRY, () => {
      this.#retry = undefined;
      if (!this.#stopped) this.#open();
    });
  }

  #receive(bytes: Uint8Array, from: string): void {
    if (from.split("%", 1)[0] !== formatAddress(this.config.neighbor_ip)) {
      this.#count("other-peer");
      return;
    }
    const decoded = decodeBfd(bytes);
    if (decoded.ok) this.#handle({ type: "packet", packet: decoded.value });
    else this.#count(decoded.error);
  }

  #count(reason: BfdError | "other-peer"): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  #handle(event: BfdEvent): void {
    if (this.#stopped) return;
    const { state, actions } = bfdStep(this.#settings, this.#state, event);
    this.#state = state;
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#send(encodeBfd(action.packet));
          break;
        case "set-transmit-timer":
          this.#transmit?.cancel();
          this.#transmit = this.#clock.after(
            micros(action.from + this.#random.next() * (action.to - action.from)),
            () => this.#handle({ type: "timer", timer: "transmit" }),
          );
          break;
        case "set-detect-timer":
          this.#detect?.cancel();
          this.#detect = this.#clock.after(action.after, () =>
            this.#handle({ type: "timer", timer: "detect" }),
          );
          break;
        case "cancel-timer":
          (action.timer === "transmit" ? this.#transmit : this.#detect)?.cancel();
          break;
        case "changed":
          this.#log.info(
            `BFD_Instance(${this.config.name}) Entering ${STATE_WORDS[action.to]} state`,
          );
          if (action.to === "up") this.#onChange(true);
          else if (action.from === "up") this.#onChange(false);
          break;
      }
    }
  }

  #send(bytes: Uint8Array): void {
    const port = this.config.multihop ? MULTIHOP_PORT : PORT;
    try {
      this.#sender?.send(bytes, port, formatAddress(this.config.neighbor_ip), () => {});
    } catch {
      // Not bound yet: the next one comes by the timer.
    }
  }
}

const RETRY: Micros = micros(1_000_000);
const STATE_WORDS = { "admin-down": "AdminDown", down: "Down", init: "Init", up: "Up" } as const;
