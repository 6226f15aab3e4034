import type { Condition } from "./condition.ts";

/** Named ACLs of a section: several lines of one name are alternatives. Filled by `defineAcl`. */
export type NamedAcls = Map<string, NamedAcl>;

export interface NamedAcl {
  readonly name: string;
  /** One for each line. */
  readonly alternatives: Condition[];
  /** `AT_` bits of the places where at least one alternative can be decided. */
  at: number;
}
