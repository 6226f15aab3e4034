import { ABUSES, type Abuse } from "../../core/http2/abuse.ts";
import {
  DEFAULT_FRAME_SIZE,
  DEFAULT_WINDOW,
  SETTING_ENABLE_CONNECT_PROTOCOL,
  SETTING_ENABLE_PUSH,
  SETTING_HEADER_TABLE_SIZE,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_CONCURRENT_STREAMS,
  SETTING_MAX_FRAME_SIZE,
  SETTING_MAX_HEADER_LIST_SIZE,
} from "../../core/http2/frame.ts";
import type { FrameLimits } from "../../core/http2/frame-reader.ts";
import { createHpackWork } from "../../core/http2/hpack-decoder.ts";
import { MAX_BLOCK, MAX_CONTINUATIONS, MAX_LIST } from "../../core/http2/limits.ts";
import { RequestHeadReader } from "../../core/http2/request-head.ts";
import { writeSetting } from "../../core/http2/settings.ts";
import type { Statistics } from "../../core/statistics.ts";
import type { ClientStream } from "./client-stream.ts";
import { ReportLimit } from "./report-limit.ts";
import type { ServerStream } from "./server-stream.ts";

/** HAProxy's default of `tune.h2.header-table-size`, and the protocol's. */
const TABLE_SIZE = 4_096;
/** HAProxy's default of `tune.h2.max-concurrent-streams`. */
const STREAMS = 100;

/** What one end of a connection announces, and holds its peer to. */
export interface Http2Side {
  /** Receive window of a stream. `tune.h2.initial-window-size` */
  readonly window: number;
  /** Streams at once. `tune.h2.max-concurrent-streams` */
  readonly streams: number;
  /** Streams in the life of a connection; Infinity without. `tune.h2.fe.max-total-streams` */
  readonly totalStreams: number;
  readonly limits: FrameLimits;
  /** The payload of our first SETTINGS. */
  readonly settings: Uint8Array;
}

/** What all HTTP/2 connections of one thread share: scratch room, and what the configuration tunes. */
export class Http2Shared {
  tableSize = TABLE_SIZE;
  client: Http2Side = side([[SETTING_ENABLE_CONNECT_PROTOCOL, 1]], DEFAULT_WINDOW, STREAMS);
  server: Http2Side = side([[SETTING_ENABLE_PUSH, 0]], DEFAULT_WINDOW, STREAMS);
  /** Streams of clients that are not in use. */
  readonly streams: ClientStream[] = [];
  /** The same towards servers. */
  readonly serverStreams: ServerStream[] = [];
  /** Lines about requests that are none, and about connections that were ended for abuse. */
  readonly badRequests = new ReportLimit(50, 10);
  readonly reports = new ReportLimit(20, 2);
  #work: Uint8Array | undefined = undefined;
  #blocks: Uint8Array | undefined = undefined;
  #heads: RequestHeadReader | undefined = undefined;

  readonly #statistics: Statistics;

  constructor(statistics: Statistics) {
    this.#statistics = statistics;
  }

  /** Counts an abuse that was not let pass, by `ABUSE_…`. */
  count(abuse: number): void {
    this.#statistics.countAbuse(abuse);
  }

  /** @param tune `global`'s `tune.*` words. @param offersConnect Whether clients may ask for websockets. */
  configure(tune: ReadonlyMap<string, unknown>, offersConnect: boolean): void {
    const number = (name: string, otherwise: number): number => {
      const value = tune.get(name);
      return typeof value === "number" ? value : otherwise;
    };
    this.tableSize = number("tune.h2.header-table-size", TABLE_SIZE);
    const window = number("tune.h2.initial-window-size", DEFAULT_WINDOW);
    const streams = number("tune.h2.max-concurrent-streams", STREAMS);
    const frame = number("tune.h2.max-frame-size", DEFAULT_FRAME_SIZE);
    const table: [number, number][] =
      this.tableSize === TABLE_SIZE ? [] : [[SETTING_HEADER_TABLE_SIZE, this.tableSize]];
    this.client = side(
      [...table, ...(offersConnect ? [[SETTING_ENABLE_CONNECT_PROTOCOL, 1] as const] : [])],
      number("tune.h2.fe.initial-window-size", window),
      number("tune.h2.fe.max-concurrent-streams", streams),
      frame,
      number("tune.h2.fe.max-total-streams", 0),
    );
    this.server = side(
      [...table, [SETTING_ENABLE_PUSH, 0]],
      number("tune.h2.be.initial-window-size", window),
      number("tune.h2.be.max-concurrent-streams", streams),
      frame,
    );
  }

  /** Room for strings of HPACK. */
  get work(): Uint8Array {
    this.#work ??= createHpackWork();
    return this.#work;
  }

  /** Room for a header block that is longer than a frame. */
  get blocks(): Uint8Array {
    this.#blocks ??= new Uint8Array(131_072);
    return this.#blocks;
  }

  get heads(): RequestHeadReader {
    this.#heads ??= new RequestHeadReader();
    return this.#heads;
  }

  nameOf(abuse: number): Abuse {
    return ABUSES[abuse] as Abuse;
  }
}

function side(
  first: readonly (readonly [number, number])[],
  window: number,
  streams: number,
  frameSize = DEFAULT_FRAME_SIZE,
  totalStreams = 0,
): Http2Side {
  const all: (readonly [number, number])[] = [...first];
  if (window !== DEFAULT_WINDOW) all.push([SETTING_INITIAL_WINDOW_SIZE, window]);
  all.push([SETTING_MAX_CONCURRENT_STREAMS, streams]);
  if (frameSize !== DEFAULT_FRAME_SIZE) all.push([SETTING_MAX_FRAME_SIZE, frameSize]);
  all.push([SETTING_MAX_HEADER_LIST_SIZE, MAX_LIST]);
  const settings = new Uint8Array(all.length * 6);
  all.forEach(([name, value], i) => {
    writeSetting(settings, i * 6, name, value);
  });
  return {
    window,
    streams,
    totalStreams: totalStreams === 0 ? Number.POSITIVE_INFINITY : totalStreams,
    limits: { frameSize, blockSize: MAX_BLOCK, continuations: MAX_CONTINUATIONS },
    settings,
  };
}
