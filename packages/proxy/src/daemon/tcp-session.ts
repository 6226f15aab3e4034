import { NO_BUFFER } from "@ha/linux/ring";
import { type RuleProgress, runRules, type Verdict } from "../core/rule/rule.ts";
import * as stat from "../core/statistics.ts";
import {
  CAUSE_CLIENT_ABORT,
  CAUSE_DOWN,
  CAUSE_KILLED,
  CAUSE_NONE,
  CAUSE_PROXY,
  CAUSE_SERVER_ABORT,
  NONE,
  PHASE_CONNECT,
  PHASE_DATA,
  PHASE_NONE,
  PHASE_QUEUE,
  PHASE_REQUEST,
  type Session,
  TIME_ACCEPT,
  TIME_CONNECTED,
  TIME_END,
  type Transaction,
} from "../core/transaction.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { ClientEnd, DataPlane, SessionHost } from "./data-plane.ts";
import { statisticsOfEnd } from "./exchange-statistics.ts";
import type { BackendRuntime, FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";
import { LEASE_NONE, LEASE_QUEUED, type LeaseOwner, ServerLease } from "./server-lease.ts";
import type { TimerOwner } from "./timer-wheel.ts";
import { type ResponseInspection, Tunnel } from "./tunnel.ts";

const INSPECTING = 0;
/** For a server, and a connection to it: see the lease. */
const SEEKING = 1;
const TUNNELLING = 3;
const OVER = 4;

/** A connection of a `mode tcp` frontend: content rules, a server, and a tunnel until both sides have ended. */
export class TcpSession implements ConnectionOwner, LeaseOwner, TimerOwner, ClientEnd {
  readonly connection: Connection;
  readonly transaction: Transaction;
  readonly #plane: DataPlane;
  readonly #frontend: ProxyRuntime;
  readonly #host: SessionHost;
  readonly session: Session;
  place = -1;
  readonly #timer: number;
  readonly #progress: RuleProgress = { next: 0 };
  #backend: ProxyRuntime;
  #state = INSPECTING;
  readonly #lease: ServerLease;
  #isCounted = false;
  #inspectUntil = 0;
  #inBackend = false;
  #acceptedAt = 0;
  #tunnel: Tunnel | undefined = undefined;

  constructor(
    plane: DataPlane,
    connection: Connection,
    session: Session,
    frontend: ProxyRuntime,
    host: SessionHost,
  ) {
    this.#plane = plane;
    this.connection = connection;
    this.#frontend = this.#backend = frontend;
    this.#host = host;
    this.session = session;
    this.#timer = plane.wheel.create(this);
    this.#lease = new ServerLease(plane, this);
    this.transaction = plane.takeTransaction();
    this.transaction.session = session;
    this.transaction.frontend = frontend.index;
    session.transactions++;
    connection.owner = this;
    plane.clients.add(this);
  }

  start(acceptedAt: number): void {
    const { transaction } = this;
    this.#acceptedAt = acceptedAt;
    transaction.times[TIME_ACCEPT] = acceptedAt;
    transaction.now = this.#plane.now;
    this.#inspectUntil = this.#plane.now + this.#frontend.inspectDelay;
    this.connection.resume();
    this.#inspect();
  }

  stopSoon(): void {}

  kill(): void {
    if (this.#tunnel !== undefined) this.#tunnel.kill();
    else this.#end(CAUSE_KILLED, this.#phase());
  }

  /** The server was marked down, and its sessions are to end. */
  leaveServer(proxy: number, server: number): void {
    if (
      this.#lease.state === LEASE_NONE ||
      this.#backend.index !== proxy ||
      this.transaction.server !== server
    )
      return;
    if (this.#tunnel !== undefined) this.#tunnel.kill(CAUSE_DOWN);
    else this.#end(CAUSE_DOWN, this.#phase());
  }

  // ---- content rules ----

  /** Runs the rules over what the client has sent; waits for more as long as one asks for it. */
  #inspect(): void {
    const { transaction, connection } = this;
    const proxy = this.#inBackend ? this.#backend : this.#frontend;
    transaction.now = this.#plane.now;
    this.#showPayload();
    const waiting = this.#plane.now < this.#inspectUntil && !connection.isEnded && !this.#isFull();
    const verdict =
      proxy.rules.content.length === 0
        ? undefined
        : runRules(proxy.rules.content, transaction, this.#progress, waiting);
    if (verdict !== undefined && verdict.type !== "continue" && verdict.type !== "final") {
      this.#obey(verdict);
      return;
    }
    this.#progress.next = 0;
    this.#plane.wheel.clear(this.#timer);
    if (this.#inBackend) this.#dispatch();
    else this.#choose();
  }

  #obey(verdict: Verdict): void {
    switch (verdict.type) {
      case "more":
        this.#plane.wheel.set(this.#timer, this.#inspectUntil);
        return;
      case "close":
        this.#plane.statistics.add(this.#frontend.frontendRow, stat.STAT_DREQ, 1);
        this.#end(CAUSE_PROXY, PHASE_REQUEST, verdict.silent);
        return;
      case "switch-http":
        this.#becomeHttp();
        return;
      default:
        this.#end(CAUSE_PROXY, PHASE_REQUEST);
    }
  }

  /** Shows rules the bytes that are here: gathered in one buffer, as far as one takes. */
  #showPayload(): void {
    const { connection, transaction } = this;
    const { slab } = this.#plane;
    transaction.payloadComplete = connection.isEnded;
    let first = connection.takeInput();
    if (first === NO_BUFFER) return;
    if (first >= slab.smallCount) {
      transaction.payloadStart = slab.inStart[first] as number;
      transaction.payloadEnd = slab.inEnd[first] as number;
      connection.returnInput(first, transaction.payloadStart, transaction.payloadEnd);
      return;
    }
    let start = slab.inStart[first] as number;
    let end = slab.inEnd[first] as number;
    for (;;) {
      const next = connection.peekInput();
      if (next === NO_BUFFER) break;
      const size = (slab.inEnd[next] as number) - (slab.inStart[next] as number);
      if (end + size > slab.offsetOf(first) + slab.smallSize) {
        if (start === slab.offsetOf(first)) break;
        const moved = slab.take();
        if (moved === NO_BUFFER) break;
        const to = slab.offsetOf(moved);
        slab.bytes.copyWithin(to, start, end);
        slab.release(first);
        first = moved;
        end = to + (end - start);
        start = to;
        continue;
      }
      connection.takeInput();
      slab.bytes.copyWithin(end, slab.inStart[next] as number, slab.inEnd[next] as number);
      end += size;
      slab.release(next);
    }
    connection.returnInput(first, start, end);
    transaction.payloadStart = start;
    transaction.payloadEnd = end;
  }

  #isFull(): boolean {
    const { payloadStart, payloadEnd } = this.transaction;
    return payloadEnd - payloadStart >= this.#plane.slab.smallSize;
  }

  #becomeHttp(): void {
    this.#leave();
    this.#host.beginHttp(this.connection, this.session, this.#acceptedAt);
  }

  #choose(): void {
    const { transaction } = this;
    const front = this.#frontend.frontend as FrontendRuntime;
    const chosen = front.chooseBackend(transaction);
    const backend = chosen === NONE ? undefined : this.#plane.proxies[chosen];
    if (backend?.backend === undefined) {
      transaction.backend = this.#frontend.index;
      this.#end(CAUSE_SERVER_ABORT, PHASE_CONNECT);
      return;
    }
    if (backend.http) {
      // TCP to HTTP is an upgrade: the head decides anew.
      this.#becomeHttp();
      return;
    }
    this.#backend = backend;
    transaction.backend = backend.index;
    backend.state.counters.addBackend(1);
    this.#isCounted = true;
    backend.state.counters.countBackendSession(this.#plane.now);
    this.#plane.statistics.add(backend.backendRow, stat.STAT_STOT, 1);
    this.#plane.statistics.set(backend.backendRow, stat.STAT_LASTSESS, this.#plane.now);
    if (backend !== this.#frontend && backend.rules.content.length > 0) {
      this.#inBackend = true;
      this.#inspectUntil = this.#plane.now + backend.inspectDelay;
      this.#inspect();
      return;
    }
    this.#dispatch();
  }

  // ---- a server ----

  #dispatch(): void {
    const runtime = this.#backend.backend as BackendRuntime;
    runtime.persist?.(this.transaction);
    if (runtime.preferLastServer && this.transaction.wantedServer === NONE) {
      const { lastBackend, lastServer } = this.session;
      if (lastBackend === this.#backend.index) this.transaction.wantedServer = lastServer;
    }
    this.#state = SEEKING;
    this.#lease.seek();
  }

  /** The backend that was chosen: what the lease looks at. */
  get backend(): ProxyRuntime {
    return this.#backend;
  }

  takeIdle(): boolean {
    return false;
  }

  reused(): void {}

  leased(server: Connection): void {
    this.transaction.serverTls = server.tlsFacts;
    this.transaction.times[TIME_CONNECTED] = this.#plane.now;
    this.#openTunnel(server);
  }

  leaseFailed(cause: number, phase: number): void {
    this.#end(cause, phase);
  }

  #openTunnel(server: Connection): void {
    const plane = this.#plane;
    const { transaction, connection } = this;
    this.#state = TUNNELLING;
    const front = this.#frontend.timeouts;
    const back = this.#backend.timeouts;
    this.#tunnel = new Tunnel(
      plane,
      connection,
      server,
      {
        client: transaction.timeoutClient !== 0 ? transaction.timeoutClient : front.client,
        server: transaction.timeoutServer !== 0 ? transaction.timeoutServer : back.server,
        tunnel: transaction.timeoutTunnel !== 0 ? transaction.timeoutTunnel : back.tunnel,
        clientFin: front.clientFin,
        serverFin: back.serverFin,
      },
      (cause) => {
        this.#tunnel = undefined;
        transaction.bytesIn = connection.bytesIn;
        transaction.bytesOut = connection.bytesOut;
        // What the server's state ended has no phase. Observed: haproxy 2.6.12.
        const hasPhase = cause !== CAUSE_NONE && cause !== CAUSE_DOWN;
        this.#end(cause, hasPhase ? PHASE_DATA : PHASE_NONE);
      },
      this.#responseInspection(),
    );
    this.#tunnel.start();
  }

  /** `tcp-response content` rules, over what the server says first. */
  #responseInspection(): ResponseInspection | undefined {
    const { responseContent } = this.#backend.rules;
    if (responseContent.length === 0) return undefined;
    const plane = this.#plane;
    const { transaction } = this;
    const { slab } = plane;
    const until = plane.now + this.#backend.responseInspectDelay;
    this.#progress.next = 0;
    return {
      until,
      inspect: (server) => {
        transaction.now = plane.now;
        transaction.responsePayloadComplete = server.isEnded;
        const buffer = server.peekInput();
        if (buffer !== NO_BUFFER) {
          transaction.responsePayloadStart = slab.inStart[buffer] as number;
          transaction.responsePayloadEnd = slab.inEnd[buffer] as number;
        }
        const waiting = plane.now < until && !server.isEnded;
        const verdict = runRules(responseContent, transaction, this.#progress, waiting);
        if (verdict.type === "more") return "wait";
        return verdict.type === "continue" || verdict.type === "final" ? "go" : "close";
      },
    };
  }

  // ---- events before the tunnel ----

  received(connection: Connection): void {
    if (this.#state === INSPECTING) this.#inspect();
    else if (connection.isEnded && !connection.hasInput && this.#state !== OVER) {
      const abort = (this.#frontend.frontend as FrontendRuntime).abortOnClose;
      if (abort || this.#backend.backend?.abortOnClose) {
        this.#end(CAUSE_CLIENT_ABORT, this.#phase());
      }
    }
  }

  drained(): void {}

  failed(): void {
    this.#end(CAUSE_CLIENT_ABORT, this.#phase());
  }

  connected(): void {}

  timedOut(): void {
    if (this.#state === INSPECTING) this.#inspect();
  }

  #phase(): number {
    if (this.#state === TUNNELLING) return PHASE_DATA;
    if (this.#state !== SEEKING) return PHASE_REQUEST;
    return this.#lease.state === LEASE_QUEUED ? PHASE_QUEUE : PHASE_CONNECT;
  }

  #end(cause: number, phase: number, reset = false): void {
    if (this.#state === OVER) return;
    this.#state = OVER;
    const plane = this.#plane;
    const { transaction } = this;
    const front = this.#frontend.frontend as FrontendRuntime;
    const backend = this.#backend;
    transaction.cause = cause;
    transaction.phase = phase;
    transaction.times[TIME_END] = transaction.now = plane.now;
    if (transaction.bytesIn === 0) transaction.bytesIn = this.connection.bytesIn;
    this.#lease.release();
    if (cause === CAUSE_CLIENT_ABORT) {
      plane.statistics.add(this.#frontend.frontendRow, stat.STAT_CLI_ABRT, 1);
      countAbort(plane, backend, transaction, stat.STAT_CLI_ABRT);
    }
    if (cause === CAUSE_SERVER_ABORT && phase === PHASE_DATA) {
      countAbort(plane, backend, transaction, stat.STAT_SRV_ABRT);
    }
    statisticsOfEnd(plane, transaction, this.#frontend, backend);
    // The line counts the others, not the one that is over.
    this.#leaveBackend();
    const isNull =
      front.dontLogNull && this.connection.bytesIn === 0 && transaction.server === NONE;
    if (!isNull) front.log?.write(transaction, plane.ring.wallTime);
    this.#leave();
    this.connection.close(reset);
    this.#host.ended(this.session);
  }

  /** Gives back all but the connection. */
  #leave(): void {
    const plane = this.#plane;
    this.#state = OVER;
    this.#lease.destroy();
    this.#leaveBackend();
    plane.wheel.destroy(this.#timer);
    plane.giveTransaction(this.transaction);
    plane.clients.delete(this);
  }

  #leaveBackend(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.#backend.state.counters.addBackend(-1);
  }
}

/** For the backend and the server that had the session, as far as it came. */
function countAbort(
  { statistics }: DataPlane,
  { backendRow }: ProxyRuntime,
  { backend, server }: Transaction,
  field: number,
): void {
  if (backend === NONE) return;
  statistics.add(backendRow, field, 1);
  if (server !== NONE) statistics.add(backendRow + 1 + server, field, 1);
}
