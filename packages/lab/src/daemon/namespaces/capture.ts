import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Frame, readFrame } from "./frame.ts";
import type { Host, HostProcess } from "./host.ts";
import { now, sleep, until } from "./wall-clock.ts";

/**
 * Every frame that enters a bridge, stamped by the kernel on its way in: also those that a cut then drops. Frames are
 * readable while the capture runs.
 */
export class Capture {
  /** In the order of their time. */
  readonly frames: Frame[] = [];
  readonly #tcpdump: HostProcess;
  #unread: Buffer = Buffer.alloc(0);
  #header: Buffer | undefined;

  private constructor(tcpdump: HostProcess) {
    this.#tcpdump = tcpdump;
    tcpdump.stdout.on("data", (chunk: Buffer) => this.#read(chunk));
  }

  /** @param filter What is captured, as pcap-filter(7) writes it. Default: everything. */
  static async open(host: Host, device: string, filter = ""): Promise<Capture> {
    const tcpdump = host.spawn("tcpdump", [
      ...[
        "-i",
        device,
        "-w",
        "-",
        "-U",
        "--immediate-mode",
        "-s",
        "256",
        "-n",
        "-B",
        "8192",
        "-Z",
        "root",
      ],
      ...(filter === "" ? [] : [filter]),
    ]);
    let said = "";
    tcpdump.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    const capture = new Capture(tcpdump);
    await until("tcpdump to listen", 10_000, () => {
      if (tcpdump.exitCode !== null) throw new Error(`tcpdump ended: ${said}`);
      return said.includes("listening on");
    });
    return capture;
  }

  /** The first frame, at or after `since`, of which `is` holds; waits for it. */
  wait(
    what: string,
    limitMs: number,
    is: (frame: Frame) => boolean,
    since = now(),
  ): Promise<Frame> {
    let next = this.frames.findIndex(({ time }) => time >= since);
    return until(what, limitMs, () => {
      if (next === -1) next = this.frames.findIndex(({ time }) => time >= since);
      for (; next !== -1 && next < this.frames.length; next++) {
        const frame = this.frames[next] as Frame;
        if (is(frame)) return frame;
      }
      return undefined;
    });
  }

  /** Frames from `since` on, up to `end`. */
  between(since: number, end = Number.POSITIVE_INFINITY): Frame[] {
    return this.frames.filter(({ time }) => time >= since && time < end);
  }

  /** Leaves out what is older: a long run must not grow. */
  forget(before: number): void {
    const next = this.frames.findIndex(({ time }) => time >= before);
    this.frames.splice(0, next === -1 ? this.frames.length : next);
  }

  /** Writes all frames as a pcap file. */
  save(path: string): void {
    writeFileSync(path, toPcap(this.frames));
  }

  /** Writes chosen frames as a pcap file in a folder that lives as long as `use` runs. */
  async withFile<T>(frames: readonly Frame[], use: (path: string) => Promise<T>): Promise<T> {
    const folder = mkdtempSync(join(tmpdir(), "capture-"));
    try {
      const path = join(folder, "frames.pcap");
      writeFileSync(path, toPcap(frames));
      return await use(path);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** Waits for what is under way, then ends tcpdump. */
  async close(): Promise<void> {
    await sleep(20);
    if (this.#tcpdump.exitCode !== null || this.#tcpdump.signalCode !== null) return;
    const ended = once(this.#tcpdump, "exit");
    this.#tcpdump.kill("SIGTERM");
    await ended;
  }

  #read(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    if (this.#header === undefined) {
      if (this.#unread.length < PCAP_HEADER_SIZE) return;
      this.#header = this.#unread.subarray(0, PCAP_HEADER_SIZE);
      this.#unread = this.#unread.subarray(PCAP_HEADER_SIZE);
    }
    let at = 0;
    while (at + RECORD_HEADER_SIZE <= this.#unread.length) {
      const size = this.#unread.readUInt32LE(at + 8);
      const end = at + RECORD_HEADER_SIZE + size;
      if (end > this.#unread.length) break;
      const time = this.#unread.readUInt32LE(at) * 1e6 + this.#unread.readUInt32LE(at + 4);
      const bytes = Uint8Array.from(this.#unread.subarray(at + RECORD_HEADER_SIZE, end));
      this.frames.push(readFrame(bytes, time));
      at = end;
    }
    this.#unread = this.#unread.subarray(at);
  }
}

const PCAP_HEADER_SIZE = 24;
const RECORD_HEADER_SIZE = 16;

function toPcap(frames: readonly Frame[]): Buffer {
  const header = Buffer.alloc(PCAP_HEADER_SIZE);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20); // Ethernet
  const parts: Uint8Array[] = [header];
  for (const { time, bytes } of frames) {
    const record = Buffer.alloc(RECORD_HEADER_SIZE);
    record.writeUInt32LE(Math.floor(time / 1e6), 0);
    record.writeUInt32LE(time % 1e6, 4);
    record.writeUInt32LE(bytes.length, 8);
    record.writeUInt32LE(bytes.length, 12);
    parts.push(record, bytes);
  }
  return Buffer.concat(parts);
}
