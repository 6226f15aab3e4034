import { NO_BUFFER } from "@ha/linux/ring";
import type { TunnelSide, TunnelSideOwner } from "../tunnel.ts";

/** What a tunnel needs of a stream: of a client, or of a server. */
export interface TunnelStream {
  readonly isRemoteDone: boolean;
  readonly hasWaiting: boolean;
  /** Bytes that the windows have no room for. */
  readonly queuedBytes: number;
  takeWaiting(): number;
  /** Sends bytes; the reference passes. */
  sendData(buffer: number, start: number, end: number): void;
  /** Nothing follows what was sent. */
  endStream(): void;
  /** The tunnel that had it is over. */
  sideClosed(): void;
}

const EPIPE = -32;

/** One stream of an HTTP/2 connection as the end of a tunnel: extended CONNECT, or CONNECT. */
export class StreamSide implements TunnelSide {
  owner: TunnelSideOwner | undefined = undefined;
  bytesIn = 0;
  bytesOut = 0;
  hasShutdown = false;
  readonly #stream: TunnelStream;
  #isClosed = false;

  constructor(stream: TunnelStream) {
    this.#stream = stream;
  }

  get isEnded(): boolean {
    return this.#stream.isRemoteDone;
  }

  get hasInput(): boolean {
    return this.#stream.hasWaiting;
  }

  get unsent(): number {
    return this.#stream.queuedBytes;
  }

  takeInput(): number {
    return this.#stream.takeWaiting();
  }

  /** What is inspected before it passes comes over connections alone. */
  peekInput(): number {
    return NO_BUFFER;
  }

  queue(buffer: number, start: number, end: number): void {
    this.bytesOut += end - start;
    this.#stream.sendData(buffer, start, end);
  }

  flush(): void {}

  resume(): void {}

  resumeOnce(): void {}

  resumeLarge(): void {}

  pause(): void {}

  shutdown(): void {
    if (this.hasShutdown || this.#isClosed) return;
    this.hasShutdown = true;
    this.#stream.endStream();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.owner = undefined;
    this.#stream.sideClosed();
  }

  // ---- told by the stream ----

  /** Bytes came, or the peer's end. */
  received(): void {
    this.owner?.received(this);
  }

  /** What was queued went out. */
  drained(): void {
    this.owner?.drained(this);
  }

  /** The stream was reset, or its connection is lost. */
  gone(): void {
    if (!this.#isClosed) this.owner?.failed(this, EPIPE);
  }
}
