import type { IpAddress, Micros } from "@ha/base";
import type { Config, Instance, SyncGroup } from "../core/config/model.ts";
import type { FaultReason, StateName } from "../core/state.ts";
import type { RefusalReason } from "../core/statistics.ts";
import type { ScriptStatus } from "./track-script.ts";

/** Everything that dumps, the control socket and metrics show: a snapshot, made when it is asked for. */
export interface DaemonStatus {
  readonly pid: number;
  /** Milliseconds of wall-clock time. */
  readonly startedAt: number;
  readonly configFile: string;
  readonly config: Config;
  /** The last reload that was refused, and why; undefined when the file in force is the newest. */
  readonly refusedReload: string | undefined;
  readonly instances: readonly InstanceStatus[];
  readonly groups: readonly GroupStatus[];
  readonly scripts: readonly ScriptStatus[];
  readonly files: readonly { readonly name: string; readonly value: number }[];
  readonly processes: readonly {
    readonly name: string;
    readonly count: number;
    readonly up: boolean;
  }[];
  readonly bfd: readonly { readonly name: string; readonly state: string }[];
  readonly timers: {
    readonly fired: number;
    readonly stalls: number;
    readonly worst: Micros;
  };
}

export interface InstanceStatus {
  readonly config: Instance;
  readonly state: StateName;
  /** Priority 0 is out and the winner is awaited. */
  readonly leaving: boolean;
  readonly effectivePriority: number;
  /** The master that is followed. */
  readonly master: { readonly address: IpAddress; readonly priority: number } | undefined;
  readonly masterInterval: Micros;
  readonly downTimer: Micros;
  readonly faults: readonly FaultReason[];
  /** Milliseconds of wall-clock time. */
  readonly lastTransition: number;
  readonly source: IpAddress | undefined;
  /** Name of the device that has the addresses: with use_vmac the macvlan. */
  readonly device: string | undefined;
  readonly addressesSet: boolean;
  /** Under keepalived's names. */
  readonly statistics: Readonly<Record<string, number>>;
  readonly refused: readonly {
    readonly peer: IpAddress;
    readonly reason: RefusalReason;
    readonly count: number;
  }[];
}

export interface GroupStatus {
  readonly config: SyncGroup;
  readonly state: StateName;
}

/** keepalived's numbers of the states, in JSON and metrics. observed: keepalived 2.2.7 */
export const STATE_NUMBER: Readonly<Record<StateName, number>> = {
  initialize: 0,
  backup: 1,
  master: 2,
  fault: 3,
};

export const STATE_WORD: Readonly<Record<StateName, string>> = {
  initialize: "INIT",
  backup: "BACKUP",
  master: "MASTER",
  fault: "FAULT",
};
