import type { VrrpView } from "@ha/base/pair-line";
import type { DataPlane } from "../data-plane.ts";
import { ThreadDrain } from "./drain.ts";

/** What one thread has to do with the VRRP daemon beside it. */
export class ThreadPair {
  readonly drain: ThreadDrain;
  /** For the statistics page; undefined where there is no VRRP daemon. */
  view: VrrpView | undefined = undefined;

  constructor(plane: DataPlane) {
    this.drain = new ThreadDrain(plane);
  }
}
