import { PASS } from "../condition/condition.ts";
import { CONTINUE, REJECT, type Rule } from "./rule.ts";

/** First port that needs no rights. */
const FIRST_FREE = 1024;

/**
 * `harden.reject-privileged-ports.tcp`: connections from ports that only systems give away are reflections, or mean
 * harm. The first of a frontend's connection rules. HAProxy configuration manual (3.0 and later) §3.1.
 */
export function privilegedPorts(at: Rule["at"]): Rule {
  return {
    at,
    condition: () => PASS,
    action: ({ session: { source } }) =>
      source.family !== 0 && source.port > 0 && source.port < FIRST_FREE ? REJECT : CONTINUE,
  };
}
