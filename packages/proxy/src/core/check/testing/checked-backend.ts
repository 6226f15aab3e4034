import { readConfig } from "../../config/load.ts";
import { memoryConfigHost } from "../../config/memory-host.ts";
import type { Config } from "../../config/model.ts";
import type { Backend } from "../../config/proxy-model.ts";
import { AT_CHECK } from "../../sample/compile-context.ts";
import {
  createTestWorld,
  findings,
  testContext,
  testTransaction,
} from "../../sample/testing/index.ts";
import type { CheckPlan, CheckScope } from "../check-plan.ts";
import { type CheckCommand, CheckRun, type Finding } from "../check-run.ts";
import { compileCheck } from "../compile-check.ts";

/** The configuration that a text says. Throws what was found wrong. */
export function configOf(text: string, files: Readonly<Record<string, string>> = {}): Config {
  const { config, findings: found } = readConfig([{ name: "test.cfg", text }], {
    host: memoryConfigHost(files),
    environment: new Map(),
    commandLine: { maxconn: undefined, ignoreUnresolved: false },
    noServerVerify: false,
    diagnosticMode: false,
    version: "3.5",
    features: new Map(),
    enabled: new Set(),
    sslLibrary: "OpenSSL 3.0.0",
  }).finish();
  if (config === undefined) throw new Error(found.list.map(({ message }) => message).join("\n"));
  return config;
}

/** A backend with the lines, and a server that is checked. */
export function backendOf(
  lines: readonly string[],
  server = "server s 192.0.2.1:80 check",
  files: Readonly<Record<string, string>> = {},
): Backend {
  const text = [
    "global",
    "  external-check",
    "  insecure-fork-wanted",
    "backend b",
    ...[...lines, server].map((line) => `  ${line}`),
    "",
  ].join("\n");
  const [backend] = configOf(text, files).backends;
  if (backend === undefined) throw new Error("no backend");
  return backend;
}

/** The plan of a backend with the lines. Throws what was found wrong. */
export function planOf(lines: readonly string[]): CheckPlan {
  const context = testContext(createTestWorld(), AT_CHECK, "check");
  const plan = compileCheck(backendOf(lines), context);
  const found = findings(context);
  if (found.length > 0) throw new Error(found.join("\n"));
  if (plan === undefined) throw new Error("no plan");
  return plan;
}

/** A scope over a transaction of its own. */
export function testScope(state = "UP; name=b/s"): CheckScope {
  const transaction = testTransaction("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  return { answer: "", transaction: () => transaction, stateHeader: () => state };
}

/** One thing that happens to a check's connection; a text is bytes that come. */
export type CheckMoment = "connected" | "end" | "timeout" | { readonly error: string } | string;

/** What a check asked, and how it ended; undefined: it still waits. */
export function playCheck(
  plan: CheckPlan,
  moments: readonly CheckMoment[],
  { isUp = true, scope = testScope() } = {},
): { readonly sent: string[]; readonly result: Finding | undefined } {
  const run = new CheckRun(plan, scope, isUp);
  const sent: string[] = [];
  let result: Finding | undefined;
  let hasConnected = false;
  const obey = (first: CheckCommand): void => {
    let command = first;
    while (command.type === "send") {
      sent.push(command.text);
      command = run.next();
    }
    if (command.type === "done") result = command.result;
  };
  obey(run.next());
  for (const moment of moments) {
    if (result !== undefined) break;
    const phase = hasConnected ? "talk" : "connect";
    if (moment === "connected") {
      hasConnected = true;
      obey(run.connected(false));
    } else if (moment === "timeout") result = run.timedOut(phase);
    else if (typeof moment === "object") result = run.failed(phase, moment.error);
    else obey(run.received(moment === "end" ? "" : moment, moment === "end"));
  }
  return { sent, result };
}
