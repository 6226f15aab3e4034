import {
  type Clock,
  type IpAddress,
  type Micros,
  micros,
  milliseconds,
  sameAddress,
  seconds,
  type Timer,
} from "@ha/base";
import {
  adoptGuard,
  egressMessages,
  type Guard,
  type GuardedRouter,
  type GuardOptions,
  type HeldRouter,
  type PreparedAdvert,
  type PreparedHold,
  prepareHold,
  removeLink,
  type SystemError,
  startGuard,
  type WinnerFilter,
  winnerProgram,
} from "@ha/linux";
import type { Config } from "../core/config/model.ts";
import type { OutgoingPacket } from "../core/ports.ts";
import type { Router } from "../core/router.ts";
import { leaveTime } from "../core/transition.ts";
import type { Holdings } from "./holdings.ts";
import { type Inheritance, readInheritance, writeInheritance } from "./inheritance.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import { vmacNames } from "./virtual-links.ts";
import { wholePacket } from "./whole-packet.ts";

export interface GuardLinkOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Start a crashed daemon again: off with `-R`. */
  readonly respawn: boolean;
  /** The guard is what systemd watches, and passes signals on. */
  readonly forwardSignals: boolean;
  /** The guard tells the system log too. */
  readonly syslog: boolean;
  readonly bootId: string;
  /** The verdicts of scripts, to be inherited. */
  readonly scripts: () => Readonly<Record<string, boolean>>;
}

/** Adverts that are prepared where digests bind them to time; then the guard repeats the last in vain, and leaves. */
const BOUND_ADVERTS = 8;

/**
 * Keeps the guard informed: what is held, what is to be sent in our absence, how to take all away. The guard knows no
 * protocol; it gets finished bytes.
 */
export class GuardLink {
  readonly #options: GuardLinkOptions;
  readonly #config: () => Config;
  readonly #ids = new Map<string, number>();
  readonly #holding = new Map<number, InstanceRuntime>();
  readonly #announced = new Set<number>();
  readonly #prepared = new Map<number, { readonly of: PreparedFor; readonly hold: PreparedHold }>();
  #guard: Guard | undefined;
  #inherited = new Map<string, { readonly held: HeldRouter; readonly record: Inheritance }>();
  #beat: Timer | undefined;
  #closing = false;
  #troubled = false;

  constructor(config: () => Config, options: GuardLinkOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** The process that is to be watched for the service; undefined without a guard. */
  get pid(): number | undefined {
    return this.#guard?.pid;
  }

  /** The descriptor that a timer thread may beat on. */
  get fd(): number | undefined {
    return this.#guard?.fd;
  }

  /** Finds the guard that has started us, or starts one. */
  async open(): Promise<void> {
    const { log } = this.#options;
    try {
      const adopted = await adoptGuard(this.#guardOptions());
      if (adopted === undefined) {
        this.#guard = startGuard(this.#guardOptions());
      } else {
        this.#guard = adopted.guard;
        log.notice(
          `started again by the guard, which has held ${adopted.held.length} virtual routers meanwhile`,
        );
        for (const held of adopted.held) {
          const record = readInheritance(held.resume);
          if (record === undefined || this.#ids.has(record.name)) this.#guard.release(held.id);
          else {
            this.#ids.set(record.name, held.id);
            this.#inherited.set(record.name, { held, record });
          }
        }
      }
      this.#beatAgain();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log.error(`no guard: ${why}; a crash would leave addresses behind`);
    }
  }

  /** What a predecessor held of this instance, if it is still there. */
  inherited(instance: InstanceRuntime): Inheritance | undefined {
    const entry = this.#inherited.get(instance.name);
    return entry === undefined || entry.held.leaving ? undefined : entry.record;
  }

  /** The verdicts of scripts that a predecessor left. */
  get inheritedScripts(): Readonly<Record<string, boolean>> {
    return Object.assign({}, ...[...this.#inherited.values()].map(({ record }) => record.scripts));
  }

  /** Whether the guard is giving the instance's addresses away right now. */
  isLeaving(instance: InstanceRuntime): boolean {
    return this.#inherited.get(instance.name)?.held.leaving ?? false;
  }

  /** Every instance has decided: what it did not resume is the guard's no more, unless it is leaving anyway. */
  settle(instances: readonly InstanceRuntime[]): void {
    for (const [name, { held }] of this.#inherited) {
      const instance = instances.find((candidate) => candidate.name === name);
      if (instance?.held.held === true || held.leaving) continue;
      this.#guard?.release(held.id);
    }
    this.#inherited = new Map();
  }

  /** Called before addresses are put in place, and after they were taken away. */
  onHeld(instance: InstanceRuntime, held: boolean): void {
    const id = this.#idOf(instance);
    if (held) {
      this.#holding.set(id, instance);
      this.#hold(id, instance);
      return;
    }
    this.#holding.delete(id);
    void instance.held.idle().then(() => {
      if (!this.#holding.has(id)) this.#tell(this.#guard?.release(id));
    });
  }

  /** Makes ahead what `onHeld` will tell the guard: at a takeover each millisecond is an outage. */
  prepare(instance: InstanceRuntime): void {
    if (!instance.router.repeatable) return;
    const id = this.#idOf(instance);
    const of = this.#preparedFor(instance, instance.held.prepare());
    const known = this.#prepared.get(id);
    if (known !== undefined && isSame(known.of, of)) return;
    this.#prepared.set(id, { of, hold: prepareHold(this.#guarded(id, instance, of.holdings)) });
  }

  /** Does what `onHeld` does, but for telling that anything is held. */
  rehearse(instance: InstanceRuntime): void {
    const id = this.#idOf(instance);
    this.prepare(instance);
    this.#holdOf(id, instance);
    this.#tell(this.#guard?.beat());
    this.#prepared.delete(id);
    this.#ids.delete(instance.name);
  }

  /** Settings, priority, source or addresses of a held instance may be others now. */
  refresh(instance: InstanceRuntime): void {
    const id = this.#idOf(instance);
    if (this.#holding.has(id)) this.#hold(id, instance);
  }

  /** We sent a regular advert ourselves. */
  onAdvert(instance: InstanceRuntime): void {
    const id = this.#idOf(instance);
    if (!this.#holding.has(id) || this.#guard === undefined) return;
    // Once for all peers, and when the numbers that this advert took are known.
    if (this.#announced.has(id)) return;
    this.#announced.add(id);
    queueMicrotask(() => {
      this.#announced.delete(id);
      if (!this.#holding.has(id)) return;
      const { router } = instance.router;
      if (router.hmac === undefined && router.authentication.type !== "ah") {
        this.#tell(this.#guard?.sent(id));
        return;
      }
      const { adverts, farewell, repeatable } = this.#adverts(instance);
      this.#tell(
        this.#guard?.renew(id, {
          adverts,
          farewell,
          repeat: repeatable,
          nextAfter: router.interval,
        }),
      );
    });
  }

  /** The configuration is another: intervals, and what a beat may be late, with it. */
  reconfigure(): void {
    this.#tell(this.#guard?.expectBeats(this.#guardOptions().heartbeatTimeout));
    this.#beat?.cancel();
    this.#beatAgain();
  }

  /** All is given up in order. */
  async close(exitCode: number): Promise<void> {
    this.#closing = true;
    this.#beat?.cancel();
    await this.#guard?.close(exitCode);
  }

  #idOf({ name }: InstanceRuntime): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      const used = new Set(this.#ids.values());
      id = 0;
      while (used.has(id)) id++;
      this.#ids.set(name, id);
    }
    return id;
  }

  #hold(id: number, instance: InstanceRuntime): void {
    if (this.#guard === undefined) return;
    this.#tell(this.#guard.hold(this.#holdOf(id, instance)));
  }

  #holdOf(id: number, instance: InstanceRuntime): PreparedHold {
    const { holdings } = instance.held;
    const known = this.#prepared.get(id);
    // Digests bind adverts to their moment.
    if (known !== undefined && instance.router.repeatable) {
      if (isSame(known.of, this.#preparedFor(instance, holdings))) return known.hold;
    }
    return prepareHold(this.#guarded(id, instance, holdings));
  }

  #preparedFor(instance: InstanceRuntime, holdings: Holdings): PreparedFor {
    const { router, standing } = instance.router;
    return {
      router,
      holdings,
      priority: standing.priority,
      source: standing.source,
      ifindex: instance.advertIndex(),
      links: instance.virtualLinks().map(({ index }) => index),
      scripts: JSON.stringify(this.#options.scripts()),
    };
  }

  #guarded(id: number, instance: InstanceRuntime, holdings: Holdings): GuardedRouter {
    const { router } = instance.router;
    const { adverts, farewell, repeatable, sequences } = this.#adverts(instance);
    const { bootId } = this.#options;
    const egress = vmacNames(instance.config).map(egressMessages);
    return {
      id,
      interval: router.interval,
      adverts,
      repeat: repeatable,
      farewell,
      removals: [
        ...holdings.remove,
        ...instance.virtualLinks().map((link) => removeLink(link)),
        ...egress.map(({ unblock }) => unblock),
      ],
      silence: egress.map(({ block }) => block),
      winners: this.#winners(instance),
      leaveAfter: leaveTime(router),
      // Differs from the two intervals of slower routers, because a start takes longer than two short ones.
      graceAfter: micros(Math.max(2 * router.interval, SHORTEST_GRACE)),
      resume: writeInheritance({
        name: instance.name,
        bootId,
        scripts: this.#options.scripts(),
        sequences,
      }),
    };
  }

  #adverts(instance: InstanceRuntime): {
    readonly adverts: readonly PreparedAdvert[];
    readonly farewell: readonly PreparedAdvert[];
    readonly repeatable: boolean;
    readonly sequences: Inheritance["sequences"];
  } {
    const prepared = instance.router.prepare(BOUND_ADVERTS);
    const ifindex = instance.advertIndex();
    const pack = (adverts: readonly (readonly OutgoingPacket[])[]): PreparedAdvert[] =>
      adverts.map((packets) => packets.map((packet) => ({ packet: wholePacket(packet), ifindex })));
    return {
      adverts: pack(prepared.adverts),
      farewell: pack(prepared.farewell),
      repeatable: prepared.repeatable,
      sequences: prepared.sequences,
    };
  }

  #winners(instance: InstanceRuntime): WinnerFilter[] {
    const { router } = instance.router;
    const { destination } = router;
    const own = instance.source();
    const ifindex = instance.advertIndex();
    const program = winnerProgram({
      family: router.family,
      vrid: router.vrid,
      version: router.version,
      minTtl: destination.type === "multicast" ? 255 : 0,
      ownAddresses: own === undefined ? [] : [own],
      ...(destination.type === "unicast" && destination.peers.length > 0
        ? { sources: destination.peers.map(({ address }) => address) }
        : {}),
      authenticationHeader: router.authentication.type === "ah",
    });
    return [{ ifindex, family: router.family, program }];
  }

  #guardOptions(): GuardOptions {
    const { globals, instances } = this.#config();
    const { respawn, forwardSignals, syslog } = this.#options;
    const shortest = Math.min(...instances.map(({ advert_int }) => advert_int), seconds(1));
    return {
      command: respawn ? [process.execPath, ...process.execArgv, ...process.argv.slice(1)] : [],
      environment: environmentOf(process.env),
      heartbeatTimeout: globals.vrrp_guard_heartbeat
        ? heartbeatLimit(micros(shortest))
        : seconds(1_000_000),
      lockMemory: globals.vrrp_no_swap,
      forwardSignals,
      syslog,
      ...(globals.vrrp_rt_priority === undefined
        ? {}
        : { realtimePriority: globals.vrrp_rt_priority }),
      onExit: (reason) => this.#restartGuard(reason),
    };
  }

  /** A guard that dies alone is started again, and told everything. */
  #restartGuard(reason: string): void {
    if (this.#closing) return;
    const { clock, log } = this.#options;
    log.error(`the guard has died (${reason}): started again`);
    this.#guard = undefined;
    this.#beat?.cancel();
    clock.after(milliseconds(50), () => {
      if (this.#closing) return;
      try {
        this.#guard = startGuard(this.#guardOptions());
      } catch (error) {
        log.error(`no guard: ${error instanceof Error ? error.message : String(error)}`);
        return;
      }
      this.#beatAgain();
      for (const [id, instance] of this.#holding) this.#hold(id, instance);
    });
  }

  #beatAgain(): void {
    const { heartbeatTimeout } = this.#guardOptions();
    this.#beat = this.#options.clock.after(
      micros(Math.min(heartbeatTimeout / 4, seconds(1))),
      () => {
        this.#tell(this.#guard?.beat());
        this.#beatAgain();
      },
    );
  }

  #tell(problem: SystemError | undefined): void {
    if (problem === undefined) {
      this.#troubled = false;
      return;
    }
    if (!this.#troubled) this.#options.log.warning(`guard: ${problem.message}`);
    this.#troubled = true;
  }
}

/** All that the guard's message follows from. */
interface PreparedFor {
  readonly router: Router;
  readonly holdings: Holdings;
  readonly priority: number;
  readonly source: IpAddress;
  readonly ifindex: number;
  readonly links: readonly number[];
  /** The verdicts, as text. */
  readonly scripts: string;
}

function isSame(a: PreparedFor, b: PreparedFor): boolean {
  return (
    a.router === b.router &&
    a.holdings === b.holdings &&
    a.priority === b.priority &&
    sameAddress(a.source, b.source) &&
    a.ifindex === b.ifindex &&
    a.links.join() === b.links.join() &&
    a.scripts === b.scripts
  );
}

/** A daemon needs about 200 ms to start. */
const SHORTEST_GRACE = seconds(1);

/**
 * Silence of the daemon after which it counts as hung: well within the down timer of the peers (three intervals and the
 * skew), and not so short that a busy host looks like a hung one.
 */
export function heartbeatLimit(shortestInterval: Micros): Micros {
  return micros(Math.max(2.5 * shortestInterval * (shortestInterval > 400_000 ? 0.6 : 1), 100_000));
}

function environmentOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && entry[0] !== "VRRPD_READY_FD",
    ),
  );
}
