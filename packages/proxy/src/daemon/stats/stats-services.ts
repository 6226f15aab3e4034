import type { Worker } from "../worker.ts";
import type { StatsOrder } from "./stats-order.ts";
import type { StatsView } from "./stats-view.ts";

/** Puts the stats pages and `use-service prometheus-exporter` into a thread. */
export function installServices(
  _worker: Worker,
  _view: StatsView,
  _send: (order: StatsOrder) => void,
): void {}
