import { type IpAddress, type Micros, micros, milliseconds, seconds } from "@ha/base";
import { ReceiveBuffer } from "@ha/base/testing";
import { priorityOf } from "../admission.ts";
import type { Sequences } from "../advert-encoder.ts";
import type { Circumstances } from "../circumstances.ts";
import { step } from "../machine.ts";
import type { IncomingPacket, OutgoingPacket, Ports } from "../ports.ts";
import type { Report } from "../report.ts";
import { mayResume, type ResumeRecord } from "../resume.ts";
import { PRIORITY_LEAVING, type Router } from "../router.ts";
import type { FaultReason } from "../state.ts";
import { SyncGroup } from "../sync-group.ts";
import { pauseLimit, setTimer } from "../transition.ts";
import { VirtualRouter } from "../virtual-router.ts";
import { GuardRun } from "./guard-run.ts";
import { HostClock } from "./host-clock.ts";
import { SIM_DIGESTS } from "./sim-digests.ts";
import type { SimLan } from "./sim-lan.ts";

/** One virtual router of a host: it outlives the process that runs it, as addresses do. */
export interface SimSeat {
  readonly index: number;
  readonly source: IpAddress;
  settings: Router;
  router: VirtualRouter | undefined;
  /** The addresses are on the interface. */
  holds: boolean;
  /** The guard answers for them while no process does. */
  guarded: boolean;
  linkUp: boolean;
  announced: number;
}

export interface SimHostOptions {
  readonly index: number;
  /** One virtual router for each; several form a sync group. */
  readonly routers: readonly { readonly settings: Router; readonly source: IpAddress }[];
  /** `keepalived`: the conduct of an unmodified 2.2.7, its timer bug included. */
  readonly kind: "ours" | "keepalived";
  readonly guard: boolean;
  /** A bug planted on purpose. */
  readonly machine?: typeof step;
}

/**
 * A host on the simulated LAN: a process that can be paused, killed and started again, its guard, its links, and its
 * notion of the time of day.
 */
export class SimHost {
  readonly index: number;
  readonly options: SimHostOptions;
  readonly seats: readonly SimSeat[];
  readonly #lan: SimLan;
  readonly #clock: HostClock;
  #process: "running" | "dead" | "off" = "off";
  #pausedUntil: Micros | undefined;
  readonly #socket: ReceiveBuffer<{ readonly seat: SimSeat; readonly packet: IncomingPacket }>;
  #guard: GuardRun[] = [];
  #lastCrash: Micros | undefined;
  #lastResume: Micros | undefined;
  #trackerFault = false;
  #priorityChange = 0;
  /** Wall clock against the monotonic one. */
  utcOffset = micros(1_800_000_000_000_000);
  /** Woken after a pause longer than the down timer while master: adverts sent since, until it has yielded. */
  staleAdverts: number | undefined;
  /** What was reloaded while the process was paused. */
  readonly #unreadReloads: Partial<Router>[] = [];
  /** When a priority 0 of this host last went out. */
  lastFarewell: Micros | undefined;

  constructor(lan: SimLan, options: SimHostOptions) {
    this.#lan = lan;
    this.options = options;
    this.index = options.index;
    this.#clock = new HostClock(lan.clock);
    this.#socket = new ReceiveBuffer(lan.clock, SOCKET_BUFFER);
    this.seats = options.routers.map(({ settings, source }, index) => ({
      index,
      source,
      settings,
      router: undefined,
      holds: false,
      guarded: false,
      linkUp: true,
      announced: 0,
    }));
  }

  get running(): boolean {
    return this.#process === "running" && this.#pausedUntil === undefined;
  }

  get paused(): boolean {
    return this.#pausedUntil !== undefined;
  }

  get alive(): boolean {
    return this.#process === "running";
  }

  /** Killed, and no guard or successor has seen to what it held. */
  get orphaned(): boolean {
    return this.#process === "dead" && this.seats.some(({ holds }) => holds);
  }

  get faulted(): boolean {
    return this.#trackerFault || this.seats.some(({ linkUp }) => !linkUp);
  }

  get priority(): number {
    const [seat] = this.seats;
    return seat?.router?.standing.priority ?? 0;
  }

  start({
    resume,
    sequences = [],
  }: {
    resume?: ResumeRecord | undefined;
    sequences?: readonly (Sequences | undefined)[];
  } = {}): void {
    if (this.#process === "running") return;
    this.#process = "running";
    this.#socket.clear();
    for (const run of this.#guard) run.stop();
    this.#guard = [];
    const group = this.seats.length > 1 ? new SyncGroup("G1") : undefined;
    const machine =
      this.options.machine ?? (this.options.kind === "keepalived" ? keepalivedMachine : step);
    for (const seat of this.seats) {
      seat.router = new VirtualRouter(seat.settings, this.#ports(seat), this.#circumstances(seat), {
        group,
        machine,
      });
    }
    const now = this.#clock.now();
    const may =
      resume !== undefined &&
      this.seats.every(
        ({ settings, guarded, holds }) =>
          guarded && holds && mayResume(resume, { router: settings, now, bootId: "boot" }),
      );
    for (const seat of this.seats) {
      seat.guarded = false;
      const used = sequences[seat.index];
      if (used !== undefined) seat.router?.continueFrom(used);
      if (may) this.#lastResume = this.#clock.now();
      seat.router?.start({ resume: may });
    }
  }

  /** SIGTERM: an orderly end. The process goes when all its routers have left. */
  stop(): void {
    if (this.#process !== "running") return;
    for (const { router } of this.seats) router?.handle({ type: "shutdown" });
    this.#lan.clock.after(seconds(6), () => {
      if (this.seats.every(({ router }) => router?.state.name === "initialize")) {
        this.#end("off");
      }
    });
  }

  /** SIGKILL. Addresses stay; the guard, if there is one, goes on and starts the process again. */
  crash(restartAfter: Micros): void {
    if (this.#process !== "running") return;
    const { clock } = this.#lan;
    const now = clock.now();
    const again = this.#lastCrash !== undefined && now - this.#lastCrash < seconds(60);
    this.#lastCrash = now;
    const guarded = this.seats.filter(({ router }) => router?.state.name === "master");
    const prepared = guarded.map((seat) => ({
      seat,
      leaving: seat.router?.state.name === "master" && seat.router.state.leaving !== undefined,
      adverts: seat.router?.prepare(3),
      lastSpoken: seat.router?.lastSpoken ?? now,
    }));
    this.#end("dead");
    if (this.options.guard) {
      for (const { seat, adverts, lastSpoken, leaving } of prepared) {
        if (adverts === undefined) continue;
        seat.guarded = true;
        this.#guard.push(
          new GuardRun(this.#lan, this, seat, adverts, lastSpoken, again || leaving),
        );
      }
    }
    clock.after(restartAfter, () => {
      if (this.#process !== "dead") return;
      const lastAdvert = micros(
        Math.max(...this.#guard.map((run) => run.lastSpoken), ...prepared.map((p) => p.lastSpoken)),
      );
      const left = this.#guard.some((run) => run.leaving);
      const record: ResumeRecord | undefined =
        this.options.guard && !left && prepared.length === this.seats.length
          ? { bootId: "boot", lastAdvert, lastResume: this.#lastResume }
          : undefined;
      if (left) this.#finishGuard();
      this.#lan.disturb("restart");
      const sequences = this.seats.map(
        (seat) => prepared.find((one) => one.seat === seat)?.adverts?.sequences,
      );
      this.start({ resume: record, sequences });
    });
  }

  /** Power off: nothing is left, not even addresses. */
  powerOff(): void {
    for (const seat of this.seats) seat.holds = false;
    this.#end("off");
    this.#lan.changed(this);
  }

  /** SIGSTOP: the kernel goes on queueing packets. With a guard a long one ends in a kill. */
  pauseProcess(duration: Micros): void {
    if (!this.running) return;
    const heartbeat = micros(1.5 * Math.min(...this.seats.map((seat) => seat.settings.interval)));
    if (this.options.guard && duration > heartbeat) {
      this.#pause(heartbeat, () => this.crash(milliseconds(150)));
    } else {
      this.#pause(duration, () => undefined);
    }
  }

  /** The whole host stands still (a virtual machine, say), and most of what it is sent is lost. */
  freeze(duration: Micros): void {
    if (this.running) this.#pause(duration, () => undefined);
  }

  setLink(index: number, up: boolean): void {
    const seat = this.seats[index];
    if (seat === undefined || seat.linkUp === up) return;
    seat.linkUp = up;
    this.#tell();
  }

  /** A tracker of weight 0. */
  setTrackerFault(fault: boolean): void {
    this.#trackerFault = fault;
    this.#tell();
  }

  /** A tracker with a weight. */
  setPriorityChange(change: number): void {
    this.#priorityChange = change;
    this.#tell();
  }

  /** A paused process reads its signals and files once it wakes. */
  reload(change: Partial<Router>): void {
    if (this.paused) {
      this.#unreadReloads.push(change);
      return;
    }
    for (const seat of this.seats) {
      seat.settings = { ...seat.settings, ...change };
      seat.router?.reconfigure(seat.settings);
    }
    this.#tell();
  }

  switchover(): void {
    if (!this.running) return;
    for (const { router } of this.seats) router?.handle({ type: "switchover" });
  }

  switchoverBack(): void {
    if (!this.running) return;
    for (const { router } of this.seats) router?.handle({ type: "switchover-back" });
  }

  removeAddress(): void {
    if (!this.running) return;
    for (const seat of this.seats) {
      if (!seat.holds || seat.router?.state.name !== "master") continue;
      seat.holds = false;
      seat.router.handle({ type: "address-removed", address: undefined });
    }
  }

  /** The network delivers a packet to one of the host's interfaces. */
  receive(seat: SimSeat, packet: IncomingPacket): void {
    if (!seat.linkUp) return;
    for (const run of this.#guard) if (run.seat === seat) run.heard(packet);
    if (this.#process !== "running") return;
    if (this.#pausedUntil === undefined) {
      this.#take(seat, packet);
    } else {
      this.#socket.put({ seat, packet });
    }
  }

  #take(seat: SimSeat, packet: IncomingPacket, waited = micros(0)): void {
    const { router } = seat;
    if (router === undefined) return;
    // keepalived counts from when it reads.
    const stamped = waited > 0 && this.options.kind === "ours";
    this.#lan.observeReceive(this, seat, packet, () =>
      router.receive(stamped ? { ...packet, waited } : packet),
    );
  }

  #pause(duration: Micros, then: () => void): void {
    const until = micros(this.#lan.clock.now() + duration);
    this.#pausedUntil = until;
    this.#clock.pause();
    this.#lan.changed(this);
    const limit = Math.max(
      ...this.seats.map(({ settings, router }) =>
        pauseLimit(settings, router?.standing.priority ?? 1),
      ),
    );
    const stale =
      duration > limit + Math.max(...this.seats.map(({ settings }) => settings.interval));
    const wasMaster = this.seats.some(({ router }) => router?.state.name === "master");
    this.#lan.clock.after(duration, () => {
      if (this.#pausedUntil !== until) return;
      this.#pausedUntil = undefined;
      this.#lan.disturb("wake");
      then();
      if (this.#process !== "running") return;
      if (stale && wasMaster && this.options.kind === "ours") this.staleAdverts = 0;
      // Whether timers or sockets come first is chance.
      if (this.#lan.random.next() < 0.5) this.#drain();
      if (this.#lan.random.next() < 0.5) this.#tell();
      this.#clock.resume();
      this.#drain();
      this.#readReloads();
      this.#tell();
      this.#lan.changed(this);
    });
  }

  #readReloads(): void {
    for (const change of this.#unreadReloads.splice(0)) this.reload(change);
  }

  #drain(): void {
    // Only what waits now: the handing over may bring more.
    for (let left = this.#socket.size; left > 0; left--) {
      const next = this.#socket.take();
      if (next !== undefined) this.#take(next.packet.seat, next.packet.packet, next.waited);
    }
  }

  #end(how: "dead" | "off"): void {
    this.#process = how;
    this.#pausedUntil = undefined;
    this.#clock.resumeWithout();
    for (const seat of this.seats) {
      seat.router?.abandon();
      seat.router = undefined;
    }
    this.#readReloads();
    for (const run of this.#guard) run.stop();
    this.#guard = [];
    this.#socket.clear();
    this.staleAdverts = undefined;
    this.#lan.changed(this);
  }

  #finishGuard(): void {
    for (const run of this.#guard) run.letGo();
  }

  #tell(): void {
    if (!this.running) return;
    for (const seat of this.seats) seat.router?.update(this.#circumstances(seat));
  }

  #circumstances(seat: SimSeat): Circumstances {
    const faults: FaultReason[] = [];
    if (!seat.linkUp) faults.push({ type: "interface-down", interface: `eth${seat.index}` });
    if (this.#trackerFault) faults.push({ type: "tracker", tracker: "check" });
    const { priority } = seat.settings;
    return {
      priority:
        priority === 255 ? 255 : Math.min(254, Math.max(1, priority + this.#priorityChange)),
      source: seat.source,
      faults,
      linkUp: seat.linkUp,
    };
  }

  #ports(seat: SimSeat): Ports {
    return {
      clock: this.#clock,
      utc: () => micros(this.#lan.clock.now() + this.utcOffset),
      send: (packet) => this.send(seat, packet),
      addresses: {
        add: () => {
          seat.holds = true;
        },
        remove: () => {
          seat.holds = false;
        },
        announce: (repeat) => {
          seat.announced += repeat;
          this.#lan.announced(this, seat);
        },
        stopAnnouncing: () => undefined,
      },
      drain: (then) => {
        this.#drain();
        then();
      },
      witness: (answer) => {
        // There and back by the switch; who is not reached waits for the answer in vain.
        const reachable = seat.linkUp && this.#lan.reachesGateway(this);
        const { router } = seat;
        this.#clock.after(reachable ? milliseconds(1) : milliseconds(100), () => {
          // A process that has ended meanwhile hears nothing.
          if (seat.router === router) answer(reachable);
        });
      },
      digests: SIM_DIGESTS,
      report: (report: Report) => this.#lan.reported(this, seat, report),
    };
  }

  send(seat: SimSeat, packet: OutgoingPacket): void {
    if (priorityOf(packet) === PRIORITY_LEAVING) {
      this.lastFarewell = this.#lan.clock.now();
    } else if (this.staleAdverts !== undefined) {
      this.staleAdverts++;
      this.#lan.checks.spokeStale(this);
    }
    if (seat.linkUp) this.#lan.transmit(this, seat, packet);
  }
}

/** keepalived 2.2.7 sets a master's timer anew after every packet of its identifier, rejected or not. */
const keepalivedMachine: typeof step = (standing, state, event) => {
  const result = step(standing, state, event);
  const touched = event.type === "refused" || event.type === "advert";
  if (!touched || state.name !== "master" || result.state.name !== "master") return result;
  const { interval } = standing.router;
  return { state: result.state, actions: [...result.actions, setTimer("advert", interval)] };
};

/** Packets that wait in the kernel for a process that stands still. */
const SOCKET_BUFFER = 64;
