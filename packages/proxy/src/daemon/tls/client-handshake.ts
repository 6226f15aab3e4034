import { ECONNRESET } from "@ha/linux/ring";
import type { TlsEngine } from "@ha/linux/tls";
import * as stat from "../../core/statistics.ts";
import type { Session } from "../../core/transaction.ts";
import type { Connection, ConnectionOwner } from "../connection.ts";
import type { DataPlane } from "../data-plane.ts";
import type { FrontendRuntime, ProxyRuntime } from "../proxy-runtime.ts";
import type { TimerOwner } from "../timer-wheel.ts";

/** What HAProxy writes of handshakes that came to nothing. Observed: haproxy 2.6.12. */
export type HandshakeFailure =
  | "SSL handshake failure"
  | "Connection closed during SSL handshake"
  | "Connection error during SSL handshake"
  | "Timeout during SSL handshake"
  | "Too many SSL connections"
  | "SSL client CA chain cannot be verified"
  | "SSL client certificate not trusted";

/** Where the connection came from, and goes on. */
export interface HandshakeHost {
  /** The handshake is done: `session.tls` says what was agreed on. */
  begin(connection: Connection, session: Session, acceptedAt: number): void;
  /** It failed: the connection is closed, the session over. */
  ended(session: Session): void;
}

/** A client's connection whose TLS handshake is under way. `timeout client-hs` bounds it, else `timeout client`. */
export class ClientHandshake implements ConnectionOwner, TimerOwner {
  readonly #plane: DataPlane;
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #frontend: ProxyRuntime;
  readonly #host: HandshakeHost;
  /** The bind's name, or its number: as logs call it. */
  readonly #listener: string;
  readonly #acceptedAt: number;
  readonly #timer: number;

  constructor(
    plane: DataPlane,
    connection: Connection,
    session: Session,
    frontend: ProxyRuntime,
    place: { readonly host: HandshakeHost; readonly listener: string; readonly acceptedAt: number },
  ) {
    this.#plane = plane;
    this.#connection = connection;
    this.#session = session;
    this.#frontend = frontend;
    this.#host = place.host;
    this.#listener = place.listener;
    this.#acceptedAt = place.acceptedAt;
    this.#timer = plane.wheel.create(this);
  }

  /** @param set `TlsContextSet.id` of the bind. */
  start(set: number): void {
    const plane = this.#plane;
    const { tlsActivity } = plane.connections;
    if (tlsActivity?.opened() === false) {
      this.#drop("Too many SSL connections");
      return;
    }
    tlsActivity?.shook(plane.now);
    const tls = (plane.connections.tls as TlsEngine).accept(set);
    if (tls === undefined) {
      tlsActivity?.closed();
      this.#drop("SSL handshake failure");
      return;
    }
    const { clientHandshake, client } = this.#frontend.timeouts;
    const limit = clientHandshake === Number.POSITIVE_INFINITY ? client : clientHandshake;
    if (limit !== Number.POSITIVE_INFINITY) {
      plane.wheel.set(this.#timer, this.#acceptedAt + limit);
    }
    this.#connection.owner = this;
    this.#connection.secure(tls, false);
  }

  connected(connection: Connection, result: number): void {
    const plane = this.#plane;
    const facts = connection.tlsFacts;
    if (result < 0 || facts === undefined) {
      this.#drop(this.#reason(result));
      return;
    }
    plane.wheel.destroy(this.#timer);
    const { statistics } = plane;
    const row = this.#frontend.frontendRow;
    statistics.add(row, stat.STAT_TLS_SESSIONS, 1);
    if (facts.session.isResumed) statistics.add(row, stat.STAT_TLS_RESUMED, 1);
    else plane.connections.tlsActivity?.keyed("client", plane.now);
    this.#session.tls = facts;
    this.#host.begin(connection, this.#session, this.#acceptedAt);
  }

  received(): void {}

  drained(): void {}

  failed(_connection: Connection, error: number): void {
    this.#drop(this.#reason(error));
  }

  timedOut(): void {
    this.#drop("Timeout during SSL handshake");
  }

  #reason(error: number): HandshakeFailure {
    const { tls } = this.#connection;
    if (tls === undefined) return "SSL handshake failure";
    if (error === ECONNRESET && !this.#connection.hasTlsAnswered) {
      return this.#connection.isEnded
        ? "Connection closed during SSL handshake"
        : "Connection error during SSL handshake";
    }
    if (tls.error !== 0) {
      if (tls.caError !== 0) return "SSL client CA chain cannot be verified";
      if (tls.certificateError !== 0) return "SSL client certificate not trusted";
    }
    return "SSL handshake failure";
  }

  #drop(why: HandshakeFailure): void {
    const plane = this.#plane;
    const connection = this.#connection;
    const front = this.#frontend.frontend as FrontendRuntime;
    plane.wheel.destroy(this.#timer);
    const isTimeout = why === "Timeout during SSL handshake";
    if (!isTimeout) plane.statistics.add(this.#frontend.frontendRow, stat.STAT_TLS_FAILED, 1);
    const isNull = isTimeout || (!connection.hasTlsAnswered && connection.tls?.error === 0);
    if (!(front.dontLogNull && isNull)) {
      const transaction = plane.takeTransaction();
      this.#session.tls = connection.tlsFacts;
      transaction.session = this.#session;
      transaction.frontend = this.#frontend.index;
      transaction.now = plane.now;
      transaction.times[0] = this.#acceptedAt;
      front.log?.failedHandshake(transaction, this.#listener, why, plane.ring.wallTime);
      plane.giveTransaction(transaction);
    }
    connection.close(isTimeout);
    this.#host.ended(this.#session);
  }
}
