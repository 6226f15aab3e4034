import { compareAddresses, type Micros, micros, milliseconds } from "@ha/base";
import type { IncomingPacket } from "../ports.ts";
import type { Report } from "../report.ts";
import { downTime, leaveTime } from "../transition.ts";
import type { SimHost, SimSeat } from "./sim-host.ts";
import type { SimLan } from "./sim-lan.ts";

/**
 * What must hold whatever happens, judged while it happens. `M` is the down timer of the slowest router, `A` the longest
 * interval; leaving counts as master without a claim, and is bounded by itself.
 *
 *  1. Once the network is stable, each connected part has one master: the best, where all may preempt.
 *  2. No stable network is without a holder of the addresses for longer than M + A.
 *  3. Two masters that hear each other last no longer than A and delivery.
 *  4. Addresses are held by masters (or their guard) and by nobody else, at each moment.
 *  5. A living master keeps its place against a lower claim, and against `nopreempt`.
 *  6. The members of a sync group are in one state, after A at most.
 *  7. A cut in one direction makes nobody flap.
 *  8. Woken after a pause longer than M, a router yields before it speaks twice.
 *  9. A bad packet changes nothing.
 * 10. A reload moves nobody and no address.
 * 11. Once stable, nothing changes by itself.
 * 12. A master yields to a better claim only: a higher priority, or of equals the higher address.
 */
export class SafetyChecks {
  readonly #lan: SimLan;
  #disturbedAt = micros(0);
  #settled = false;
  #knownTimes: Times | undefined;
  #settling = false;
  #holderlessSince: Micros | undefined;
  #epoch = 0;
  readonly #pairs = new Map<number, number>();
  readonly #masterSince = new Map<SimSeat, Micros>();
  readonly #leavingSince = new Map<SimSeat, Micros>();
  readonly #groupSplit = new Map<SimHost, Micros>();
  #transitions: { readonly host: SimHost; readonly at: Micros }[] = [];
  readonly #hostDisturbedAt = new Map<SimHost, Micros>();
  /** Packets that nobody may obey. */
  readonly badPackets = new WeakSet<IncomingPacket>();
  /** Moments when a stranger played a genuine priority 0 again. */
  attackedAt = micros(-1e12);
  /** How often each property was really judged: a check that never looks is no check. */
  readonly judged = new Map<number, number>();

  constructor(lan: SimLan) {
    this.#lan = lan;
  }

  disturbed(): void {
    this.#disturbedAt = this.#now;
    this.#settled = false;
    this.#knownTimes = undefined;
    this.#epoch++;
    this.#holderlessSince = undefined;
    this.#pairs.clear();
    this.#transitions = [];
    if (!this.#settling) this.#waitForCalm();
    this.#watch();
  }

  hostDisturbed(host: SimHost): void {
    this.#hostDisturbedAt.set(host, this.#now);
  }

  changed(host: SimHost): void {
    this.#watch();
    for (const seat of host.seats) this.#checkHolding(host, seat, "change");
  }

  reported(host: SimHost, seat: SimSeat, report: Report): void {
    if (report.type === "leaving") {
      this.#boundLeaving(host, seat, report.waitAtMost);
      return;
    }
    if (report.type === "left" || report.type === "took-back") this.#leavingSince.delete(seat);
    if (report.type !== "state") return;
    if (report.to === "master") {
      this.#masterSince.set(seat, this.#now);
      if (!seat.holds) this.#violated(4, `host ${host.index} is master without its addresses`);
      this.#checkPlace(host, seat, report.why);
    } else {
      this.#masterSince.delete(seat);
      host.staleAdverts = undefined;
      if (seat.holds) this.#violated(4, `host ${host.index} is ${report.to} with its addresses`);
      if (report.why === "higher-priority") this.#checkYield(host, seat);
    }
    this.#count(4);
    if (this.#settled && report.from !== "initialize") {
      this.#violated(11, `host ${host.index} became ${report.to} (${report.why}) without a cause`);
    }
    if (this.#asymmetric()) this.#checkFlapping(host);
    this.#watchGroup(host);
    this.#watch();
  }

  observeReceive(host: SimHost, seat: SimSeat, packet: IncomingPacket, take: () => void): void {
    const { router } = seat;
    if (host.options.kind !== "ours" || router === undefined || !this.badPackets.has(packet)) {
      take();
      return;
    }
    // What an overdue timer brings about is not the packet's doing.
    for (const [, deadline] of router.timers()) {
      if (deadline >= this.#now) continue;
      take();
      return;
    }
    const before = fingerprint(seat);
    const sent = this.#lan.packets;
    take();
    this.#count(9);
    if (fingerprint(seat) !== before) {
      this.#violated(9, `host ${host.index}: ${before} became ${fingerprint(seat)}`);
    }
    if (this.#lan.packets !== sent) this.#violated(9, `host ${host.index} answered a bad packet`);
  }

  /** A host that woke after a long pause has sent another advert. */
  spokeStale(host: SimHost): void {
    this.#count(8);
    const better = this.#lan.hosts.some(
      (other) => other !== host && this.#lan.hears(other, host) && other.seats.some(speaks),
    );
    if (better && (host.staleAdverts ?? 0) > 1) {
      this.#violated(8, `host ${host.index} woke and went on speaking`);
    }
  }

  /** Runs a reload between two looks. */
  aroundReload(host: SimHost, reload: () => void): void {
    const before = host.seats.map((seat) => `${seat.router?.state.name} ${seat.holds}`).join();
    reload();
    const after = host.seats.map((seat) => `${seat.router?.state.name} ${seat.holds}`).join();
    this.#count(10);
    if (before !== after) this.#violated(10, `host ${host.index}: ${before} became ${after}`);
  }

  /** After everything was shut down. */
  finish(): void {
    for (const host of this.#lan.hosts) {
      for (const seat of host.seats) {
        if (seat.holds) this.#violated(4, `host ${host.index} was shut down with its addresses`);
      }
    }
    if (this.#lan.clock.pending > 0) {
      this.#violated(4, `${this.#lan.clock.pending} timers are left after shutdown`);
    }
  }

  get #now(): Micros {
    return this.#lan.clock.now();
  }

  #violated(property: number, what: string): void {
    this.#lan.violated(`property ${property}`, what);
  }

  #count(property: number): void {
    this.judged.set(property, (this.judged.get(property) ?? 0) + 1);
  }

  /** Property 1, when nothing was done for long enough; and from then on property 11. */
  #waitForCalm(): void {
    this.#settling = true;
    const wait = this.#disturbedAt + this.#settleTime() - this.#now;
    this.#lan.clock.after(micros(Math.max(wait, 1)), () => {
      if (this.#now < this.#disturbedAt + this.#settleTime()) {
        this.#waitForCalm();
        return;
      }
      this.#settling = false;
      if (!this.#lan.calm || this.#asymmetric()) return;
      this.#settled = true;
      this.#checkOneMaster();
    });
  }

  #checkOneMaster(): void {
    for (const part of this.#parts()) {
      for (let i = 0; i < (part[0]?.seats.length ?? 0); i++) {
        const seats = part.flatMap((host) => host.seats[i] ?? []);
        const masters = seats.filter(speaks);
        this.#count(1);
        // Without the witness nobody takes over.
        if (masters.length === 0 && !part.every((host) => this.#lan.reachesGateway(host))) continue;
        if (masters.length !== 1) {
          this.#violated(
            1,
            `${masters.length} masters among hosts ${part.map(({ index }) => index).join()}`,
          );
          continue;
        }
        const free = seats.every(
          ({ router }) =>
            router?.router.preempt === true &&
            !(router.state.name === "backup" && router.state.yields),
        );
        // Of equals, the one that was master first stays: backups follow an equal master.
        const best = Math.max(...seats.map(priorityOf));
        const [master] = masters;
        const all = part.every((host) => this.#lan.reachesGateway(host));
        if (free && all && master !== undefined && priorityOf(master) !== best) {
          this.#violated(1, "the master is not the best");
        }
      }
    }
  }

  #watch(): void {
    if (!this.#lan.calm || this.#asymmetric()) return;
    this.#watchHolders();
    this.#watchPairs();
  }

  /** Property 2. Judged while nobody is cut off. */
  #watchHolders(): void {
    const { hosts, clock } = this.#lan;
    const hosted = hosts.some((host) => host.seats.some(({ holds }) => holds));
    const cutOff = hosts.some((host) => !this.#lan.reachesGateway(host));
    if (hosted || cutOff || this.#parts().length !== 1) {
      this.#holderlessSince = undefined;
      return;
    }
    if (this.#holderlessSince !== undefined) return;
    const since = this.#now;
    const epoch = this.#epoch;
    this.#holderlessSince = since;
    this.#count(2);
    clock.after(micros(this.#downTime() + this.#interval() + SLACK), () => {
      if (epoch !== this.#epoch || this.#holderlessSince !== since) return;
      this.#violated(2, "nobody took the addresses");
    });
  }

  /** Property 3. */
  #watchPairs(): void {
    const { hosts, clock } = this.#lan;
    for (const a of hosts) {
      for (const b of hosts) {
        if (b.index <= a.index) continue;
        for (const seat of a.seats) {
          const key = (a.index * 8 + b.index) * 8 + seat.index;
          const other = b.seats[seat.index];
          const both =
            other !== undefined &&
            a.running &&
            b.running &&
            speaks(seat) &&
            speaks(other) &&
            seat.linkUp &&
            other.linkUp &&
            this.#lan.hears(a, b) &&
            this.#lan.hears(b, a);
          if (!both) {
            this.#pairs.delete(key);
            continue;
          }
          if (this.#pairs.has(key)) continue;
          const since = this.#now;
          this.#pairs.set(key, since);
          this.#count(3);
          // keepalived refuses the AH sequence of a peer that began anew, and waits with its own advert after any packet.
          const refuses =
            [a, b].some(({ options }) => options.kind === "keepalived") && usesAh(seat);
          const intervals = refuses ? 2 : 1;
          clock.after(micros(intervals * this.#interval() + SLACK), () => {
            if (this.#pairs.get(key) !== since) return;
            this.#violated(3, `hosts ${a.index} and ${b.index} are both master`);
          });
        }
      }
    }
  }

  /** Property 4 outside of state changes. A dead process without a guard leaves its addresses: that is known. */
  #checkHolding(host: SimHost, seat: SimSeat, when: string): void {
    if (!seat.holds || !host.alive || seat.guarded) return;
    const { router } = seat;
    if (router === undefined || router.state.name === "initialize") return;
    if (router.state.name !== "master") {
      this.#violated(4, `host ${host.index} holds addresses as ${router.state.name} (${when})`);
    }
  }

  #boundLeaving(host: SimHost, seat: SimSeat, waitAtMost: Micros): void {
    const since = this.#now;
    const { router } = seat;
    this.#leavingSince.set(seat, since);
    this.#lan.clock.after(micros(waitAtMost + SLACK), () => {
      if (!host.running || seat.router !== router) return;
      if (this.#leavingSince.get(seat) !== since) return;
      this.#violated(4, `host ${host.index} is still leaving`);
    });
  }

  /** Property 12. */
  #checkYield(host: SimHost, seat: SimSeat): void {
    const { router } = seat;
    if (router?.state.name !== "backup" || this.#disturbedSince(host, this.#now - 20_000)) return;
    const { master, masterPriority } = router.state;
    if (master === undefined) return;
    this.#count(12);
    const own = router.standing.priority;
    const better =
      masterPriority !== own ? masterPriority > own : compareAddresses(master, seat.source) > 0;
    if (!better) this.#violated(12, `host ${host.index} yielded to a lower claim`);
  }

  /** Property 5. */
  #checkPlace(host: SimHost, seat: SimSeat, why: string): void {
    if (why !== "master-down" && why !== "master-left") return;
    if (!this.#lan.calm) return;
    const grace = micros(this.#downTime() + this.#interval() + SLACK);
    const long = this.#now - grace;
    if (this.#networkDisturbedAt > long || this.#disturbedSince(host, long)) return;
    // A farewell hurries all, whoever else is master.
    if (this.#lan.hosts.some(({ lastFarewell }) => (lastFarewell ?? long) > long)) return;
    for (const other of this.#lan.hosts) {
      const rival = other.seats[seat.index];
      if (other === host || rival === undefined || !speaks(rival) || !other.running) continue;
      if ((this.#masterSince.get(rival) ?? this.#now) > long) continue;
      if (this.#disturbedSince(other, long)) continue;
      // Who hears nobody cannot learn where AH numbers have got to, and is refused.
      const ah = seat.settings.authentication.type === "ah";
      if (ah && !this.#lan.hears(host, other)) continue;
      if (!this.#lan.hears(other, host) || !rival.linkUp || !seat.linkUp) continue;
      if (other.options.kind === "keepalived" && this.attackedAt > long) continue;
      this.#count(5);
      const lower = !betterClaim(seat, rival);
      if (lower || seat.router?.router.preempt === false) {
        this.#violated(5, `host ${host.index} took the place of living host ${other.index}`);
      }
    }
  }

  #networkDisturbedAt = micros(0);

  networkDisturbed(): void {
    this.#networkDisturbedAt = this.#now;
  }

  #disturbedSince(host: SimHost, moment: number): boolean {
    return (this.#hostDisturbedAt.get(host) ?? -1e15) > moment;
  }

  /** Property 6. */
  #watchGroup(host: SimHost): void {
    if (host.seats.length < 2) return;
    if (agree(host)) {
      this.#groupSplit.delete(host);
      return;
    }
    if (this.#groupSplit.has(host)) return;
    const since = this.#now;
    this.#groupSplit.set(host, since);
    this.#count(6);
    this.#lan.clock.after(micros(this.#interval() + SLACK), () => {
      if (this.#groupSplit.get(host) !== since || !host.running || agree(host)) return;
      const states = host.seats.map(({ router }) => router?.state.name).join();
      this.#violated(6, `host ${host.index}'s group is ${states}`);
    });
  }

  /** Property 7. */
  #checkFlapping(host: SimHost): void {
    if (!this.#lan.calm) return;
    const at = this.#now;
    this.#count(7);
    this.#transitions = this.#transitions.filter((old) => at - old.at < 60_000_000);
    this.#transitions.push({ host, at });
    const mine = this.#transitions.filter((transition) => transition.host === host);
    if (mine.length > MOST_TRANSITIONS * host.seats.length) {
      this.#violated(7, `host ${host.index} flaps`);
    }
  }

  /** Hosts that take part, in the parts that hear each other. */
  #parts(): SimHost[][] {
    const parts: SimHost[][] = [];
    for (const host of this.#lan.hosts) {
      if (!host.running || host.faulted) continue;
      if (host.seats.some(({ router }) => router?.state.name === "initialize")) continue;
      const part = parts.find(([first]) => first !== undefined && this.#lan.hears(first, host));
      if (part === undefined) parts.push([host]);
      else part.push(host);
    }
    return parts;
  }

  #asymmetric(): boolean {
    const { hosts } = this.#lan;
    return hosts.some((a) => hosts.some((b) => this.#lan.hears(a, b) !== this.#lan.hears(b, a)));
  }

  /** The longest of each, over all routers; settings change with a disturbance at most. */
  #times(): Times {
    this.#knownTimes ??= timesOf(this.#lan.hosts);
    return this.#knownTimes;
  }

  #interval(): number {
    return this.#times().interval;
  }

  #downTime(): number {
    return this.#times().down;
  }

  #settleTime(): number {
    return this.#times().settle;
  }
}

interface Times {
  readonly interval: number;
  readonly down: number;
  readonly settle: number;
}

function timesOf(hosts: readonly SimHost[]): Times {
  const settings = hosts.flatMap(({ seats }) => seats.map((seat) => seat.settings));
  const interval = Math.max(...settings.map((router) => router.interval));
  const down = Math.max(...settings.map((router) => downTime(router, 1, micros(interval))));
  const delays = settings.map(
    (router) => router.preemptDelay + router.startupDelay + leaveTime(router),
  );
  return { interval, down, settle: 2 * down + interval + Math.max(...delays) + SLACK };
}

function speaks({ router }: SimSeat): boolean {
  return router?.state.name === "master" && router.state.leaving === undefined;
}

function agree(host: SimHost): boolean {
  const states = new Set<string>();
  for (const { router } of host.seats) {
    if (router === undefined) return true;
    const { state } = router;
    if (state.name === "master" && state.leaving !== undefined) return true;
    states.add(state.name);
  }
  return states.size <= 1;
}

function priorityOf({ router }: SimSeat): number {
  return router?.standing.priority ?? 0;
}

function betterClaim(a: SimSeat, b: SimSeat): boolean {
  const difference = priorityOf(a) - priorityOf(b);
  return difference !== 0 ? difference > 0 : compareAddresses(a.source, b.source) > 0;
}

/** State and timers, less what only serves to tell people that something is wrong. */
function fingerprint({ router }: SimSeat): string {
  if (router === undefined) return "";
  const timers = [...router.timers()].filter(([name]) => name !== "split-quiet");
  const { state } = router;
  const known = state.name === "master" ? { ...state, split: "none" } : state;
  return JSON.stringify([known, timers]);
}

/** Delivery in calm weather, there and back, and the 10 ms of letting go. */
const SLACK = milliseconds(50);
const MOST_TRANSITIONS = 8;

function usesAh(seat: SimSeat): boolean {
  return seat.router?.standing.router.authentication.type === "ah";
}
