import type { Socket } from "node:net";
import type { ProxyOrder, ProxyWord } from "@ha/base/pair-line";
import type { SourceFile } from "../core/config/preprocess.ts";
import type { BoundSocket } from "./bind-sockets.ts";

/** What a worker begins with: the text that its master has checked, and the sockets that its master holds. */
export interface WorkerStart {
  readonly type: "start";
  readonly files: readonly SourceFile[];
  /** Under the same numbers in both processes. */
  readonly sockets: readonly BoundSocket[];
  /** What TLS tickets are made with, in base64: the same for all workers of a master. */
  readonly ticketSecret: string;
}

/** From the master to a worker. */
export type MasterOrder =
  | WorkerStart
  /** Others serve the sockets now: finish what is under way. The retired ones are served by nobody else. */
  | { readonly type: "soft stop"; readonly retired: readonly number[] }
  /** Comes with a socket: a client of the master's CLI, for this worker's runtime API. */
  | { readonly type: "client" }
  /** What vrrpd ordered. */
  | { readonly type: "pair"; readonly order: ProxyOrder };

/** From a worker to its master. */
export type WorkerWord =
  /** It said this at start. For `show startup-logs`. */
  | { readonly type: "said"; readonly lines: readonly string[] }
  /** It accepts connections. */
  | { readonly type: "ready" }
  /** What vrrpd is to hear. */
  | { readonly type: "pair"; readonly word: ProxyWord };

/** Set for a worker. */
const VARIABLE = "LBPROXY_WORKER";

/** The environment that makes a process a worker; who waits for a start in the background waits for the master's word. */
export function workerEnvironment(): NodeJS.ProcessEnv {
  const { LBPROXY_BACKGROUND_FD: _, NOTIFY_SOCKET: __, ...rest } = process.env;
  return { ...rest, [VARIABLE]: "1" };
}

/** A worker's end of the line to its master. */
export interface MasterLink {
  readonly start: WorkerStart;
  said(lines: readonly string[]): void;
  ready(): void;
  /** Passes on what vrrpd is to hear. */
  pair(word: ProxyWord): void;
  /** Orders from now on. A master that is gone gives the order to stop softly. */
  listen(handlers: {
    /** @param retired Sockets that nobody else serves; undefined is all. */
    softStop(retired: readonly number[] | undefined): void;
    client(socket: Socket): void;
    /** vrrpd ordered that. */
    obey(order: ProxyOrder): void;
  }): void;
}

/** The line to our master; undefined when this process has none. */
export async function connectMaster(): Promise<MasterLink | undefined> {
  if (process.env[VARIABLE] === undefined || process.send === undefined) return undefined;
  delete process.env[VARIABLE];
  // Orders that come before somebody listens wait: the first may be to stop.
  const early: { readonly order: MasterOrder; readonly handle: unknown }[] = [];
  let obey = (order: MasterOrder, handle: unknown): void => void early.push({ order, handle });
  const start = await new Promise<WorkerStart>((resolve) => {
    process.on("message", (order: MasterOrder, handle: unknown) => {
      if (order.type === "start") resolve(order);
      else obey(order, handle);
    });
    // Without a master before the start there is nothing to do.
    process.once("disconnect", () => process.exit(1));
  });
  process.removeAllListeners("disconnect");
  const tell = (word: WorkerWord): void => {
    if (process.connected) process.send?.(word);
  };
  return {
    start,
    said: (lines) => tell({ type: "said", lines }),
    ready: () => tell({ type: "ready" }),
    pair: (word) => tell({ type: "pair", word }),
    listen: ({ softStop, client, obey: obeyPair }) => {
      obey = (order, handle) => {
        if (order.type === "soft stop") softStop(order.retired);
        else if (order.type === "pair") obeyPair(order.order);
        else if (order.type === "client" && handle !== undefined) client(handle as Socket);
      };
      for (const { order, handle } of early.splice(0)) obey(order, handle);
      process.once("disconnect", () => softStop(undefined));
      if (!process.connected) softStop(undefined);
    },
  };
}
