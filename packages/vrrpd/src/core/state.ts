import type { IpAddress, Micros } from "@ha/base";

/** The states as an operator knows them. */
export type StateName = "initialize" | "backup" | "master" | "fault";

export type State = Initialize | Backup | Master | Fault;

/** Before start, during `vrrp_startup_delay`, and after shutdown. Silent, without addresses. */
export interface Initialize {
  readonly name: "initialize";
}

export interface Backup {
  readonly name: "backup";
  /** What the master last advertised; our own until one is heard. */
  readonly masterInterval: Micros;
  /** The master that is followed; undefined until one is heard. */
  readonly master: IpAddress | undefined;
  readonly masterPriority: number;
  /** `preempt_delay`: not begun, running, or over (a lower master is now preempted). */
  readonly preemption: "none" | "delayed" | "due";
  /** After a switchover: any living master is left in place, whatever the priorities. */
  readonly yields: boolean;
  /** Why the down timer runs at the skew: a priority 0 was heard. */
  readonly hurried: boolean;
  /** Woken after a pause: what waited in the socket, a priority 0 above all, may be long out of date. */
  readonly listening: boolean;
  /** The down timer ran out and the witness has been asked. */
  readonly asking: boolean;
  /** A higher owner was heard: 254 counts for us in place of 255 until it is gone. */
  readonly yieldsOwner: boolean;
}

export interface Master {
  readonly name: "master";
  /** Priority 0 is out and the addresses wait for the winner; undefined: master in full. */
  readonly leaving: Leaving | undefined;
  /** The announcement of a healed split that comes next: an index into `HEAL_WAITS`; -1: none. */
  readonly healStep: number;
  /** Restorations of addresses in the present window. */
  readonly restored: number;
  /** Addresses were lost while restoring paused. */
  readonly restorePending: boolean;
  /** Another master was noticed once, as each preemption has it; again, and told; not quiet since. */
  readonly split: "none" | "suspected" | "told";
  /** The priority has been lowered with a priority 0: yield to the winner as when leaving. */
  readonly resigned: boolean;
}

export interface Leaving {
  readonly cause: LeaveCause;
  /** Whose first advert was heard, once it was. */
  readonly winner: IpAddress | undefined;
  readonly winnerInterval: Micros;
  readonly winnerPriority: number;
  /** Another member of the sync group has let go already: this one cannot take its mastership back alone. */
  readonly groupLeft: boolean;
}

/** Silent, without addresses, until every reason is gone. */
export interface Fault {
  readonly name: "fault";
}

export type LeaveCause = "shutdown" | "fault" | "switchover" | "resign";

export type FaultReason =
  | { readonly type: "interface-missing"; readonly interface: string }
  | { readonly type: "interface-down"; readonly interface: string }
  | { readonly type: "no-source-address"; readonly interface: string }
  | { readonly type: "no-unicast-peer" }
  /** A tracker of weight 0 is down. */
  | { readonly type: "tracker"; readonly tracker: string }
  /** A script of weight 0 has no first result yet: shown as fault in state, not announced. */
  | { readonly type: "not-checked-yet"; readonly tracker: string }
  | { readonly type: "sync-group"; readonly member: string }
  | { readonly type: "maintenance" };

/** Every timer there is; one of each at most. */
export type TimerName =
  | "startup-delay"
  | "master-down"
  | "preempt-delay"
  | "advert"
  | "announce-again"
  | "announce-refresh"
  | "lower-priority-announce"
  | "heal-announce"
  | "leave"
  | "resign"
  | "restore-window"
  | "split-quiet";
