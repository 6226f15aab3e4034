import type { IpAddress, Micros } from "@ha/base";
import type { FaultReason, LeaveCause, StateName } from "./state.ts";
import type { RefusalReason } from "./statistics.ts";

/**
 * What a virtual router has to tell, as values: the daemon turns them into log lines, notify scripts, FIFO lines,
 * journal entries and metrics.
 */
export type Report =
  /** The addresses are in place (or gone) when it is told. */
  | {
      readonly type: "state";
      readonly from: StateName;
      readonly to: StateName;
      readonly why: TransitionReason;
    }
  /** Priority 0 is on the wire; still master, with addresses, until `left` or `took-back`. */
  | { readonly type: "leaving"; readonly cause: LeaveCause; readonly waitAtMost: Micros }
  /** The addresses go in `after`; with use_vmac, which both hosts have, our egress from it must stop now. */
  | { readonly type: "winner-heard"; readonly winner: IpAddress; readonly after: Micros }
  /** `winner` is undefined when nobody came. A state report follows. */
  | { readonly type: "left"; readonly cause: LeaveCause; readonly winner: IpAddress | undefined }
  /** A switchover nobody answered, or a fault that passed while leaving: master as before. */
  | { readonly type: "took-back"; readonly cause: LeaveCause }
  | { readonly type: "effective-priority"; readonly from: number; readonly to: number }
  /** Priority 0 and the lowered priority are on the wire. */
  | { readonly type: "resigned"; readonly priority: number }
  | { readonly type: "fault"; readonly reasons: readonly FaultReason[] }
  /**
   * A packet was refused. `first` is true for the first of its kind since the state or the master last changed: log
   * those, count the rest (`Statistics` has).
   */
  | {
      readonly type: "refused";
      readonly reason: RefusalReason;
      readonly from: IpAddress;
      readonly first: boolean;
    }
  /** Accepted all the same. Told once for each master. */
  | { readonly type: "addresses-differ"; readonly from: IpAddress }
  /** Version 3: the master's interval is not ours; adopted. Told once for each value. */
  | { readonly type: "interval-adopted"; readonly from: IpAddress; readonly interval: Micros }
  /** Another master that we beat: `MASTER_RX_LOWER_PRI`. */
  | {
      readonly type: "lower-priority-advert";
      readonly from: IpAddress;
      readonly priority: number;
    }
  /** Two routers claim to own the addresses (255). The lower address falls to 254 while the other is heard. */
  | { readonly type: "two-owners"; readonly from: IpAddress; readonly yielded: boolean }
  /** A new master is followed. */
  | { readonly type: "master-changed"; readonly master: IpAddress; readonly priority: number }
  /** While master: another one speaks, or answers for our addresses. Told once until it is over. */
  | { readonly type: "split-brain"; readonly evidence: SplitEvidence }
  | { readonly type: "split-brain-over" }
  /** Woke so much later than the timer said. Above its own down timer a router listens before it speaks. */
  | { readonly type: "late"; readonly by: Micros; readonly listens: boolean }
  | { readonly type: "address-restored"; readonly address: IpAddress | undefined }
  /** Removed again and again: restoring pauses until the window is over. */
  | { readonly type: "address-flapping"; readonly restored: number; readonly window: Micros }
  | { readonly type: "witness-unreachable" }
  /** The down timer is over but another member of the sync group does not want to be master. */
  | { readonly type: "held-by-group" };

export type TransitionReason =
  | "startup"
  | "resumed"
  | "owner"
  | "master-down"
  | "master-left"
  | "higher-priority"
  | "two-owners"
  | "fault"
  | "recovered"
  | "shutdown"
  | "switchover"
  | "sync-group"
  | "pause"
  | "address-removed";

export type SplitEvidence =
  /** A master with a lower claim, that we hear and that should hear us. */
  | { readonly type: "advert"; readonly from: IpAddress; readonly priority: number }
  /** Adverts of this virtual router that we must refuse while master. */
  | { readonly type: "refused"; readonly from: IpAddress; readonly reason: RefusalReason }
  /** Another hardware address answers for a virtual address. */
  | { readonly type: "address"; readonly address: IpAddress; readonly mac: Uint8Array };
