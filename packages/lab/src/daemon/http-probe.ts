import process from "node:process";
import { micros } from "@ha/base";
import type { AnswerEvent, Running } from "../core/index.ts";
import type { Host } from "./namespaces/host.ts";
import { followProbe, PROBE_CLIENT } from "./prober.ts";

/** A client that asks an address by HTTP, and what became of each of its requests. */
export interface HttpProbe extends Running {
  /** In the order in which they ended. Times are microseconds since 1970. */
  readonly answers: readonly AnswerEvent[];
}

/** How a client asks. */
export interface HttpProbePlan {
  readonly address: string;
  readonly everyMs: number;
  /** After that a request has failed. */
  readonly timeoutMs: number;
  /** Connections are kept for further requests. */
  readonly keepAlive: boolean;
}

/** Asks from a host made of namespaces, until it is stopped. */
export function startHttpProbe(host: Host, plan: HttpProbePlan): HttpProbe {
  const { address, ...rest } = plan;
  const argument = JSON.stringify({ host: address, port: 80, path: "/", ...rest });
  const child = host.spawnBeside(process.execPath, [PROBE_CLIENT, argument]);
  child.stderr.resume();
  const answers: AnswerEvent[] = [];
  const probe = { id: "clients", from: host.name };
  const running = followProbe(
    child,
    probe,
    (seen) => {
      if (seen.kind === "answer") answers.push(seen);
    },
    micros,
  );
  return { answers, stop: () => running.stop() };
}
