import { type Micros, micros } from "@ha/base";
import type { Applied } from "../core/index.ts";
import { now } from "./namespaces/wall-clock.ts";

/** A fault in force since `at`, whose undo takes effect when it is begun. */
export function undoing(at: Micros, undo: () => Promise<unknown>): Applied {
  return {
    at,
    undo: async () => {
      const time = micros(now());
      await undo();
      return time;
    },
  };
}
