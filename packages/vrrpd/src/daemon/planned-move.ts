import { type Clock, type IpAddress, type Micros, micros } from "@ha/base";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import type { Proxies } from "./proxies.ts";
import type { Drain, DrainOutcome } from "./proxy/drain.ts";
import type { ProxyRunner } from "./proxy/proxy-runner.ts";
import type { HandoverOutcome, Switchover } from "./switchover.ts";

export interface PlannedMoveOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly proxies: Proxies;
  readonly switchover: Switchover;
  /** For the journal. */
  readonly note: (text: string) => void;
}

/** An outcome, with what the drain before it came to where there was one. */
export interface PlannedOutcome extends HandoverOutcome {
  readonly drain?: DrainOutcome;
}

/** Moves of addresses that somebody plans: the proxies that serve them finish first, and then they move. */
export class PlannedMove {
  readonly #options: PlannedMoveOptions;
  readonly #drains = new Set<Drain>();
  readonly #draining = new Set<InstanceRuntime>();

  constructor(options: PlannedMoveOptions) {
    this.#options = options;
  }

  /**
   * Drains, and then gives the addresses away; those that nobody takes stay, and are served as before.
   *
   * @param drainLimit Instead of the longest `drain_timeout`; 0 asks for no drain.
   */
  async away(
    instances: readonly InstanceRuntime[],
    { timeout, drainLimit }: { readonly timeout: Micros; readonly drainLimit: Micros | undefined },
  ): Promise<readonly PlannedOutcome[]> {
    const { switchover } = this.#options;
    const busy = instances.find((instance) => this.#draining.has(instance));
    if (busy !== undefined) {
      const detail = "another switchover is under way";
      return [{ instance: busy.name, result: "interrupted", detail, took: 0 }];
    }
    const { outcome, end } = await this.#drain(instances, drainLimit);
    try {
      const outcomes = await Promise.all(
        instances.map((instance) => switchover.away(instance, timeout)),
      );
      return outcomes.map((one) =>
        outcome === undefined || one.result === "not-master" ? one : { ...one, drain: outcome },
      );
    } finally {
      end();
    }
  }

  isDraining(instance: InstanceRuntime): boolean {
    return this.#draining.has(instance);
  }

  /** Milliseconds that a drain of these may take; undefined: there is nothing to drain. */
  drainLimit(instances: readonly InstanceRuntime[]): number | undefined {
    const runners = this.#runnersOf(instances);
    if (runners.length === 0) return undefined;
    return Math.round(Math.max(...runners.map(({ program }) => program.drain_timeout)) / 1_000);
  }

  /** The proxies that serve what these hold now. */
  #runnersOf(instances: readonly InstanceRuntime[]): readonly ProxyRunner[] {
    const masters = instances.filter(({ router }) => router.state.name === "master");
    return (this.#options.proxies.fleet?.runners ?? []).filter(
      ({ program, obeys }) =>
        program.drain && obeys && masters.some((it) => tracks(it, program.name)),
    );
  }

  /** Before the daemon leaves for good; what it drained is not taken up again. */
  async beforeStop(instances: readonly InstanceRuntime[]): Promise<() => void> {
    const { end } = await this.#drain(instances, undefined);
    return end;
  }

  /** Nobody waits any longer: what is left is reset. */
  hurry(): void {
    for (const drain of this.#drains) drain.hurry();
  }

  async #drain(
    instances: readonly InstanceRuntime[],
    drainLimit: Micros | undefined,
  ): Promise<{ readonly outcome: DrainOutcome | undefined; readonly end: () => void }> {
    const { clock, log, proxies, note } = this.#options;
    const masters = instances.filter(({ router }) => router.state.name === "master");
    const runners = this.#runnersOf(instances);
    const limit =
      drainLimit ?? micros(Math.max(0, ...runners.map(({ program }) => program.drain_timeout)));
    const fleet = proxies.fleet;
    if (runners.length === 0 || fleet === undefined || limit === 0) {
      return { outcome: undefined, end: () => undefined };
    }
    const { Drain } = await import("./proxy/drain.ts");
    const addresses: IpAddress[] = masters.flatMap(({ config }) =>
      [...config.virtual_ipaddress, ...config.virtual_ipaddress_excluded].map(
        ({ address }) => address,
      ),
    );
    const drain = new Drain({ runners, addresses, limit, clock, log, block: fleet.synBlock });
    this.#drains.add(drain);
    for (const instance of instances) this.#draining.add(instance);
    const names = runners.map(({ program }) => program.name).join(", ");
    log.notice(`draining proxy ${names}`);
    note(`draining proxy ${names}`);
    const end = (): void => {
      drain.end();
      this.#drains.delete(drain);
      for (const instance of instances) this.#draining.delete(instance);
    };
    try {
      const outcome = await drain.run();
      const text = `proxy ${names} drained in ${outcome.took} ms, ${outcome.cut} connections cut`;
      log.notice(text);
      note(text);
      return { outcome, end };
    } catch (error) {
      end();
      throw error;
    }
  }
}

/** Its own trackers, or its group's. */
function tracks(instance: InstanceRuntime, proxy: string): boolean {
  return instance.trackers.some(({ name, proxy: isProxy }) => isProxy === true && name === proxy);
}
