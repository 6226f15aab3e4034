import { encodeText, latin1 } from "../sample/sample.ts";
import type { ProxyState } from "../server/proxy-state.ts";
import type { BackendLife, ServerLife, ServerLives } from "./server-life.ts";

/**
 * Lives as one thread publishes them for the others: a slot of text for each server and backend, in shared memory.
 * The writer marks a slot odd while it writes; a reader that met such a mark, or a changed one, reads again.
 */
export class SharedLives implements ServerLives {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #first: readonly number[];
  readonly #fallback: ServerLives;

  /** @param fallback What is said of a slot that was never written. */
  constructor(proxies: readonly ProxyState[], fallback: ServerLives, shared?: SharedArrayBuffer) {
    let slots = 0;
    this.#first = proxies.map(({ servers }) => {
      const first = slots;
      slots += 1 + servers.count;
      return first;
    });
    this.buffer = shared ?? new SharedArrayBuffer(Math.max(1, slots) * SLOT);
    this.#words = new Int32Array(this.buffer);
    this.#bytes = new Uint8Array(this.buffer);
    this.#fallback = fallback;
  }

  server(proxy: number, server: number): ServerLife {
    const base = this.#fallback.server(proxy, server);
    const written = this.#read(this.#slot(proxy) + 1 + server);
    return written === undefined ? base : { ...base, ...(written as Partial<ServerLife>) };
  }

  backend(proxy: number): BackendLife {
    const written = this.#read(this.#slot(proxy));
    return written === undefined ? this.#fallback.backend(proxy) : (written as BackendLife);
  }

  publishServer(proxy: number, server: number, life: ServerLife): void {
    const { state, check, agent, address, checkPort } = life;
    this.#write(this.#slot(proxy) + 1 + server, { state, check, agent, address, checkPort });
  }

  publishBackend(proxy: number, life: BackendLife): void {
    this.#write(this.#slot(proxy), life);
  }

  #slot(proxy: number): number {
    const first = this.#first[proxy];
    if (first === undefined) throw new RangeError(`no proxy ${proxy}`);
    return first;
  }

  #write(slot: number, value: object): void {
    const bytes = encodeText(JSON.stringify(value, encodeBytes));
    // A server's own words in the last check are the only thing without a bound here.
    if (bytes.length > SLOT - HEADER) return;
    const word = (slot * SLOT) / 4;
    Atomics.add(this.#words, word, 1);
    this.#bytes.set(bytes, slot * SLOT + HEADER);
    Atomics.store(this.#words, word + 1, bytes.length);
    Atomics.add(this.#words, word, 1);
  }

  #read(slot: number): unknown {
    const word = (slot * SLOT) / 4;
    for (;;) {
      const mark = Atomics.load(this.#words, word);
      if (mark === 0) return undefined;
      if (mark % 2 !== 0) continue;
      const start = slot * SLOT + HEADER;
      const bytes = this.#bytes.slice(start, start + Atomics.load(this.#words, word + 1));
      if (Atomics.load(this.#words, word) !== mark) continue;
      return JSON.parse(latin1(bytes, 0, bytes.length), decodeBytes);
    }
  }
}

/** Bytes of a slot: the mark, the length, the text. */
const SLOT = 2048;
const HEADER = 8;

function encodeBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { bytes: [...value] } : value;
}

function decodeBytes(key: string, value: unknown): unknown {
  if (key !== "bytes" || typeof value !== "object" || value === null) return value;
  const { bytes } = value as { readonly bytes?: readonly number[] };
  return bytes === undefined ? value : Uint8Array.from(bytes);
}
