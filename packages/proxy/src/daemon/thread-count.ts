import { availableParallelism } from "node:os";
import type { Config } from "../core/config/model.ts";

/** `nbthread`: the given number, or one for each CPU we may use, up to `thread-hard-limit`. */
export function threadCount({ global }: Pick<Config, "global">): number {
  const { nbthread, threadHardLimit } = global;
  if (nbthread !== undefined) return nbthread;
  return Math.max(1, Math.min(availableParallelism(), threadHardLimit || Number.POSITIVE_INFINITY));
}
