import type { Clock, Timer } from "@ha/base";
import type { InstanceRuntime } from "./instance-runtime.ts";

/** `garp_extra_if`: while master, addresses on macvlans of their own (or all) are announced now and again. */
export class ExtraAnnouncements {
  readonly #clock: Clock;
  readonly #timers = new Map<string, Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins anew with these. */
  start(instances: readonly InstanceRuntime[]): void {
    this.stop();
    for (const instance of instances) this.#again(instance);
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #again(instance: InstanceRuntime): void {
    const extra = instance.config.garp_extra_if;
    if (extra === undefined || extra.interval === 0) return;
    const timer = this.#clock.after(extra.interval, () => {
      if (instance.router.state.name === "master") {
        instance.held.announceExtra(extra.all);
      }
      this.#again(instance);
    });
    this.#timers.set(instance.name, timer);
  }
}
