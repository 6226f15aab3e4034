import type { SyncGroup as SyncGroupConfig } from "../core/config/model.ts";
import type { StateName } from "../core/state.ts";
import type { SyncGroup } from "../core/sync-group.ts";
import type { GroupStatus } from "./status.ts";

/** One `vrrp_sync_group`, as scripts and dumps see it. */
export class GroupRuntime {
  readonly config: SyncGroupConfig;
  readonly core: SyncGroup;
  #told: StateName = "initialize";

  constructor(config: SyncGroupConfig, core: SyncGroup) {
    this.config = config;
    this.core = core;
  }

  get name(): string {
    return this.config.name;
  }

  /** Fault if any member is, master if all are; backup in between. */
  get state(): StateName {
    const states = this.core.members.map(({ state }) => state.name);
    if (states.includes("fault")) return "fault";
    if (states.length > 0 && states.every((state) => state === "master")) return "master";
    return states.every((state) => state === "initialize") ? "initialize" : "backup";
  }

  /** The state, if it is another than the last time; undefined otherwise. */
  newState(): StateName | undefined {
    const { state } = this;
    if (state === this.#told) return undefined;
    this.#told = state;
    return state;
  }

  status(): GroupStatus {
    return { config: this.config, state: this.state };
  }
}
