import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

/** One finished test of one file, as a line of JSON between `test-reporter` and `test`. */
export interface TestResult {
  readonly outcome: "passed" | "failed" | "skipped";
  /** Names from the outermost suite or test down to this one. */
  readonly path: readonly string[];
  readonly milliseconds: number;
  /** Why it was skipped, or how it failed. */
  readonly detail: string;
}

/**
 * A reporter for `node --test-reporter`: a line of JSON for each test, none for a suite that passed. TAP would carry
 * the same, but its nested form has to be parsed by indentation.
 */
export default async function* testReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  const path: string[] = [];
  for await (const event of source) {
    if (event.type === "test:start") {
      path.length = event.data.nesting;
      path.push(event.data.name);
    } else if (event.type === "test:pass" || event.type === "test:fail") {
      const result = readResult(event, path);
      if (result !== undefined) yield `${JSON.stringify(result)}\n`;
    }
  }
}

type Finished = Extract<TestEvent, { type: "test:pass" | "test:fail" }>;

function readResult({ type, data }: Finished, path: readonly string[]): TestResult | undefined {
  const at = [...path.slice(0, data.nesting), data.name];
  const milliseconds = data.details.duration_ms;
  const reason = data.skip ?? data.todo;
  if (reason !== undefined && reason !== false) {
    const detail = typeof reason === "string" && reason !== "" ? reason : "no reason given";
    return { outcome: "skipped", path: at, milliseconds, detail };
  }
  if (type === "test:pass") {
    if (data.details.type === "suite") return undefined;
    return { outcome: "passed", path: at, milliseconds, detail: "" };
  }
  const { error } = data.details;
  // The failure of a suite or of a parent only repeats that of its children.
  if (isWrapped(error, "subtestsFailed")) return undefined;
  const cause = error.cause ?? error;
  return { outcome: "failed", path: at, milliseconds, detail: inspect(cause, { depth: 4 }) };
}

function isWrapped(error: Error, failureType: string): boolean {
  return "failureType" in error && error.failureType === failureType;
}
