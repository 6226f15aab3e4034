import { PRIORITY_OWNER } from "./router.ts";
import type { FaultReason } from "./state.ts";

/** What a tracker knows of its object. A script that has not ended yet is `unknown`. */
export type TrackerState = "up" | "down" | "unknown";

/** One thing that an instance tracks, and what it counts. Weights of files multiply with the number in them. */
export interface Tracker {
  readonly name: string;
  readonly state: TrackerState;
  /** −253–253; 0: down (or up, reversed) is a fault. The tracking line's own, else the tracker's. */
  readonly weight: number;
  readonly reverse: boolean;
  /** `track_file` only: the number in the file, which counts in place of up and down. */
  readonly value?: number;
  /** It is a proxy that is kept running: what its name is about. */
  readonly proxy?: true;
}

export interface TrackingResult {
  /** 1–254, or 255 for an owner. */
  readonly priority: number;
  readonly faults: readonly FaultReason[];
}

/**
 * Effective priority and faults. keepalived.conf(5), vrrp_instance; observed: keepalived 2.4.3.
 *
 * | weight | up | down | reversed |
 * |---|---|---|---|
 * | > 0 | + weight | 0 | − weight when up |
 * | < 0 | 0 | weight | − weight when down |
 * | 0 | – | fault | fault when up |
 *
 * The sum is kept within 1–254; an owner's priority never changes.
 */
export function trackingResult(base: number, trackers: readonly Tracker[]): TrackingResult {
  let total = base;
  const faults: FaultReason[] = [];
  for (const tracker of trackers) {
    const fault = faultOf(tracker);
    if (fault !== undefined) faults.push(fault);
    else total += contribution(tracker);
  }
  const priority = base === PRIORITY_OWNER ? base : Math.min(254, Math.max(1, total));
  return { priority, faults };
}

/** What a tracker adds to the priority at this moment. */
export function contribution({ state, weight, reverse, value }: Tracker): number {
  if (weight === 0) return 0;
  const sign = reverse ? -1 : 1;
  if (value !== undefined) return Math.min(FILE_LIMIT, sign * weight * value);
  if (state === "unknown") return 0;
  const counts = weight > 0 ? state === "up" : state === "down";
  return counts ? sign * weight : 0;
}

function faultOf(tracker: Tracker): FaultReason | undefined {
  const { name, state, weight, reverse, value } = tracker;
  if (value !== undefined) {
    const sign = reverse ? -1 : 1;
    const bad = weight === 0 ? (value !== 0) !== reverse : sign * weight * value <= -FILE_LIMIT;
    return bad ? { type: "tracker", tracker: name } : undefined;
  }
  if (weight !== 0) return undefined;
  if (state === "unknown") return { type: "not-checked-yet", tracker: name };
  return state === (reverse ? "up" : "down") ? { type: "tracker", tracker: name } : undefined;
}

/**
 * The trackers that count for a member of a sync group: its own with a weight are left out, since a group has one mind,
 * unless `sync_group_tracking_weight`; those of the group count for all, without weight if a member is an owner.
 */
export function trackersInGroup(
  own: readonly Tracker[],
  group: {
    readonly trackers: readonly Tracker[];
    readonly trackingWeight: boolean;
    readonly hasOwner: boolean;
  },
): readonly Tracker[] {
  const kept = group.trackingWeight
    ? own
    : own.flatMap((tracker) => {
        if (tracker.weight === 0) return [tracker];
        // A file's default weight of 1 is no wish for a weight: it becomes 0.
        return tracker.value !== undefined && tracker.weight === 1
          ? [{ ...tracker, weight: 0 }]
          : [];
      });
  const shared = group.hasOwner
    ? group.trackers.map((tracker) => ({ ...tracker, weight: 0 }))
    : group.trackers;
  return [...kept, ...shared];
}

/** Script results over time: `rise` and `fall`. keepalived.conf(5), vrrp_script. */
export interface Checked {
  readonly state: TrackerState;
  /** Results in a row that speak against `state`. */
  readonly contrary: number;
}

/** Before the first result. With `init_fail` it begins as failed and needs `rise` successes. */
export function uncheckedTracker({ initFail }: { readonly initFail: boolean }): Checked {
  return { state: initFail ? "down" : "unknown", contrary: 0 };
}

/** The first result counts at once, whatever `rise` and `fall` say (observed: keepalived 2.2.7). */
export function checked(
  before: Checked,
  success: boolean,
  { rise, fall }: { readonly rise: number; readonly fall: number },
): Checked {
  const result: TrackerState = success ? "up" : "down";
  if (before.state === "unknown") return { state: result, contrary: 0 };
  if (before.state === result) return before.contrary === 0 ? before : { ...before, contrary: 0 };
  const contrary = before.contrary + 1;
  return contrary >= (success ? rise : fall)
    ? { state: result, contrary: 0 }
    : { ...before, contrary };
}

/** A file that says −254 or less is a fault. */
const FILE_LIMIT = 254;
