import type { Position } from "@ha/base";
import { type Condition, MISS, PASS } from "../condition/condition.ts";
import type { Token } from "../config/token.ts";
import type { CompileContext } from "../sample/compile-context.ts";
import type { Transaction } from "../transaction.ts";

/** The rulesets that take actions. `CONNECTION_RULESETS` run before there is a transaction of HTTP. */
export type ActionRuleset =
  | "tcp-request connection"
  | "tcp-request session"
  | "tcp-request content"
  | "tcp-response content"
  | "http-request"
  | "http-response"
  | "http-after-response";

/**
 * What the rule loop does next. `continue` goes on with the next rule; every other one ends the run. A verdict
 * of a kind that has no fields is a constant made once.
 */
export type Verdict =
  | { readonly type: "continue" }
  /** `allow`, `accept`: no further rule of this ruleset. */
  | { readonly type: "final" }
  /** The answer is in `transaction.reply`; the request ends. */
  | {
      readonly type: "respond";
      readonly status: number;
      readonly by: "deny" | "return" | "redirect" | "auth";
    }
  /** As `respond` with the status of `transaction.reply`, after `timeout tarpit` (else connect); the client may leave meanwhile. */
  | { readonly type: "tarpit"; readonly status: number }
  /** `reject` closes; `silent` also forgets the connection without a word to the client (`silent-drop`). */
  | { readonly type: "close"; readonly silent: boolean }
  /** A condition needs more bytes (or the end of `inspect-delay`): run again (`progress.next` is this rule). */
  | { readonly type: "more" }
  /** Wait for the body; then run on. `at most` that long, or until so many bytes (0: all). */
  | { readonly type: "wait-body"; readonly milliseconds: number; readonly atLeast: number }
  /** `wait-for-handshake`: till the TLS handshake is over (early data). Run on. */
  | { readonly type: "wait-handshake" }
  /** `pause`: run on after that long. */
  | { readonly type: "pause"; readonly milliseconds: number }
  /** `use-service`: the named one answers. */
  | { readonly type: "service"; readonly name: string }
  /** `tcp-request content switch-mode http`; `proto` undefined lets the bytes say. */
  | { readonly type: "switch-http"; readonly proto: string | undefined }
  /** A PROXY protocol (or NetScaler CIP) header must come first. Connection rules only. */
  | { readonly type: "expect"; readonly header: "proxy" | "netscaler-cip" }
  /** `tcp-response content close`: the server side closes. */
  | { readonly type: "close-server" }
  /** A rule could not do its work (no room for a header, `strict-mode on`): 500. */
  | { readonly type: "internal-error" };

export const CONTINUE: Verdict = { type: "continue" };
export const FINAL: Verdict = { type: "final" };
export const MORE: Verdict = { type: "more" };
export const REJECT: Verdict = { type: "close", silent: false };
export const SILENT_DROP: Verdict = { type: "close", silent: true };
export const INTERNAL_ERROR: Verdict = { type: "internal-error" };

export type Action = (transaction: Transaction) => Verdict;

/** One compiled line. */
export interface Rule {
  readonly condition: Condition;
  readonly action: Action;
  /** Of its line, for `last_rule_file`, `last_rule_line` and `show`. */
  readonly at: Position;
}

/** One entry makes an action known to the parser, the rule loop, `-c`, the docs and the dump. */
export interface ActionKeyword {
  readonly name: string;
  readonly rulesets: readonly ActionRuleset[];
  /** As in the manual, from the action's name on. */
  readonly syntax: string;
  readonly doc: string;
  readonly source: string;
  /** Whether words follow `(` directly after the name: `set-var(txn.x)`. The inner text is the first argument. */
  readonly parenthesis?: boolean;
  /**
   * Compiles the arguments, without the condition, once at load. Returns undefined after reporting why not.
   * @param head The action's own word, for messages.
   */
  readonly compile: (
    args: readonly Token[],
    context: CompileContext,
    head: Token,
  ) => Action | undefined;
}

/**
 * Runs one ruleset from rule `from`. The only place that knows how rules follow on each other. On a verdict
 * other than `continue`, `final` and the closing ones, run again with `from` what `progress.next` says.
 *
 * @param inspecting Whether a condition that needs more bytes may wait (`tcp-request content` within
 *   `inspect-delay`, and the peer has not ended); else it is false.
 */
export function runRules(
  rules: readonly Rule[],
  transaction: Transaction,
  progress: RuleProgress,
  inspecting = false,
): Verdict {
  transaction.inspecting = inspecting;
  for (let at = progress.next; at < rules.length; at++) {
    const rule = rules[at] as Rule;
    const result = rule.condition(transaction);
    if (result !== PASS) {
      if (result !== MISS || !inspecting) continue;
      progress.next = at;
      return MORE;
    }
    const verdict = rule.action(transaction);
    if (verdict === CONTINUE) continue;
    progress.next = verdict === MORE ? at : at + 1;
    if (verdict === MORE && !inspecting) continue;
    transaction.lastRule = rule.at;
    return verdict;
  }
  progress.next = rules.length;
  return CONTINUE;
}

/** Where a ruleset that waits goes on: one for each ruleset that is under way. `next` is 0 before the start. */
export interface RuleProgress {
  next: number;
}
