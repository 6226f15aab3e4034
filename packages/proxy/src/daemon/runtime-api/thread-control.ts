import type { VrrpView } from "@ha/base/pair-line";
import type { SocketAddress } from "../../core/config/address-model.ts";
import type { PatternList } from "../../core/map/pattern-store.ts";
import * as stat from "../../core/statistics.ts";
import { STAT_FIELDS } from "../../core/statistics.ts";
import type { DrainCount } from "../pair/drain.ts";
import { placeKey } from "../tls/tls-share.ts";
import type { Worker } from "../worker.ts";
import type { RingLine } from "./observing-commands.ts";
import { describeSession, type SessionView } from "./session-view.ts";

/** What the runtime API asks of a thread: plain data, so that it travels. Each thread does it to its own. */
export type ThreadRequest =
  /** One change to the list of patterns with that id. */
  | { readonly kind: "patterns"; readonly list: number; readonly change: PatternChange }
  | {
      readonly kind: "server-address";
      readonly proxy: number;
      readonly server: number;
      readonly address: SocketAddress;
    }
  /** What `ProxyCounters` say of the frontend holds from here on. */
  | { readonly kind: "frontend"; readonly proxy: number }
  /** Limits were raised, or servers changed: what waits may go on. */
  | { readonly kind: "proceed" }
  | { readonly kind: "sessions" }
  | { readonly kind: "end-session"; readonly session: number }
  | { readonly kind: "end-server-sessions"; readonly proxy: number; readonly server: number }
  /** The client context of a server is another one from now on. */
  | {
      readonly kind: "server-tls";
      readonly proxy: number;
      readonly server: number;
      readonly context: number;
    }
  | { readonly kind: "clear-counters"; readonly all: boolean }
  /** Lines that a ring of the thread holds. */
  | { readonly kind: "ring-lines"; readonly ring: string }
  /** Of the VRRP daemon beside us: see `pair/`. */
  | { readonly kind: "drain"; readonly on: boolean; readonly addresses: readonly string[] }
  | { readonly kind: "drain-look"; readonly closeIdle: boolean }
  | { readonly kind: "cut"; readonly addresses: readonly string[] }
  | { readonly kind: "vrrp"; readonly view: VrrpView }
  /** Whether the thread still turns. */
  | { readonly kind: "beat" };

export type PatternChange =
  | {
      readonly type: "add";
      readonly key: string;
      readonly value: string | undefined;
      readonly version: number | undefined;
    }
  | { readonly type: "set"; readonly key: string | number; readonly value: string }
  | { readonly type: "delete"; readonly key: string | number }
  | { readonly type: "clear"; readonly version: number | undefined }
  | { readonly type: "prepare" }
  | { readonly type: "commit"; readonly version: number };

/** What a thread answers: sessions to "sessions", whether there was one to "end-session", how many to "cut", else nothing. */
export type ThreadAnswer =
  | readonly SessionView[]
  | readonly RingLine[]
  | DrainCount
  | boolean
  | number
  | undefined;

/** Every thread of the process, this one first. */
export interface ThreadFleet {
  ask(request: ThreadRequest): Promise<readonly ThreadAnswer[]>;
  /** As `ask`, but this thread has done it already. */
  tellOthers(request: ThreadRequest): void;
  /** When every thread has done all that was asked so far: an answer then tells the truth about all of them. */
  settled(): Promise<unknown>;
}

/** Does a request in this thread. */
export function performRequest(
  worker: Worker,
  thread: number,
  request: ThreadRequest,
): ThreadAnswer {
  const { plane, world, listeners } = worker;
  switch (request.kind) {
    case "patterns": {
      const list = world.patterns.lists.find(({ id }) => id === request.list);
      if (list !== undefined) applyPatternChange(list, request.change);
      return undefined;
    }
    case "server-address":
      plane.addresses.set(request.proxy, request.server, request.address);
      plane.proxies[request.proxy]?.backend?.pools[request.server]?.clear();
      return undefined;
    case "frontend": {
      const counters = world.proxies[request.proxy]?.counters;
      const binds = plane.proxies[request.proxy]?.frontend?.config.binds ?? [];
      for (const listener of listeners) {
        if (!binds.includes(listener.bind)) continue;
        if (counters?.isShutDown) listener.stop();
        else if (counters?.isPaused) listener.suspend();
        else listener.proceed();
      }
      return undefined;
    }
    case "proceed":
      for (const listener of listeners) listener.proceed();
      for (const { backend } of plane.proxies) backend?.dispatcher.wake();
      return undefined;
    case "sessions":
      return [...plane.clients].map((client) => describeSession(worker, thread, client));
    case "end-session": {
      for (const client of plane.clients) {
        if (client.session.id !== request.session) continue;
        client.kill();
        return true;
      }
      return false;
    }
    case "end-server-sessions":
      plane.leaveServer(request.proxy, request.server);
      return undefined;
    case "drain":
      if (request.on) worker.pair.drain.begin(request.addresses);
      else worker.pair.drain.end();
      return undefined;
    case "drain-look":
      return worker.pair.drain.look(request.closeIdle);
    case "cut":
      return worker.pair.drain.cut(request.addresses);
    case "vrrp":
      worker.pair.view = request.view;
      return undefined;
    case "beat":
      return undefined;
    case "ring-lines":
      return (worker.rings.get(request.ring)?.lines() ?? []).map(({ at, line }) => ({
        at,
        text: Buffer.from(line).toString("latin1"),
      }));
    case "server-tls":
      plane.tls.servers.set(placeKey(request.proxy, request.server), request.context);
      // What is connected and idle still has what was agreed before.
      plane.proxies[request.proxy]?.backend?.pools[request.server]?.clear();
      return undefined;
    case "clear-counters":
      clearCounters(plane.statistics.cells, request.all);
      return undefined;
  }
}

/** Most values, or everything but what tells of now. */
function clearCounters(cells: Float64Array, all: boolean): void {
  for (let at = 0; at < cells.length; at++) {
    const field = at % STAT_FIELDS;
    if (all ? !OF_NOW.has(field) : MOST.has(field)) cells[at] = 0;
  }
}

const OF_NOW: ReadonlySet<number> = new Set([
  stat.STAT_LASTSESS,
  stat.STAT_SCUR,
  stat.STAT_IDLE_CONN,
  stat.STAT_IDLE_PERCENT,
  stat.STAT_BYTES_RATE,
]);
const MOST: ReadonlySet<number> = new Set([
  stat.STAT_SMAX,
  stat.STAT_QMAX,
  stat.STAT_RATE_MAX,
  stat.STAT_REQ_RATE_MAX,
  stat.STAT_CONN_RATE_MAX,
  stat.STAT_QT_MAX,
  stat.STAT_CT_MAX,
  stat.STAT_RT_MAX,
  stat.STAT_TT_MAX,
]);

/** Gives what the list said: the caller in the first thread turns it into words. */
export function applyPatternChange(list: PatternList, change: PatternChange) {
  switch (change.type) {
    case "add":
      return list.add(change.key, change.value, change.version);
    case "set":
      return list.set(change.key, change.value);
    case "delete":
      return list.delete(change.key);
    case "clear":
      return list.clear(change.version);
    case "prepare":
      list.prepare();
      return undefined;
    case "commit":
      return list.commit(change.version);
  }
}
