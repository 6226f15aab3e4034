import { HEAD_BROKEN, skipBlock } from "../../core/http2/field-text.ts";
import {
  COMPRESSION_ERROR,
  FRAME_RST_STREAM,
  MAX_STREAM,
  PREFACE,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
} from "../../core/http2/frame.ts";
import * as stat from "../../core/statistics.ts";
import type { Connection } from "../connection.ts";
import type { DataPlane } from "../data-plane.ts";
import type { ExchangeServer, ExchangeServerOwner } from "../exchange-server.ts";
import type { ProxyRuntime } from "../proxy-runtime.ts";
import type { ServerPool, SharedServer } from "../server-pool.ts";
import type { TimerOwner } from "../timer-wheel.ts";
import { GONE, Http2Connection, LEAVING, LINGERING, OPEN } from "./http2-connection.ts";
import { ServerStream } from "./server-stream.ts";

/** How long a server may take the last word, before it is cut. Milliseconds. */
const LINGER = 1_000;

/** Which server a connection goes to. */
export interface ServerPlace {
  readonly backend: ProxyRuntime;
  /** Index within the backend. */
  readonly server: number;
  readonly pool: ServerPool | undefined;
  /** Only for one exchange: `http-reuse never`. */
  readonly isPrivate: boolean;
}

/** A connection to a server over HTTP/2, which many exchanges share. */
export class Http2Server extends Http2Connection<ServerStream> implements TimerOwner, SharedServer {
  /** The name that TLS asked for. */
  readonly name: string | undefined;
  readonly #place: ServerPlace;
  readonly #timer: number;
  readonly #idleTime: number;
  /** An answer came whole: the server speaks as it should. */
  isProven = false;
  #retires = false;

  constructor(plane: DataPlane, connection: Connection, place: ServerPlace) {
    super(plane, connection, plane.http2.server);
    this.name = connection.name;
    this.#place = place;
    this.#timer = plane.wheel.create(this);
    const { pool } = place.backend.backend?.config.servers[place.server] ?? {};
    this.#idleTime = (pool?.purgeDelay ?? 5_000_000) / 1000;
    this.state = OPEN;
    this.lastStream = -1;
    connection.queueBytes(PREFACE);
    this.greet();
    place.pool?.joined();
    if (!place.isPrivate) place.pool?.shared.push(this);
    this.count(stat.STAT_H2_OPEN);
    this.count(stat.STAT_H2_TOTAL);
    connection.resume();
  }

  /** Whether one more request may go this way now. */
  get hasRoom(): boolean {
    const { maxReuse } = this.#place.pool ?? { maxReuse: -1 };
    const opened = (this.lastStream + 1) / 2;
    return (
      this.state === OPEN &&
      !this.#retires &&
      this.connection.isOpen &&
      !this.connection.isEnded &&
      this.streams.size < Math.min(this.settings.maxStreams, this.side.streams) &&
      (maxReuse < 0 || opened <= maxReuse) &&
      this.lastStream < MAX_STREAM - 2
    );
  }

  get isIdle(): boolean {
    return this.streams.size === 0;
  }

  /** Whether the server takes extended CONNECT; before its settings came we hope so. RFC 8441 §3 */
  get takesUpgrades(): boolean {
    return this.settings.connectProtocol || !this.hasSettings;
  }

  /** A stream for an exchange. */
  request(owner: ExchangeServerOwner): ExchangeServer {
    const stream = this.plane.http2.serverStreams.pop() ?? new ServerStream(this);
    this.lastStream += 2;
    stream.open(this, this.lastStream, owner);
    this.enter(stream);
    this.plane.wheel.clear(this.#timer);
    return stream;
  }

  /** No more requests: ends with the last one that is under way. */
  retire(): void {
    this.#retires = true;
  }

  protected override preface(_bytes: Uint8Array, start: number): number {
    return start;
  }

  protected override headersOfNew(id: number): void {
    if (!skipBlock(this.decoder)) this.break(COMPRESSION_ERROR);
    else if (id > this.lastStream || (id & 1) === 0) this.break(PROTOCOL_ERROR);
  }

  protected override headersOf(stream: ServerStream): void {
    const { endStream } = this.reader;
    if (stream.hasHead || stream.side !== undefined) {
      const lines = this.takeTrailers(stream);
      if (lines === undefined) return;
      if (stream.bodyLeft > 0 && stream.bodyLeft !== Number.POSITIVE_INFINITY) {
        this.streamBroken(stream.id, PROTOCOL_ERROR);
      } else {
        this.isProven = true;
        stream.endCame(lines.length > 0 ? lines : undefined);
      }
      return;
    }
    if (endStream) this.isProven = true;
    const fault = stream.headCame(this.decoder, endStream);
    if (fault === HEAD_BROKEN) this.break(COMPRESSION_ERROR);
    else if (fault < 0) this.streamBroken(stream.id, PROTOCOL_ERROR);
  }

  protected override dataOf(
    stream: ServerStream,
    buffer: number,
    start: number,
    end: number,
    flow: number,
    ends: boolean,
  ): void {
    stream.bodyLeft -= end - start;
    const isShort = ends && stream.bodyLeft > 0 && stream.bodyLeft !== Number.POSITIVE_INFINITY;
    // Before its head, or more or less than its Content-Length says. RFC 9113 §8.1.1
    const isOpen = stream.hasHead || stream.side !== undefined;
    if (!isOpen || stream.bodyLeft < 0 || isShort) {
      this.streamBroken(stream.id, PROTOCOL_ERROR);
      return;
    }
    const { id } = stream;
    if (flow > 0) stream.dataCame(buffer, start, end, flow);
    if (!ends) return;
    this.isProven = true;
    if (stream.isOpen && stream.id === id) stream.endCame(undefined);
  }

  protected override streamLost(stream: ServerStream, code: number): void {
    if (code === REFUSED_STREAM) stream.isRefused = true;
    if (code === PROTOCOL_ERROR && this.reader.type !== FRAME_RST_STREAM) stream.broken();
    else stream.lost();
  }

  /** The server leaves: what it did not look at goes elsewhere. RFC 9113 §6.8. */
  protected override goAwayCame(lastStream: number): void {
    if (this.state === OPEN) this.state = LEAVING;
    this.streams.each((stream) => {
      if (stream.id <= lastStream) return;
      this.remove(stream);
      stream.isRefused = true;
      stream.lost();
    });
    if (this.streams.size === 0) this.lastStreamEnded();
  }

  protected override pingAnswered(): void {}

  /** Servers open none. */
  protected override get lastTaken(): number {
    return 0;
  }

  override recycle(stream: ServerStream): void {
    this.plane.http2.serverStreams.push(stream);
  }

  // ---- ends ----

  protected override lastStreamEnded(): void {
    if (this.state === LEAVING || this.#retires || this.#place.isPrivate) {
      // From a clean stack: an exchange may be about to say more.
      this.plane.afterTurn(() => {
        if (this.streams.size === 0) this.close();
      });
    } else this.updateTimer();
  }

  protected override updateTimer(): void {
    if (this.state > LEAVING || this.streams.size > 0) return;
    if (this.#idleTime > 0 && !this.plane.wheel.isSet(this.#timer)) {
      this.plane.wheel.set(this.#timer, this.plane.now + this.#idleTime);
    }
  }

  timedOut(): void {
    if (this.state === LINGERING || this.streams.size === 0) this.close();
  }

  protected override peerEnded(): void {
    this.close();
  }

  protected override lost(): void {
    this.close();
  }

  protected override broke(): void {
    this.state = LINGERING;
    this.#endStreams();
    this.output.flush();
    this.connection.shutdown();
    this.plane.wheel.set(this.#timer, this.plane.now + LINGER);
    this.readOn();
  }

  protected override lingers(): void {
    if (this.connection.unsent === 0 && !this.isFeeding) this.close();
  }

  #endStreams(): void {
    while (this.streams.size > 0) {
      const stream = this.streams.at(this.streams.size - 1);
      this.remove(stream);
      stream.lost();
    }
  }

  close(): void {
    if (this.state === GONE) return;
    this.state = GONE;
    const { pool } = this.#place;
    const place = pool?.shared.indexOf(this) ?? -1;
    if (place >= 0) pool?.shared.splice(place, 1);
    pool?.left();
    this.#endStreams();
    this.output.drop();
    this.plane.wheel.destroy(this.#timer);
    this.count(stat.STAT_H2_OPEN, -1);
    this.connection.close();
  }

  protected override count(field: number, by = 1): void {
    const { backend, server } = this.#place;
    const { statistics } = this.plane;
    statistics.add(backend.backendRow, field, by);
    statistics.add(backend.backendRow + 1 + server, field, by);
  }

  /** The counter tells: a server that we trust with requests writes no line for each of its faults. */
  protected override reportAbuse(): void {}
}
