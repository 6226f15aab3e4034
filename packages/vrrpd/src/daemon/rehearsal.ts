import { setTimeout as pause } from "node:timers/promises";
import { type Clock, ip, type Micros, micros, type Timer, TimerQueue } from "@ha/base";
import {
  type Announcer,
  type Link,
  type NetworkState,
  openLinkBeat,
  type VrrpSocket,
  type VrrpTransport,
} from "@ha/linux";
import type { Config, Instance } from "../core/config/model.ts";
import { Announcements } from "./announcements.ts";
import { Dispatch } from "./dispatch.ts";
import { HolderWatch } from "./holder-watch.ts";
import { InstanceRuntime, type InstanceWorld } from "./instance-runtime.ts";
import { LinkWatch } from "./link-watch.ts";
import { Log } from "./log.ts";
import { LogLimiter } from "./log-limiter.ts";
import { spacingOf } from "./spacing.ts";

export interface RehearsalOptions {
  readonly config: Config;
  readonly network: NetworkState;
  /** Whose sockets are to be known to be ready. */
  readonly dispatch: Dispatch;
  readonly log: Log;
  readonly openAnnouncer: RehearsedWorld["openAnnouncer"];
  readonly digests: InstanceWorld["digests"];
  readonly utc: InstanceWorld["utc"];
  /** Does what is done when addresses are about to be held, but for telling anybody. */
  readonly onHeld: (instance: InstanceRuntime) => void;
}

interface RehearsedWorld {
  readonly openAnnouncer: (options: {
    readonly interface: { readonly name: string; readonly index: number };
    readonly onError: () => void;
  }) => Announcer;
}

/** How often: code that has run a few times is compiled, and knows the shapes of its objects. */
const TIMES = 4;
/** Between two pieces of it, so that nothing else has to wait. */
const PAUSE_MS = 1;
/** The index of an interface that no host has: the kernel refuses what is asked of it (ENODEV, ENXIO). */
const NOWHERE = 0x7fff_fff0;

/**
 * Becomes master and leaves again with a virtual router that is not there, one of each family: a process that has been
 * backup all its life would run the code of a takeover for the first time when each millisecond of it is an outage (cold
 * code took 3 of the 4.5 ms). Everything runs as it will, down to the kernel, which refuses requests for an interface that
 * does not exist; nothing goes on a wire.
 */
export async function rehearseTakeover(options: RehearsalOptions): Promise<void> {
  const { config, dispatch, log, network } = options;
  const { instances } = config;
  const first = [4, 6].flatMap(
    (family) => instances.find((instance) => instance.family === family) ?? [],
  );
  try {
    for (let time = 0; time < TIMES; time++) {
      for (const instance of first) {
        new Rehearsal(instance, options).run();
        dispatch.rehearse();
        await pause(PAUSE_MS);
        if (network.closed) return;
      }
    }
  } catch (error) {
    log.warning(`the rehearsal of a takeover failed: ${String(error)}`);
  }
}

class Rehearsal {
  readonly #clock = new StageClock();
  readonly #dispatch: Dispatch;
  readonly #announcements: Announcements;
  readonly #holders: HolderWatch;
  readonly #links: LinkWatch;
  readonly #limiter: LogLimiter;
  readonly #instance: InstanceRuntime;

  constructor(instance: Instance, options: RehearsalOptions) {
    const clock = this.#clock;
    const { config, digests, utc } = options;
    const log = new Log([], true);
    const network = nowhere(options.network, instance);
    this.#limiter = new LogLimiter(clock, () => undefined);
    this.#links = new LinkWatch(network, clock, [], () => undefined, openLinkBeat);
    this.#holders = new HolderWatch({
      clock,
      network,
      // Nothing can be heard on an interface that does not exist.
      openAnnouncer: ({ interface: device }) =>
        options.openAnnouncer({ interface: device, onError: () => undefined }),
      log,
      limiter: this.#limiter,
      instances: () => [this.#instance],
    });
    this.#announcements = new Announcements(clock, spacingOf(config), (announcement) =>
      this.#holders.send(announcement),
    );
    this.#dispatch = new Dispatch({
      transport: STAGE_TRANSPORT,
      openEchoListener: undefined,
      findInterface: (name) => network.linkByName(name),
      log,
      limiter: this.#limiter,
      useFilter: false,
      logUnknown: false,
    });
    const part: Instance = {
      ...instance,
      name: `${instance.name} (rehearsal)`,
      // They may name no interface, so that the kernel would not refuse them.
      virtual_routes: [],
      virtual_rules: [],
      witness: [],
    };
    this.#instance = new InstanceRuntime(part, config.globals, {
      clock,
      utc,
      network,
      links: this.#links,
      dispatch: this.#dispatch,
      announcements: this.#announcements,
      digests,
      log,
      isVirtual: () => false,
      trackersOf: () => [],
      witness: () => undefined,
      lostGroup: () => undefined,
      inMaintenance: () => false,
      onPacket: () => undefined,
      onFarewell: () => undefined,
      onReport: () => undefined,
      onHeld: (held, is) => {
        if (is) options.onHeld(held);
      },
      beforeTimer: () => undefined,
      onSend: () => false,
    });
  }

  run(): void {
    const { router } = this.#instance;
    try {
      this.#instance.start({ resume: false });
      this.#clock.runUntil(() => router.state.name === "master");
      router.handle({ type: "shutdown" });
      this.#clock.runUntil(() => router.state.name === "initialize");
    } finally {
      this.#instance.close();
      this.#announcements.close();
      this.#holders.close();
      this.#links.close();
      this.#limiter.close();
      this.#dispatch.close();
    }
  }
}

/** The real interfaces, addresses and kernel, but for indexes that no interface has; and everything is up. */
function nowhere(network: NetworkState, { family }: Instance): NetworkState {
  const link = (name: string): Link => ({
    index: NOWHERE,
    name,
    up: true,
    carrier: true,
    running: true,
    mtu: 1_500,
    mac: new Uint8Array(6),
    loopback: false,
    multicast: true,
    lowerIndex: 0,
    masterIndex: 0,
    kind: undefined,
  });
  return {
    closed: false,
    links: () => [],
    linkByName: link,
    linkByIndex: (index) => (index === NOWHERE ? link("nowhere") : undefined),
    addresses: () => [
      {
        ifindex: NOWHERE,
        address: family === 4 ? ip("198.18.0.1") : ip("fe80::1"),
        prefixLength: 64,
        peer: undefined,
        label: undefined,
        scope: 0,
        flags: 0,
        validLifetime: 0,
        preferredLifetime: 0,
        protocol: 0,
      },
    ],
    hasAddress: () => true,
    apply: (request) => network.apply(request),
    applyAll: (requests) => network.applyAll(requests),
    listen: () => () => undefined,
    drain: () => undefined,
    resync: () => Promise.resolve(),
    close: () => undefined,
  };
}

/** Time that passes when it is told to. */
class StageClock implements Clock {
  readonly #timers = new TimerQueue();
  #now = micros(performance.now() * 1_000);

  now(): Micros {
    return this.#now;
  }

  after(delay: Micros, callback: () => void): Timer {
    return this.#timers.add(micros(this.#now + Math.max(0, delay)), callback);
  }

  /** Runs one timer after another until it is so, or for the most that a change of state can take. */
  runUntil(so: () => boolean): void {
    for (let i = 0; i < MOST_TIMERS && !so(); i++) {
      const due = this.#timers.take(micros(Number.MAX_SAFE_INTEGER));
      if (due === undefined) return;
      this.#now = due.at;
      due.callback();
    }
  }
}

const MOST_TIMERS = 200;

/** Sockets that send nothing. */
const STAGE_TRANSPORT: VrrpTransport = {
  open: (options): VrrpSocket => ({
    options,
    closed: false,
    description: "rehearsal",
    send: () => undefined,
    sendPacket: () => undefined,
    drain: () => 0,
    join: () => undefined,
    leave: () => undefined,
    setFilter: () => undefined,
    rejected: () => ({ counted: false, total: new Map(), bySender: [] }),
    reopen: () => undefined,
    close: () => undefined,
  }),
};
