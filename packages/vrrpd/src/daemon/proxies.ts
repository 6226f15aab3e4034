import { existsSync } from "node:fs";
import type { ProxyProgram } from "../core/config/proxy-model.ts";
import type { TrackerState } from "../core/tracking.ts";
import type { ProxyFleet, ProxyFleetOptions } from "./proxy/proxy-fleet.ts";
import { type ProxyReport, proxyReports } from "./proxy/proxy-report.ts";

/** The proxies that are kept running. Nothing of it is loaded where there are none, nor were any. */
export class Proxies {
  readonly #options: ProxyFleetOptions;
  #fleet: ProxyFleet | undefined;
  #started = false;

  constructor(options: ProxyFleetOptions) {
    this.#options = options;
  }

  /** Undefined: there are none. */
  get fleet(): ProxyFleet | undefined {
    return this.#fleet;
  }

  /** Starts, finds, changes and ends proxies until there are these. */
  async apply(programs: readonly ProxyProgram[]): Promise<void> {
    if (this.#fleet === undefined) {
      const record = `${this.#options.stem.replace(/-$/, "")}.json`;
      if (programs.length === 0 && !existsSync(record)) return;
      const { ProxyFleet } = await import("./proxy/proxy-fleet.ts");
      this.#fleet = new ProxyFleet(this.#options);
    }
    if (this.#started) await this.#fleet.reload(programs);
    else await this.#fleet.start(programs);
    this.#started = true;
  }

  /** For status and metrics. */
  reports(): readonly ProxyReport[] {
    return proxyReports(this.#fleet?.runners ?? []);
  }

  trackerState(name: string): TrackerState {
    return this.#fleet?.trackerState(name) ?? "down";
  }

  /** @param keep They live on, and the next daemon finds them. */
  async end(keep: boolean): Promise<void> {
    if (keep) this.#fleet?.leave();
    else await this.#fleet?.stop();
  }
}
