import { type Clock, formatAddress, type IpAddress, micros, milliseconds, seconds } from "@ha/base";
import type { Config, Instance } from "../core/config/model.ts";
import type { Report } from "../core/report.ts";
import type { HandoverDoor } from "./handover-door.ts";
import type { HandoverRequest } from "./handover-message.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import type { PlannedMove } from "./planned-move.ts";

export interface DrainedPreemptionOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly moves: PlannedMove;
  readonly instances: () => readonly InstanceRuntime[];
  /** The host is not to stand aside after this move: its peer asked, and has the better priority. */
  readonly endAside: (instance: InstanceRuntime) => void;
  readonly note: (text: string) => void;
}

/**
 * The way back costs nobody a request where both ends are ours: a backup with the better priority, whose master serves
 * through a proxy, asks it to drain and leave, instead of taking the address from it in the middle of requests.
 */
export class DrainedPreemption {
  readonly #options: DrainedPreemptionOptions;
  /** When a master is asked again that did not answer, by instance. */
  readonly #notBefore = new Map<string, number>();
  readonly #asking = new Map<InstanceRuntime, () => void>();
  #door: HandoverDoor | undefined;
  #key = "";

  constructor(options: DrainedPreemptionOptions) {
    this.#options = options;
  }

  /** Listens where there are proxies that instances track. */
  configure(config: Config): void {
    const tracking = config.instances.filter((instance) => tracksProxies(instance, config));
    const families = new Set(tracking.map(({ family }) => family));
    const { vrrp_handover_port: port } = config.globals;
    const key = `${port} ${[...families].join(" ")}`;
    if (key === this.#key) return;
    this.#key = key;
    this.#door?.close();
    this.#door = undefined;
    if (families.size === 0 || port === 0) return;
    // Not loaded where nobody needs it: a start of the daemon is short.
    void import("./handover-door.ts").then(({ HandoverDoor }) => {
      if (this.#key !== key) return;
      this.#door = new HandoverDoor(port, families, {
        log: this.#options.log,
        find: (vrid, family) => this.#find(vrid, family)?.config,
        asked: (instance, request, from) => this.#asked(instance, request, from),
      });
    });
  }

  close(): void {
    this.#door?.close();
    this.#door = undefined;
    this.#key = "closed";
  }

  /** Called for every advert: it does nothing but when the next down timer would take the address from a proxy. */
  onPacket(instance: InstanceRuntime): void {
    if (this.#door === undefined) return;
    const { router } = instance;
    const { state } = router;
    if (state.name !== "backup" || state.yields || this.#asking.has(instance)) return;
    if (!router.router.preempt || state.preemption === "delayed") return;
    if (router.router.preemptDelay > 0 && state.preemption !== "due") return;
    const peer = router.statistics.latest;
    const priority = peer?.lastPriority;
    if (peer === undefined || priority === undefined || priority === 0) return;
    if (priority >= router.standing.priority) return;
    if (!instance.trackers.some(({ proxy }) => proxy === true)) return;
    const { clock } = this.#options;
    if (clock.now() < (this.#notBefore.get(instance.name) ?? 0)) return;
    // Any living master is left in place while it is asked.
    router.handle({ type: "switchover" });
    void this.invite(instance, peer.address).then((invited) => {
      if (!invited) this.#notBefore.set(instance.name, clock.now() + ASK_AGAIN);
      router.handle({ type: "switchover-back" });
    });
  }

  onReport(instance: InstanceRuntime, report: Report): void {
    if (report.type === "state") this.#asking.get(instance)?.();
  }

  /**
   * Asks the master to hand over. True once we are master by its leave; false when it does not answer, or does not
   * leave in time: the election is as ever then.
   */
  async invite(instance: InstanceRuntime, master: IpAddress): Promise<boolean> {
    const { clock, log, note } = this.#options;
    const door = this.#door;
    if (door === undefined || this.#asking.has(instance)) return false;
    let changed = (): void => undefined;
    const moved = new Promise<void>((resolve) => {
      changed = resolve;
    });
    this.#asking.set(instance, changed);
    try {
      const { priority, source } = instance.router.standing;
      const limit = await door.ask(instance.config, master, { priority, source });
      if (limit === undefined) return false;
      const text = `${formatAddress(master)} drains its proxy before it hands over, ${limit} ms at most`;
      log.notice(`(${instance.name}) ${text}`);
      note(`(${instance.name}) ${text}`);
      const wait = micros(milliseconds(limit) + LEAVE_LIMIT);
      const late = new Promise<void>((resolve) => clock.after(wait, resolve));
      await Promise.race([moved, late]);
      return instance.router.state.name === "master";
    } finally {
      this.#asking.delete(instance);
    }
  }

  #find(vrid: number, family: 4 | 6): InstanceRuntime | undefined {
    return this.#options
      .instances()
      .find(({ config }) => config.virtual_router_id === vrid && config.family === family);
  }

  #asked(config: Instance, request: HandoverRequest, from: string): number | undefined {
    const { log, moves, note, instances, endAside } = this.#options;
    const all = instances();
    const instance = all.find((candidate) => candidate.config === config);
    if (instance === undefined || instance.router.state.name !== "master") return undefined;
    // One that would not win is none of our business.
    if (request.priority <= instance.router.standing.priority) return undefined;
    const group = config.sync_group;
    const moving = all.filter(
      (other) => other === instance || (group !== undefined && other.config.sync_group === group),
    );
    const limit = moves.drainLimit(moving);
    if (limit === undefined) return undefined;
    if (!moves.isDraining(instance)) {
      const text = `${from} has priority ${request.priority} and asks for a drained handover`;
      log.notice(`(${instance.name}) ${text}`);
      note(`(${instance.name}) ${text}`);
      void moves.away(moving, { timeout: micros(0), drainLimit: undefined }).then(() => {
        for (const one of moving) endAside(one);
      });
    }
    return limit;
  }
}

function tracksProxies({ track_proxy, sync_group }: Instance, { sync_groups }: Config): boolean {
  const group = sync_groups.find(({ name }) => name === sync_group);
  return track_proxy.length + (group?.track_proxy.length ?? 0) > 0;
}

/** A keepalived never answers: it is asked once a minute. */
const ASK_AGAIN = seconds(60);
/** From the end of the drain to our own mastership: the longest skew, and some. */
const LEAVE_LIMIT = seconds(6);
