import { openDatagram, type StreamAddress, sendDatagrams, writeNow } from "@ha/linux/ring";
import type { SocketAddress } from "../core/config/address-model.ts";
import type { LogTarget, RingSection } from "../core/config/section-model.ts";
import { RingServer } from "./ring-server.ts";

/** Bytes of lines that wait for the end of the turn. More are sent at once. */
const ROOM = 65_536;
const MOST_LINES = 512;

/**
 * One `log` target: puts the header before each line, keeps the lines of a turn together and sends them with one
 * call at its end. Never waits: a line that the receiver has no room for is dropped and counted, as by HAProxy.
 */
export class LogSink {
  readonly #target: LogTarget;
  readonly #header: HeaderWriter;
  readonly #bytes = new Uint8Array(ROOM);
  readonly #ends = new Int32Array(MOST_LINES);
  readonly #ring: LogRing | undefined;
  #fd = -1;
  #used = 0;
  #lines = 0;
  #sampled = 0;
  /** Lines that could not be delivered. */
  dropped = 0;

  /** @param ring The buffer that a `ring@name` target writes to. */
  constructor(target: LogTarget, identity: LogIdentity, ring: LogRing | undefined) {
    this.#target = target;
    this.#ring = ring;
    this.#header = headerWriter(target, identity);
  }

  /** Opens the socket: before chroot, or with the path inside it after. A receiver that is not there yet is tried again later. */
  open(): void {
    const { destination } = this.#target;
    if (destination.kind === "stdout") this.#fd = 1;
    else if (destination.kind === "stderr") this.#fd = 2;
    else if (destination.kind === "fd") this.#fd = destination.fd;
    else {
      const address = datagramAddress(destination);
      if (address !== undefined) this.#fd = openDatagram(address);
    }
  }

  /** Whether a line of that level (0 emerg – 7 debug) goes to this target. */
  takes(level: number): boolean {
    return level <= this.#target.level;
  }

  /**
   * Takes a line of `size` bytes, without its end. `wallTime` in milliseconds since 1970. `data` of `dataSize` bytes is
   * the structured data of an RFC 5424 line, in place of "-".
   */
  write(
    level: number,
    line: Uint8Array,
    size: number,
    wallTime: number,
    data = NO_DATA,
    dataSize = 0,
  ): void {
    if (!this.takes(level) || !this.#isSampled()) return;
    if (this.#lines === MOST_LINES || this.#used + size + dataSize + 512 > ROOM) this.flush();
    const severity = Math.max(level, this.#target.minLevel);
    const start = this.#used;
    let at = this.#header(this.#bytes, start, severity, wallTime);
    // The limit counts the whole message with its line feed. HAProxy configuration manual §4.2, log
    const room = Math.min(ROOM - 1, start + this.#target.length - 1);
    if (dataSize > 0 && this.#target.format === "rfc5424") {
      // The header ends with "- ".
      at -= 2;
      const most = Math.max(0, Math.min(dataSize, room - at - 1));
      this.#bytes.set(data.subarray(0, most), at);
      at += most;
      this.#bytes[at++] = SPACE;
    }
    const length = Math.max(0, Math.min(size, room - at));
    if (length === size && size < 256)
      for (let i = 0; i < size; i++) this.#bytes[at + i] = line[i] as number;
    else this.#bytes.set(line.subarray(0, length), at);
    at += length;
    this.#bytes[at++] = 0x0a;
    this.#used = at;
    this.#ends[this.#lines++] = at;
  }

  /** Sends what was written. Called at the end of each turn. */
  flush(): void {
    const lines = this.#lines;
    if (lines === 0) return;
    const size = this.#used;
    this.#lines = this.#used = 0;
    if (this.#ring !== undefined) {
      this.#ring.take(this.#bytes, this.#ends, lines);
      return;
    }
    const { destination } = this.#target;
    if (
      destination.kind === "stdout" ||
      destination.kind === "stderr" ||
      destination.kind === "fd"
    ) {
      if (writeNow(this.#fd, this.#bytes, size) < size) this.dropped += lines;
      return;
    }
    if (this.#fd < 0) this.open();
    if (this.#fd < 0) {
      this.dropped += lines;
      return;
    }
    const sent = sendDatagrams(this.#fd, this.#bytes, this.#ends, lines);
    if (sent === lines) return;
    // A refusal of an earlier datagram is reported on the next: those after it are still to be sent.
    const rest = sent < 0 ? lines : lines - sent;
    const again = sent < 0 ? sendDatagrams(this.#fd, this.#bytes, this.#ends, lines) : sent;
    this.dropped += again < 0 ? rest : lines - again;
  }

  #isSampled(): boolean {
    const { sample } = this.#target;
    if (sample === undefined) return true;
    this.#sampled = (this.#sampled % sample.size) + 1;
    return sample.ranges.some(({ low, high }) => low <= this.#sampled && this.#sampled <= high);
  }
}

const NO_DATA = new Uint8Array(0);
const SPACE = 0x20;

/** Lines kept in memory for `show events`: the newest that fit. They go to the ring's servers as well. */
export class LogRing {
  readonly name: string;
  readonly #limit: number;
  readonly #lines: { readonly at: number; readonly line: Uint8Array }[] = [];
  readonly #servers: readonly RingServer[];
  #size = 0;

  constructor(section: RingSection) {
    this.name = section.name;
    this.#limit = section.sizeBytes;
    this.#servers = section.servers.map((server) => new RingServer(server, section));
  }

  /** Lines that its servers could not be given. */
  get dropped(): number {
    return this.#servers.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  /** Connects to its servers. */
  open(): void {
    for (const server of this.#servers) server.open();
  }

  take(bytes: Uint8Array, ends: Int32Array, count: number): void {
    let start = 0;
    const at = Number(process.hrtime.bigint() / 1000n);
    for (let i = 0; i < count; i++) {
      const end = ends[i] as number;
      const line = bytes.slice(start, end);
      start = end;
      this.#lines.push({ at, line });
      this.#size += line.length;
      for (const server of this.#servers) server.take(line);
    }
    while (this.#size > this.#limit) this.#size -= this.#lines.shift()?.line.length ?? this.#size;
  }

  /** With the microsecond at which each came, by the clock that all threads share. */
  lines(): readonly { readonly at: number; readonly line: Uint8Array }[] {
    return this.#lines;
  }
}

/** Who writes the log. */
export interface LogIdentity {
  /** `log-tag`, or the program's name. */
  readonly tag: string;
  readonly pid: number;
  /** `log-send-hostname`'s, or undefined for none. */
  readonly hostname: string | undefined;
}

type HeaderWriter = (out: Uint8Array, at: number, severity: number, wallTime: number) => number;

/** Headers change once a second at most (or, with fractions, are made each time). Observed: haproxy 2.6.12. */
function headerWriter(target: LogTarget, identity: LogIdentity): HeaderWriter {
  const priority = (severity: number) => `<${target.facility * 8 + severity}>`;
  const { tag, pid } = identity;
  const host = identity.hostname === undefined ? "" : `${identity.hostname} `;
  switch (target.format) {
    case "raw":
      return (_out, at) => at;
    case "short":
      return cached((severity) => `<${severity}>`);
    case "priority":
      return cached(priority);
    case "timed":
      return fresh((severity, wall) => `${priority(severity)}${isoMicros(wall)} `);
    case "iso":
      return fresh((_severity, wall) => `${isoMicros(wall)} `);
    case "rfc5424":
      return fresh(
        (severity, wall) =>
          `${priority(severity)}1 ${isoMicros(wall)} ${identity.hostname ?? "-"} ${tag} ${pid} - - `,
      );
    case "local":
      return cached((severity, wall) => `${priority(severity)}${bsdTime(wall)} ${tag}[${pid}]: `);
    default:
      return cached(
        (severity, wall) => `${priority(severity)}${bsdTime(wall)} ${host}${tag}[${pid}]: `,
      );
  }
}

type HeaderText = (severity: number, wallTime: number) => string;

function cached(text: HeaderText): HeaderWriter {
  let second = -1;
  let severityOf = -1;
  let bytes = new Uint8Array(0);
  return (out, at, severity, wallTime) => {
    const now = Math.floor(wallTime / 1000);
    if (now !== second || severity !== severityOf) {
      second = now;
      severityOf = severity;
      bytes = new TextEncoder().encode(text(severity, wallTime));
    }
    const size = bytes.length;
    for (let i = 0; i < size; i++) out[at + i] = bytes[i] as number;
    return at + size;
  };
}

function fresh(text: HeaderText): HeaderWriter {
  return (out, at, severity, wallTime) => {
    const header = text(severity, wallTime);
    for (let i = 0; i < header.length; i++) out[at + i] = header.charCodeAt(i);
    return at + header.length;
  };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function bsdTime(wallTime: number): string {
  const date = new Date(wallTime);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = String(date.getDate()).padStart(2, " ");
  return `${MONTHS[date.getMonth()]} ${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function isoMicros(wallTime: number): string {
  const date = new Date(wallTime);
  const two = (value: number) => String(value).padStart(2, "0");
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  const micros = Math.floor((wallTime % 1000) * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(micros).padStart(6, "0")}${zone}`;
}

function datagramAddress(
  destination: SocketAddress | { readonly kind: "ring" | "backend" | "stdout" | "stderr" },
): StreamAddress | undefined {
  switch (destination.kind) {
    case "inet":
      return destination.address === undefined
        ? undefined
        : { kind: "inet", address: destination.address, port: destination.port };
    case "unix":
      return { kind: "unix", path: destination.path };
    case "abstract":
      return { kind: "abstract", name: destination.name, padded: destination.padded };
    default:
      return undefined;
  }
}
