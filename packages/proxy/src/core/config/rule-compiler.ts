import { type LineCompiler, noCompiler } from "./compiler.ts";
import type { Reading } from "./reading.ts";

/** Compiles rules and conditions of a configuration as they are read. */
export function createLineCompiler(_reading: Omit<Reading, "compiler">): LineCompiler {
  return noCompiler;
}
