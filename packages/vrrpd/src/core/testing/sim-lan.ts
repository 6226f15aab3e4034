import { isMulticast, type Micros, micros, type Random, sameAddress, seededRandom } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { priorityOf } from "../admission.ts";
import type { IncomingPacket, OutgoingPacket } from "../ports.ts";
import type { Report } from "../report.ts";
import { SafetyChecks } from "./safety-checks.ts";
import { SimHost, type SimHostOptions, type SimSeat } from "./sim-host.ts";

export interface SimLanOptions {
  readonly seed: number;
  /** Keeps every event as text: for looking at one run. Off: a hash of them only. */
  readonly keepTrace?: boolean;
}

/** What the network does to packets at the moment. */
export interface Weather {
  /** Shares, 0–1. */
  readonly loss: number;
  readonly duplication: number;
  readonly minDelay: Micros;
  readonly maxDelay: Micros;
}

export const CALM: Weather = {
  loss: 0,
  duplication: 0,
  minDelay: micros(100),
  maxDelay: micros(600),
};

/**
 * Hosts on one LAN (or several side by side, for sync groups) on virtual time. All chance hangs on the seed. The safety
 * checks run in every simulation and collect what they find in `violations`.
 */
export class SimLan {
  readonly clock = new SimClock();
  readonly random: Random;
  readonly hosts: SimHost[] = [];
  readonly violations: string[] = [];
  readonly checks: SafetyChecks;
  readonly trace: string[] | undefined;
  /** The host beside which the witness is plugged in; undefined: there is none. */
  gateway: number | undefined;
  readonly #seed: number;
  /** `cut[from][to]`: packets do not get through. */
  readonly #cut: boolean[][] = [];
  #weather = CALM;
  #hash = 0x811c9dc5;
  #packets = 0;

  constructor({ seed, keepTrace = false }: SimLanOptions) {
    this.#seed = seed;
    this.random = seededRandom(seed);
    this.trace = keepTrace ? [] : undefined;
    this.checks = new SafetyChecks(this);
  }

  /** Two runs of one seed have the same. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16);
  }

  get packets(): number {
    return this.#packets;
  }

  get weather(): Weather {
    return this.#weather;
  }

  set weather(weather: Weather) {
    this.#weather = weather;
    this.disturb("weather");
  }

  get calm(): boolean {
    return this.#weather === CALM;
  }

  add(options: SimHostOptions): SimHost {
    const host = new SimHost(this, options);
    this.hosts.push(host);
    for (const row of this.#cut) row.push(false);
    this.#cut.push(this.hosts.map(() => false));
    return host;
  }

  run(duration: Micros): void {
    this.clock.run(duration);
  }

  setCut(from: SimHost, to: SimHost, cut: boolean): void {
    const row = this.#cut[from.index];
    if (row !== undefined) row[to.index] = cut;
    this.disturb("cut");
  }

  /** Nobody hears this host, and it hears nobody; or, partly, only one of the two. */
  heal(): void {
    for (const row of this.#cut) row.fill(false);
    this.disturb("heal");
  }

  /** Both links are up and nothing is cut from the one to the other. */
  hears(from: SimHost, to: SimHost): boolean {
    return this.#cut[from.index]?.[to.index] === false;
  }

  /** Whether the witness answers a host. */
  reachesGateway(host: SimHost): boolean {
    if (this.gateway === undefined || host.index === this.gateway) return true;
    const beside = this.hosts[this.gateway];
    return beside === undefined || (this.hears(host, beside) && this.hears(beside, host));
  }

  /** Something was done to hosts or network: properties of a stable network are judged anew from here. */
  disturb(what: string): void {
    this.note(what, 0);
    this.checks.disturbed();
  }

  /** A host's addresses or process changed. */
  changed(host: SimHost): void {
    this.checks.changed(host);
  }

  transmit(from: SimHost, seat: SimSeat, packet: OutgoingPacket): void {
    this.#packets++;
    this.note("send", from.index * 1000 + (priorityOf(packet) ?? 0));
    const { random, clock } = this;
    const { loss, duplication, minDelay, maxDelay } = this.#weather;
    const span = maxDelay - minDelay;
    if (loss === 0 && duplication === 0) {
      // One switch, one moment: half the simulation's work is saved by not drawing one for each receiver.
      const delay = micros(minDelay + random.next() * span);
      clock.after(delay, () => {
        for (const to of this.hosts) this.#deliver(from, to, seat.index, packet);
      });
      return;
    }
    for (const to of this.hosts) {
      if (to === from) continue;
      const copies = random.next() < duplication ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        if (random.next() < loss) continue;
        const delay = micros(minDelay + random.next() * span);
        clock.after(delay, () => this.#deliver(from, to, seat.index, packet));
      }
    }
  }

  /** A packet from nowhere, as an attacker in the network sends it. */
  inject(to: SimHost, index: number, packet: IncomingPacket): void {
    const seat = to.seats[index];
    if (seat !== undefined) to.receive(seat, packet);
  }

  observeReceive(host: SimHost, seat: SimSeat, packet: IncomingPacket, take: () => void): void {
    this.checks.observeReceive(host, seat, packet, take);
  }

  reported(host: SimHost, seat: SimSeat, report: Report): void {
    if (report.type === "state") {
      this.note(`host ${host.index} ${report.from} → ${report.to} (${report.why})`, host.index);
      if (this.trace === undefined) this.#mix(report.to.length * 31 + report.why.length);
    } else if (this.trace !== undefined && report.type !== "refused") {
      this.note(`host ${host.index} ${report.type}`, host.index);
    }
    this.checks.reported(host, seat, report);
  }

  announced(host: SimHost, _seat: SimSeat): void {
    this.note("announce", host.index);
  }

  violated(property: string, what: string): void {
    if (this.violations.length >= MOST_VIOLATIONS) return;
    const at = (this.clock.now() / 1e6).toFixed(3);
    this.violations.push(`seed ${this.#seed}, ${at} s: ${property}: ${what}`);
    if (this.trace !== undefined) this.trace.push(`${at} VIOLATION ${property}: ${what}`);
  }

  note(what: string, value: number): void {
    this.#mix(what.length);
    this.#mix(value);
    this.#mix(this.clock.now());
    if (this.trace === undefined) return;
    this.trace.push(`${(this.clock.now() / 1e6).toFixed(6)} ${what} ${value}`);
  }

  #deliver(from: SimHost, to: SimHost, index: number, packet: OutgoingPacket): void {
    if (to === from || this.#cut[from.index]?.[to.index] === true) return;
    const seat = to.seats[index];
    if (seat === undefined) return;
    if (!isMulticast(packet.to) && !sameAddress(packet.to, seat.source)) return;
    to.receive(seat, packet);
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193);
    this.#hash ^= this.#hash >>> 15;
  }
}

/** Of one run: one bug is found again and again. */
const MOST_VIOLATIONS = 20;
