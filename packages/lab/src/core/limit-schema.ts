import { z } from "zod";
import { type Limit, parseLimit } from "./limit.ts";

/** A duration of the drill's file. */
export const limit = z.string().transform((text, context): Limit => {
  const read = parseLimit(text);
  if (read.ok) return read.value;
  context.addIssue({ code: "custom", message: read.error });
  return z.NEVER;
});

/**
 * A limit that differs by program: `{ours: 100ms, keepalived: skew + 50ms}`. `any`: not judged. Of keepalived's and
 * HAProxy's the longer one holds when both run.
 */
export const programLimit = z.union([
  limit,
  z.strictObject({
    ours: limit,
    keepalived: z.union([z.literal("any"), limit]).optional(),
    haproxy: z.union([z.literal("any"), limit]).optional(),
  }),
]);

export type ProgramLimit = z.output<typeof programLimit>;

/** A number that differs by program, as `programLimit`. */
export const programCount = z.union([
  z.int().min(0),
  z.strictObject({
    ours: z.int().min(0),
    keepalived: z.union([z.literal("any"), z.int().min(0)]).optional(),
    haproxy: z.union([z.literal("any"), z.int().min(0)]).optional(),
  }),
]);

export type ProgramCount = z.output<typeof programCount>;
