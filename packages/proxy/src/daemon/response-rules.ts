import { type Rule, type RuleProgress, runRules, type Verdict } from "../core/rule/rule.ts";
import type { Transaction } from "../core/transaction.ts";
import type { FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";

/** Whose rules look at a response. */
interface ResponseSides {
  readonly transaction: Transaction;
  readonly frontend: ProxyRuntime;
  readonly backend: ProxyRuntime;
}

const progress: RuleProgress = { next: 0 };

/**
 * Runs what looks at a server's answer: persistence and captures, then rules of the backend, of the frontend, and
 * those after the response. Undefined: the answer may go out.
 */
export function runResponseRules(sides: ResponseSides): Verdict | undefined {
  const { backend, frontend, transaction } = sides;
  if (backend.backend?.persistResponse?.(transaction) === false) return { type: "internal-error" };
  (frontend.frontend as FrontendRuntime).captureResponse?.(transaction);
  const verdict =
    run(backend.rules.responseContent, transaction) ??
    run(backend.rules.response, transaction) ??
    (frontend === backend ? undefined : run(frontend.rules.response, transaction));
  if (verdict !== undefined) return verdict;
  runAfterResponse(sides);
  return undefined;
}

/** Runs `http-after-response` rules: they see every answer, our own ones too. */
export function runAfterResponse({ backend, frontend, transaction }: ResponseSides): void {
  run(backend.rules.afterResponse, transaction);
  if (frontend !== backend) run(frontend.rules.afterResponse, transaction);
}

function run(rules: readonly Rule[], transaction: Transaction): Verdict | undefined {
  if (rules.length === 0) return undefined;
  progress.next = 0;
  const verdict = runRules(rules, transaction, progress);
  return verdict.type === "continue" || verdict.type === "final" ? undefined : verdict;
}
