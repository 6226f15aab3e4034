import { formatAddress } from "@ha/base";
import { type Endpoint, NONE } from "../../core/transaction.ts";
import type { ClientEnd } from "../data-plane.ts";
import type { Worker } from "../worker.ts";

/** One line of `show sess`. */
export interface SessionView {
  /** Number of the session in its thread, and the thread: together its name. */
  readonly session: number;
  readonly thread: number;
  readonly source: string;
  readonly frontend: string;
  readonly backend: string;
  readonly server: string;
  readonly ageSeconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly transactions: number;
}

export function describeSession(worker: Worker, thread: number, client: ClientEnd): SessionView {
  const { plane, world } = worker;
  const { session, transaction, connection } = client;
  const backend = transaction === undefined ? NONE : transaction.backend;
  const runtime = backend === NONE ? undefined : plane.proxies[backend];
  const server = transaction === undefined ? NONE : transaction.server;
  return {
    session: session.id,
    thread,
    source: endpointText(session.source),
    frontend: world.proxies[session.frontend]?.name ?? "",
    backend: runtime?.backend === undefined ? "<NONE>" : runtime.name,
    server: runtime?.backend?.config.servers[server]?.name ?? "<none>",
    ageSeconds: Math.max(0, Math.floor((plane.ring.wallTime - session.acceptedAt) / 1000)),
    bytesIn: connection.bytesIn,
    bytesOut: connection.bytesOut,
    transactions: session.transactions,
  };
}

function endpointText({ family, address, port }: Endpoint): string {
  if (family === 0) return "unix:1";
  const bytes = address.slice(0, family === 4 ? 4 : 16);
  const text = formatAddress({ family, bytes });
  return family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}

/** The name by which `shutdown session` finds it: thread and number in one, as HAProxy shows an address. */
export function sessionName({ thread, session }: SessionView): string {
  return `0x${(thread * 2 ** 40 + session).toString(16)}`;
}

export function parseSessionName(text: string): { thread: number; session: number } | undefined {
  if (!/^0x[0-9a-f]{1,13}$/i.test(text)) return undefined;
  const number = Number(text);
  return { thread: Math.floor(number / 2 ** 40), session: number % 2 ** 40 };
}
