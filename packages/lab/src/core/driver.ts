import type { Micros } from "@ha/base";
import type { PairPlan, ProbePlan } from "./drill.ts";
import type { Fault, Need } from "./fault.ts";
import type { Observation } from "./history.ts";
import type { Inventory } from "./inventory.ts";
import type { Programs } from "./programs.ts";

/** A fault in force. */
export interface Applied {
  /** When it took effect, by the clock of `Driver.now`, taken where it happened. */
  readonly at: Micros;
  /** Takes it back; when that took effect. Called once. Must also work when the fault has ended by itself. */
  undo(): Promise<Micros>;
}

/** Something that runs until it is stopped. */
export interface Running {
  /** Everything that it has to report has been reported when this resolves. */
  stop(): Promise<void>;
}

/**
 * What knows how, where a drill knows what. One driver is one lab that stands; drills run on it one after the other.
 * Every method may reject with an `Error` that says what could not be done: the drill is then INCONCLUSIVE, and its
 * faults are undone.
 */
export interface Driver {
  readonly name: "netns" | "vagrant";
  readonly inventory: Inventory;
  /** Microseconds since 1970: the clock of all times that the driver reports. */
  now(): Micros;
  wait(duration: Micros): Promise<void>;
  /** Why a need of a drill is not met, in a few words; undefined when it is. */
  lacks(need: Need, programs: Programs): string | undefined;
  /**
   * Both balancers freshly started with these programs and this plan, web servers and links in order, nothing left of an
   * earlier drill. Does not wait for a master. The plan as it is in force comes back: machines may be too slow for its
   * advert interval.
   */
  prepare(plan: PairPlan, programs: Programs): Promise<PairPlan>;
  /** Reports holders (those of now at once), states and log lines until it is stopped. */
  follow(report: (seen: Observation) => void): Promise<Running>;
  /** Sends requests and reports each as it ends, and stalls of the prober. */
  probe(plan: ProbePlan, report: (seen: Observation) => void): Promise<Running>;
  apply(fault: Fault): Promise<Applied>;
  /** Writes what it has recorded since `prepare` (logs, capture) into a folder that exists. */
  keep(folder: string): Promise<void>;
}
