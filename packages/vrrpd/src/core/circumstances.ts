import type { IpAddress } from "@ha/base";
import type { FaultReason } from "./state.ts";

/** What trackers and the interface make of a router. */
export interface Circumstances {
  /** Effective priority, 1–255: see `effectivePriority`. */
  readonly priority: number;
  /** Source of the adverts; undefined while there is none, which is also a fault to be named in `faults`. */
  readonly source: IpAddress | undefined;
  /** Why it may not be master; empty: nothing. Those of other members of the sync group are added by itself. */
  readonly faults: readonly FaultReason[];
  /** The interface carries packets. */
  readonly linkUp: boolean;
}

export function sameFaults(a: readonly FaultReason[], b: readonly FaultReason[]): boolean {
  return a.length === b.length && a.every((fault, i) => sameFault(fault, b[i]));
}

function sameFault(a: FaultReason, b: FaultReason | undefined): boolean {
  if (a.type !== b?.type) return false;
  return JSON.stringify(a) === JSON.stringify(b);
}
