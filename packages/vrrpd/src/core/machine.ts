import type { IpAddress, Micros } from "@ha/base";
import { stepBackup } from "./backup.ts";
import { stepFault, stepInitialize } from "./idle.ts";
import { stepMaster } from "./master.ts";
import type { Report } from "./report.ts";
import type { Router } from "./router.ts";
import type { State, TimerName } from "./state.ts";
import type { RefusalReason } from "./statistics.ts";

/** What a router is at this moment: its settings, and what trackers and the interface make of them. */
export interface Standing {
  readonly router: Router;
  /** Effective priority, 1–255. */
  readonly priority: number;
  /** Source of our adverts; ties go to the higher one. Unspecified while there is none (which is a fault). */
  readonly source: IpAddress;
  /** Some reason stands against being master. */
  readonly faulted: boolean;
  /** The interface carries packets and there is a source address. */
  readonly canSend: boolean;
  /** An owner, and so is every other member of its sync group: master at once, without an election. */
  readonly startsAsOwner: boolean;
}

export type Event =
  /** `resume`: this daemon was master a moment ago (`mayResume`), its addresses are still in place. */
  | { readonly type: "startup"; readonly resume: boolean }
  | { readonly type: "shutdown" }
  | { readonly type: "timer"; readonly timer: TimerName }
  /** Fully validated. `interval` is what it carries; `at` when it arrived, now when absent. */
  | {
      readonly type: "advert";
      readonly at?: Micros;
      readonly from: IpAddress;
      readonly priority: number;
      readonly interval: Micros;
    }
  /** A packet of this virtual router that was not obeyed: evidence of another master, at most. */
  | { readonly type: "refused"; readonly from: IpAddress; readonly reason: RefusalReason }
  /** Priority 0 under our own address: reflected, or played again by somebody. */
  | { readonly type: "own-farewell" }
  /** `standing.faulted` has become true, or `canSend` false. */
  | { readonly type: "fault" }
  | { readonly type: "recovered" }
  | { readonly type: "effective-priority"; readonly from: number; readonly to: number }
  /** `advert_int` is another one since a reload. */
  | { readonly type: "interval-changed" }
  /** Give the addresses away make-before-break and stay backup; a backup stays one. */
  | { readonly type: "switchover" }
  | { readonly type: "switchover-back" }
  /** The loop or the host stood still for longer than our own down timer. */
  | { readonly type: "woke" }
  /** Somebody else removed an address that we hold. */
  | { readonly type: "address-removed"; readonly address: IpAddress | undefined }
  /** Another hardware address answers for an address that we hold. */
  | { readonly type: "address-conflict"; readonly address: IpAddress; readonly mac: Uint8Array }
  | { readonly type: "witness"; readonly reachable: boolean }
  /** The down timer ran out, but the sync group does not move. */
  | { readonly type: "held" }
  | { readonly type: "group"; readonly to: GroupOrder };

/** What the sync group tells a member because of another one. */
export type GroupOrder =
  /** All want to be master. */
  | "master"
  /** One of them yielded. */
  | "backup"
  /** Priority 0 was heard for one. */
  | "hurry"
  /** A lower-priority master was heard by one. */
  | "announce";

export type Action =
  | { readonly type: "send-advert"; readonly priority: number; readonly kind: AdvertKind }
  | { readonly type: "set-timer"; readonly timer: TimerName; readonly after: Micros }
  | { readonly type: "cancel-timer"; readonly timer: TimerName }
  | { readonly type: "cancel-timers" }
  | { readonly type: "add-addresses" }
  | { readonly type: "remove-addresses" }
  | { readonly type: "announce"; readonly repeat: number }
  | { readonly type: "stop-announcing" }
  | { readonly type: "ask-witness" }
  | { readonly type: "tell-group"; readonly order: GroupOrder }
  | { readonly type: "report"; readonly report: Report };

/** `regular`: the timer's; a beacon thread may have sent it already. */
export type AdvertKind = "regular" | "extra" | "farewell";

export interface Step {
  readonly state: State;
  /** In the order they must be performed. */
  readonly actions: readonly Action[];
}

/**
 * One step of a virtual router. Pure: no clock, no socket, no log. RFC 9568 §6.4, and keepalived's conduct where it
 * differs; ours where `Router.conduct` says so.
 */
export function step(standing: Standing, state: State, event: Event): Step {
  switch (state.name) {
    case "initialize":
      return stepInitialize(standing, state, event);
    case "backup":
      return stepBackup(standing, state, event);
    case "master":
      return stepMaster(standing, state, event);
    case "fault":
      return stepFault(standing, state, event);
  }
}
