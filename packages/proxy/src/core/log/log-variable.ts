import type { CompileContext } from "../sample/compile-context.ts";
import type { LogFlags, LogFormatOptions, Writer } from "./log-format.ts";

/** One entry makes a `%name` known to log formats, the docs and "did you mean". */
export interface VariableWriter {
  readonly name: string;
  readonly doc: string;
  readonly source: string;
  /** Writes nothing at all, not even a dash, where there is nothing of it. */
  readonly mayBeAbsent?: boolean;
  readonly compile: (context: CompileContext, flags: LogFlags, options: LogFormatOptions) => Writer;
}

const SOURCE = "HAProxy configuration manual §8.2.6";

/** An entry of the manual's table. */
export function withContext(
  name: string,
  doc: string,
  compile: VariableWriter["compile"],
): VariableWriter {
  return { name, doc, source: SOURCE, compile };
}
