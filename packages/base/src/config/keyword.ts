// By name from the small edition: what is not named here, 64 languages among it, then stays out of a bundle.
import { custom, NEVER, pipe, transform, type ZodMiniType } from "zod/mini";

/** Turns the words after a keyword into its value. */
export type Schema<T> = ZodMiniType<T, readonly string[]>;

/**
 * One entry of a keyword table. Reader, checks, reference page, dump and "did you mean" all derive from it, so that a
 * keyword is added or changed in one place.
 */
export interface Keyword<T> {
  /** How it is written, as manual pages do: `priority <1-255>`. */
  readonly syntax: string;
  /** Says what is right, in words (`must be a whole number from 1 to 255`); messages are made of it. */
  readonly schema: Schema<T>;
  /** The value when the keyword is not written; undefined where something else decides, which `doc` names. */
  readonly default?: T;
  readonly doc: string;
  /** Where the meaning comes from: a manual page, an RFC section, an observation. */
  readonly source: string;
  /** What a changed value costs on reload: nothing, or a new start of what the block describes. */
  readonly reload: "live" | "restart";
}

/** The typed values that a table describes; undefined where a keyword was not written. */
export type Values<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Keyword<infer T> ? T | undefined : never;
};

/**
 * A schema from a function over the words. The function returns the value, or reports what would have been right and
 * returns undefined. It is called once a statement; nothing else of zod runs, which keeps a thousand instances cheap.
 */
export function reader<T>(
  read: (words: readonly string[], problem: (message: string) => undefined) => T | undefined,
): Schema<T> {
  return pipe(
    custom<readonly string[]>((words) => Array.isArray(words)),
    transform((words: readonly string[], context): T => {
      const problem = (message: string): undefined => {
        context.issues.push({ code: "custom", message, input: words });
      };
      const value = read(words, problem);
      if (value !== undefined) return value;
      if (context.issues.length === 0) problem("is not understood");
      return NEVER;
    }),
  );
}
