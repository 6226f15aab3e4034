import {
  EMFILE,
  ENFILE,
  NO_BUFFER,
  OP_ACCEPT,
  OP_CANCEL,
  type RingOwner,
  readSocketAddress,
  setAbortive,
  setKeepalive,
  setNoDelay,
  socketName,
  socketNameRoom,
} from "@ha/linux/ring";
import type { Bind } from "../core/config/bind-model.ts";
import { PROXY_INCOMPLETE, readProxyHeader } from "../core/proxy-protocol.ts";
import { type Rule, runRules } from "../core/rule/rule.ts";
import { countEvent } from "../core/server/counters.ts";
import type { ProcessRates } from "../core/server/process-rates.ts";
import * as stat from "../core/statistics.ts";
import { createEndpoint, type Endpoint, Session } from "../core/transaction.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { DataPlane, SessionHost } from "./data-plane.ts";
import { HttpClient } from "./http-client.ts";
import { Http2Client } from "./http2/http2-client.ts";
import type { FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";
import { TcpSession } from "./tcp-session.ts";
import type { TimerOwner } from "./timer-wheel.ts";
import { ClientHandshake } from "./tls/client-handshake.ts";
import { placeKey } from "./tls/tls-share.ts";

/** Limits of connections over all threads of the process. */
export interface ProcessLimits {
  /** `maxconn` of the global section. */
  readonly maxconn: number;
  /** Connections of the process now, and the limit in force (`set maxconn global`): shared between its threads. */
  readonly connections: Int32Array;
  readonly rates: ProcessRates;
}

/**
 * One listening socket of one thread: accepts as long as the limits let it, makes sessions, runs the rules for
 * connections and sessions, and hands over to HTTP or TCP. What is beyond a limit waits in the kernel's backlog.
 */
export class Listener implements RingOwner, SessionHost {
  readonly bind: Bind;
  readonly fd: number;
  readonly #plane: DataPlane;
  readonly #frontend: ProxyRuntime;
  readonly #number: number;
  readonly #limits: ProcessLimits;
  readonly #name = socketNameRoom();
  readonly #isInherited: boolean;
  readonly #boundTo: Endpoint | undefined;
  readonly #mayProceed: Listener[];
  /** `TlsContextSet.id` of the bind. */
  readonly #tls: number | undefined;
  #slot: number;
  #isAccepting = false;
  #isStopped = false;
  #isWaiting = false;
  /** Accepted beyond a limit, while the cancellation was under way: they wait here, unread. */
  readonly #parked: number[] = [];
  #open = 0;

  /**
   * @param number Of the bind within its frontend.
   * @param all Every listener of the thread: when a connection ends, those that wait for room go on.
   */
  constructor(
    plane: DataPlane,
    frontend: ProxyRuntime,
    bind: Bind,
    place: { readonly fd: number; readonly number: number; readonly all: Listener[] },
    limits: ProcessLimits,
  ) {
    this.#plane = plane;
    this.#frontend = frontend;
    this.bind = bind;
    this.fd = place.fd;
    this.#number = place.number;
    this.#limits = limits;
    this.#mayProceed = place.all;
    this.#isInherited = bind.address.kind === "fd";
    this.#boundTo = this.#ownAddress();
    this.#tls = plane.tls.binds.get(placeKey(frontend.index, place.number));
    this.#slot = plane.ring.attach(this);
    place.all.push(this);
  }

  /** Connections that came through here and are open. */
  get open(): number {
    return this.#open;
  }

  /** The port it is bound to; 0 for a unix socket. */
  get port(): number {
    if (socketName(this.fd, false, this.#name) < 0) return 0;
    const endpoint = createEndpoint();
    readSocketAddress(this.#name, endpoint);
    return endpoint.port;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    if (this.#isAccepting || this.#isStopped) return;
    this.#isAccepting = true;
    this.#plane.ring.accept(this.#slot, this.fd);
  }

  /** Accepts no more: what waits in the backlog is for whoever else has the socket. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#plane.ring.forgetAccept(this.#slot);
    this.#pause();
  }

  /** The frontend was paused: accepts no more until `proceed` finds it running again. */
  suspend(): void {
    this.#pause();
  }

  complete(op: number, result: number, _buffer: number, more: boolean): void {
    if (op === OP_CANCEL || op !== OP_ACCEPT) return;
    if (!more) this.#isAccepting = false;
    if (result >= 0) this.#accepted(result);
    if (more || this.#isStopped) return;
    if (result === EMFILE || result === ENFILE) {
      this.#isAccepting = true;
      this.#plane.ring.acceptAfterClose(this.#slot, this.fd);
    } else if (this.#hasRoom()) this.start();
    else if (!this.#frontend.state.counters.isPaused) this.#waitForRoom();
  }

  /** Connections of other threads end without a word: look again until there is room. */
  #waitForRoom(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#plane.pollWhile(() => {
      this.proceed();
      this.#isWaiting =
        !this.#isAccepting && !this.#isStopped && !this.#frontend.state.counters.isPaused;
      return this.#isWaiting;
    });
  }

  /** A connection ended somewhere: there may be room. */
  proceed(): void {
    while (this.#parked.length > 0 && this.#hasRoom()) this.#begin(this.#parked.shift() as number);
    if (!this.#isAccepting && !this.#isStopped && this.#hasRoom()) this.start();
  }

  #pause(): void {
    if (this.#isAccepting) this.#plane.ring.cancel(this.#slot, this.fd, OP_ACCEPT);
  }

  #hasRoom(): boolean {
    const { rateLimitSessions } = (this.#frontend.frontend as FrontendRuntime).config;
    const { counters } = this.#frontend.state;
    const { maxconn } = counters;
    const { now } = this.#plane;
    if (counters.isPaused || !this.#limits.rates.hasRoom(now)) return false;
    if (this.#tls !== undefined && !this.#limits.rates.tls.mayShake(now)) return false;
    if (rateLimitSessions > 0) {
      if (counters.clientSessionRate(this.#plane.now) >= rateLimitSessions) return false;
    }
    if (maxconn !== 0 && counters.clientConnections >= maxconn) return false;
    if (this.bind.maxconn !== 0 && this.#open >= this.bind.maxconn) return false;
    const { connections } = this.#limits;
    return Atomics.load(connections, 0) < (connections[1] ?? this.#limits.maxconn);
  }

  #accepted(fd: number): void {
    if (!this.#hasRoom()) {
      this.#parked.push(fd);
      this.#plane.ring.owned[fd] = 1;
      this.#pause();
      return;
    }
    this.#begin(fd);
  }

  #begin(fd: number): void {
    const plane = this.#plane;
    const frontend = this.#frontend;
    const front = frontend.frontend as FrontendRuntime;
    const { counters } = frontend.state;
    this.#open++;
    plane.sessions++;
    Atomics.add(this.#limits.connections, 0, 1);
    counters.addClient(1);
    const row = frontend.frontendRow;
    plane.statistics.add(row, stat.STAT_CONN_TOT, 1);
    counters.countConnection(plane.now);
    this.#limits.rates.countConnection(plane.now);
    plane.statistics.max(row, stat.STAT_SMAX, counters.clientConnections);
    if (this.#isInherited) setNoDelay(fd);
    if (front.keepaliveClients !== undefined) setKeepalive(fd, front.keepaliveClients);
    if (front.noLinger) setAbortive(fd);

    const session = new Session();
    session.id = plane.nextSessionId();
    session.frontend = frontend.index;
    session.listener = this.#number;
    session.acceptedAt = plane.ring.wallTime;
    this.#readNames(fd, session);
    const connection = plane.connections.create();
    connection.open(fd, undefined);
    const expects = this.#runConnectionRules(session);
    if (expects === undefined) {
      plane.statistics.add(row, stat.STAT_DCON, 1);
      connection.close(true);
      this.ended(session);
      return;
    }
    if (expects || this.bind.acceptProxy) {
      new PendingSession(plane, connection, session, frontend, this).start();
    } else this.secure(connection, session, plane.now);
  }

  /** The addresses are known: TLS where the bind has it, then the session. */
  secure(connection: Connection, session: Session, acceptedAt: number): void {
    const set = this.#tls;
    if (set === undefined) {
      this.begin(connection, session, acceptedAt);
      return;
    }
    const { name, id } = this.bind;
    const place = { host: this, listener: name ?? String(id), acceptedAt };
    new ClientHandshake(this.#plane, connection, session, this.#frontend, place).start(set);
  }

  /** Whether a PROXY header must come first; undefined when the connection is refused. */
  #runConnectionRules(session: Session): boolean | undefined {
    const { rules } = this.#frontend;
    if (rules.connection.length === 0) return false;
    const verdict = this.#run(rules.connection, session);
    if (verdict === "close") return undefined;
    return verdict === "expect";
  }

  #run(rules: readonly Rule[], session: Session): "go" | "close" | "expect" {
    const plane = this.#plane;
    const transaction = plane.takeTransaction();
    transaction.session = session;
    transaction.frontend = this.#frontend.index;
    transaction.now = plane.now;
    const verdict = runRules(rules, transaction, { next: 0 });
    // What the rules track belongs to the session.
    for (let i = 0; i < transaction.tracked.length; i++) {
      session.tracked[i] ??= transaction.tracked[i];
      transaction.tracked[i] = undefined;
    }
    plane.giveTransaction(transaction);
    if (verdict.type === "close") return "close";
    return verdict.type === "expect" ? "expect" : "go";
  }

  /** Addresses and TLS are settled: session rules, then the protocol. */
  begin(connection: Connection, session: Session, acceptedAt: number): void {
    const plane = this.#plane;
    const frontend = this.#frontend;
    if (
      frontend.rules.session.length > 0 &&
      this.#run(frontend.rules.session, session) === "close"
    ) {
      plane.statistics.add(frontend.frontendRow, stat.STAT_DSES, 1);
      connection.close(true);
      this.ended(session);
      return;
    }
    frontend.state.counters.countClientSession(plane.now);
    this.#limits.rates.countSession(plane.now);
    this.#countSession(session);
    plane.statistics.add(frontend.frontendRow, stat.STAT_STOT, 1);
    if (frontend.http) this.beginHttp(connection, session, acceptedAt);
    else new TcpSession(plane, connection, session, frontend, this).start(acceptedAt);
  }

  /** In the stick-table entries that rules for connections and sessions track. */
  #countSession(session: Session): void {
    if (session.tracked.every((tracked) => tracked === undefined)) return;
    const transaction = this.#plane.takeTransaction();
    transaction.session = session;
    transaction.now = this.#plane.now;
    countEvent(transaction, "session");
    this.#plane.giveTransaction(transaction);
  }

  /** Speaks HTTP from here on: also where TCP rules found that it is. HTTP/2 by `proto` and ALPN, else HTTP/1. */
  beginHttp(connection: Connection, session: Session, acceptedAt: number): void {
    if (this.bind.protocol === "h2" || session.tls?.alpn === "h2") {
      this.beginHttp2(connection, session, acceptedAt, 0);
      return;
    }
    new HttpClient(this.#plane, connection, session, this.#frontend, this).start(acceptedAt);
  }

  beginHttp2(connection: Connection, session: Session, acceptedAt: number, prefaced: number): void {
    new Http2Client(this.#plane, connection, session, this.#frontend, this).start(
      acceptedAt,
      prefaced,
    );
  }

  /** A session is over. */
  ended(session: Session): void {
    const plane = this.#plane;
    for (let i = 0; i < session.tracked.length; i++) {
      session.tracked[i]?.release();
      session.tracked[i] = undefined;
    }
    this.#open--;
    plane.sessions--;
    Atomics.sub(this.#limits.connections, 0, 1);
    this.#frontend.state.counters.addClient(-1);
    for (const listener of this.#mayProceed) listener.proceed();
  }

  #readNames(fd: number, session: Session): void {
    if (socketName(fd, true, this.#name) > 0) readSocketAddress(this.#name, session.source);
    const bound = this.#boundTo;
    if (bound === undefined) {
      if (socketName(fd, false, this.#name) > 0) readSocketAddress(this.#name, session.destination);
      return;
    }
    session.destination.family = bound.family;
    session.destination.address.set(bound.address);
    session.destination.port = bound.port;
  }

  /** The address that every connection is to; undefined where each has to be asked for its own. */
  #ownAddress(): Endpoint | undefined {
    if (this.bind.transparent || socketName(this.fd, false, this.#name) < 0) return undefined;
    const endpoint = createEndpoint();
    readSocketAddress(this.#name, endpoint);
    const isAny = endpoint.address.every((byte) => byte === 0);
    return endpoint.family === 0 || isAny ? undefined : endpoint;
  }
}

/** A connection whose PROXY header has not come yet. */
class PendingSession implements ConnectionOwner, TimerOwner {
  readonly #plane: DataPlane;
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #frontend: ProxyRuntime;
  readonly #listener: Listener;
  readonly #acceptedAt: number;
  #timer = -1;

  constructor(
    plane: DataPlane,
    connection: Connection,
    session: Session,
    frontend: ProxyRuntime,
    listener: Listener,
  ) {
    this.#plane = plane;
    this.#connection = connection;
    this.#session = session;
    this.#frontend = frontend;
    this.#listener = listener;
    this.#acceptedAt = plane.now;
    connection.owner = this;
  }

  start(): void {
    this.#timer = this.#plane.wheel.create(this);
    const { client } = this.#frontend.timeouts;
    if (client !== Number.POSITIVE_INFINITY) {
      this.#plane.wheel.set(this.#timer, this.#plane.now + client);
    }
    this.#connection.resume();
  }

  received(connection: Connection): void {
    const { slab } = this.#plane;
    const buffer = connection.takeInput();
    if (buffer === NO_BUFFER) {
      this.#drop();
      return;
    }
    const start = slab.inStart[buffer] as number;
    let end = slab.inEnd[buffer] as number;
    // A header in pieces is gathered in its first buffer: the longest takes 216 bytes, with TLVs some hundreds.
    for (let next = connection.takeInput(); next !== NO_BUFFER; next = connection.takeInput()) {
      const from = slab.inStart[next] as number;
      const size = (slab.inEnd[next] as number) - from;
      if (end + size > slab.offsetOf(buffer) + slab.sizeOf(buffer)) {
        slab.release(next);
        slab.release(buffer);
        this.#drop();
        return;
      }
      slab.bytes.copyWithin(end, from, from + size);
      end += size;
      slab.release(next);
    }
    const taken = readProxyHeader(slab.bytes, start, end, this.#session.changing());
    if (taken === PROXY_INCOMPLETE && !connection.isEnded) {
      connection.returnInput(buffer, start, end);
      connection.resume();
      return;
    }
    if (taken < 0) {
      slab.release(buffer);
      this.#drop();
      return;
    }
    if (start + taken < end) connection.returnInput(buffer, start + taken, end);
    else slab.release(buffer);
    this.#leave();
    this.#listener.secure(connection, this.#session, this.#acceptedAt);
  }

  failed(): void {
    this.#drop();
  }

  timedOut(): void {
    this.#drop();
  }

  drained(): void {}

  connected(): void {}

  #leave(): void {
    if (this.#timer >= 0) this.#plane.wheel.destroy(this.#timer);
    this.#timer = -1;
  }

  #drop(): void {
    this.#leave();
    this.#plane.statistics.add(this.#frontend.frontendRow, stat.STAT_EREQ, 1);
    this.#connection.close(true);
    this.#listener.ended(this.#session);
  }
}
