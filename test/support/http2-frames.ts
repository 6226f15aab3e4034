import { connect, type Socket } from "node:net";
import { pause } from "./proxy-pair.ts";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const TYPES = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
  "CONTINUATION",
];

/** One frame: `type` by its number, payload as bytes. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | string = "",
): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "latin1") : Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** A literal field that is not kept: name and value in plain bytes. */
export function literal(name: string, value: string): string {
  return `\0${text(name)}${text(value)}`;
}

function text(value: string): string {
  if (value.length < 127) return String.fromCharCode(value.length) + value;
  let rest = value.length - 127;
  let size = "\x7f";
  for (; rest >= 128; rest >>= 7) size += String.fromCharCode((rest & 127) | 128);
  return size + String.fromCharCode(rest) + value;
}

/** The block of `GET http://a<path>`. */
export function get(path = "/", more = ""): string {
  return `\x82\x86${literal(":authority", "a")}${literal(":path", path)}${more}`;
}

/** A raw HTTP/2 client: writes any frames, and keeps what comes. */
export class RawHttp2 {
  readonly frames: {
    readonly type: string;
    readonly flags: number;
    readonly stream: number;
    readonly payload: Buffer;
  }[] = [];
  isClosed = false;
  readonly #socket: Socket;
  #pending = Buffer.alloc(0);

  constructor(
    port: number,
    options: { readonly preface?: string; readonly settings?: string } = {},
  ) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.isClosed = true;
    });
    this.#socket.on("data", (chunk) => this.#take(chunk));
    this.#socket.write(options.preface ?? PREFACE, "latin1");
    this.#socket.write(frame(4, 0, 0, options.settings ?? ""));
  }

  write(...frames: readonly Buffer[]): void {
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat(frames));
  }

  /** Reads no more. */
  stall(): void {
    this.#socket.pause();
  }

  end(): void {
    this.#socket.destroy();
  }

  /** Waits for a frame of that type (and stream); what it says, or "closed" when the connection ends without. */
  async until(type: string, stream?: number, milliseconds = 3_000): Promise<string> {
    const end = performance.now() + milliseconds;
    for (;;) {
      const found = this.frames.find(
        (one) => one.type === type && (stream === undefined || one.stream === stream),
      );
      if (found !== undefined) return told(found);
      if (this.isClosed) return "closed";
      if (performance.now() > end) return "nothing";
      await pause(5);
    }
  }

  /** The first of RST_STREAM and GOAWAY, as `reset 1` or `goaway 11`; "closed", or "nothing". */
  async verdict(milliseconds = 3_000): Promise<string> {
    const end = performance.now() + milliseconds;
    for (;;) {
      const found = this.frames.find(({ type }) => type === "RST_STREAM" || type === "GOAWAY");
      if (found !== undefined) return told(found);
      if (this.isClosed) return "closed";
      if (performance.now() > end) return "nothing";
      await pause(5);
    }
  }

  /** Body bytes of a stream so far. */
  body(stream: number): string {
    const data = this.frames.filter((one) => one.type === "DATA" && one.stream === stream);
    return Buffer.concat(data.map(({ payload }) => payload)).toString("latin1");
  }

  #take(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 9) {
      const size = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + size) return;
      const type = this.#pending[3] as number;
      this.frames.push({
        type: TYPES[type] ?? String(type),
        flags: this.#pending[4] as number,
        stream: this.#pending.readUInt32BE(5),
        payload: this.#pending.subarray(9, 9 + size),
      });
      this.#pending = this.#pending.subarray(9 + size);
    }
  }
}

function told({ type, payload }: { readonly type: string; readonly payload: Buffer }): string {
  if (type === "RST_STREAM") return `reset ${payload.readUInt32BE(0)}`;
  if (type === "GOAWAY") return `goaway ${payload.readUInt32BE(4)}`;
  return `${type} ${payload.toString("hex")}`;
}
