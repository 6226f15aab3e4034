import type { Micros } from "@ha/base";
import type { TrackedEntry } from "../transaction.ts";
import { addToRate, RATE_WORDS, readRate } from "./rate.ts";
import { lock, unlock } from "./spin-lock.ts";

/** What a `stick-table` line says (`config/section-model.ts` has the same shape and more). */
export interface StickTableSpec {
  readonly name: string;
  readonly type: "ip" | "ipv6" | "integer" | "string" | "binary";
  /** Bytes of a key; of strings and binaries the longest kept. */
  readonly keySize: number;
  /** Most entries. */
  readonly size: number;
  /** Undefined: entries stay until room is needed. */
  readonly expire: Micros | undefined;
  /** Full means full: no entry makes room for another. */
  readonly nopurge: boolean;
  readonly store: readonly StoredSpec[];
}

export interface StoredSpec {
  readonly name: string;
  /** Of a rate. */
  readonly period: Micros | undefined;
  /** Of an array (gpc, gpt, gpc_rate); else 1. */
  readonly elements: number;
}

/** A stored datum, found at load so that running code needs no names. */
export interface Field {
  readonly name: string;
  readonly kind: "count" | "wide" | "rate";
  /** Words from the entry's data to the first element. */
  readonly offset: number;
  readonly elements: number;
  /** Milliseconds; 0 when it is no rate. */
  readonly period: number;
}

/** No entry. */
export const NO_ENTRY = -1;

/**
 * A stick table over one `SharedArrayBuffer`: entries in chains by hash, and in a list by last use, so that the
 * one to expire or to make room is always at its end. HAProxy configuration manual §4.2, stick-table.
 *
 * Entries are numbers. `find` and `obtain` give them *held*: an entry held cannot go, and each hold ends with one
 * `release`. Times are milliseconds of the process's monotonic clock.
 *
 *   words: lock | used | free head | newest | oldest | buckets… | per entry: COLUMNS… | data… ; then key bytes
 */
export class StickTable {
  readonly spec: StickTableSpec;
  readonly buffer: SharedArrayBuffer;
  readonly fields: ReadonlyMap<string, Field>;
  /** 0: never. */
  readonly expireMilliseconds: number;
  readonly #fields: Map<string, Field>;
  readonly #servers: readonly Field[];
  readonly #words: Int32Array;
  readonly #keys: Uint8Array;
  readonly #buckets: number;
  readonly #bucketsAt: number;
  readonly #entriesAt: number;
  readonly #stride: number;

  /** @param shared The buffer of another thread's table of the same line. */
  constructor(spec: StickTableSpec, shared?: SharedArrayBuffer) {
    this.spec = spec;
    this.expireMilliseconds = spec.expire === undefined ? 0 : spec.expire / 1000;
    const { fields, words, servers } = layOut(spec.store);
    this.fields = fields;
    this.#fields = fields;
    this.#servers = servers;
    this.#stride = COLUMNS + words;
    this.#buckets = 2 ** Math.ceil(Math.log2(Math.max(2, spec.size)));
    this.#bucketsAt = HEADER;
    this.#entriesAt = HEADER + this.#buckets;
    const total = this.#entriesAt + this.#stride * spec.size;
    this.buffer = shared ?? new SharedArrayBuffer(total * 4 + spec.size * spec.keySize);
    this.#words = new Int32Array(this.buffer, 0, total);
    this.#keys = new Uint8Array(this.buffer, total * 4);
  }

  /** Entries in it just now, expired ones that nobody swept yet among them. */
  get used(): number {
    return Atomics.load(this.#words, USED);
  }

  field(name: string): Field | undefined {
    return this.fields.get(name);
  }

  /** `stick` rules use it: from now on it has `server_id` and `server_key`, whether its line names them or not. */
  keepServers(): void {
    for (const field of this.#servers) this.#fields.set(field.name, field);
  }

  /** The entry of the key, held, or `NO_ENTRY`. Does not prolong its life. */
  find(bytes: Uint8Array, start: number, end: number, now: number): number {
    const hash = this.#hash(bytes, start, end);
    lock(this.#words, LOCK);
    const entry = this.#lookup(hash, bytes, start, end, now);
    if (entry !== NO_ENTRY) this.#words[this.#at(entry) + REFERENCES] = this.references(entry) + 1;
    unlock(this.#words, LOCK);
    return entry;
  }

  /** As `find`, and makes the entry when there is none; `NO_ENTRY` when the table is full and keeps all it has. */
  obtain(bytes: Uint8Array, start: number, end: number, now: number): number {
    const hash = this.#hash(bytes, start, end);
    const words = this.#words;
    lock(words, LOCK);
    let entry = this.#lookup(hash, bytes, start, end, now);
    if (entry === NO_ENTRY) {
      entry = this.#create(hash, bytes, start, end, now);
    } else {
      this.#touch(entry, now);
    }
    if (entry !== NO_ENTRY) words[this.#at(entry) + REFERENCES] = this.references(entry) + 1;
    unlock(words, LOCK);
    return entry;
  }

  /** Ends one hold. `now` also prolongs the entry's life (HAProxy touches at the end of tracking). */
  release(entry: number, now?: number): void {
    lock(this.#words, LOCK);
    const at = this.#at(entry);
    this.#words[at + REFERENCES] = (this.#words[at + REFERENCES] as number) - 1;
    if (now !== undefined) this.#touch(entry, now);
    unlock(this.#words, LOCK);
  }

  /** Takes one more hold on an entry that is held. */
  hold(entry: number): void {
    lock(this.#words, LOCK);
    this.#words[this.#at(entry) + REFERENCES] = this.references(entry) + 1;
    unlock(this.#words, LOCK);
  }

  /** Full life from now on. The entry must be held. */
  touch(entry: number, now: number): void {
    lock(this.#words, LOCK);
    this.#touch(entry, now);
    unlock(this.#words, LOCK);
  }

  /** Holds on it: what `trackers` counts, `find`'s own among them. */
  references(entry: number): number {
    return this.#words[this.#at(entry) + REFERENCES] as number;
  }

  /** Milliseconds until it expires; 0 when it is over, Infinity for a table without `expire`. */
  expiresIn(entry: number, now: number): number {
    if (this.expireMilliseconds === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, ((this.#words[this.#at(entry) + EXPIRES] as number) - now) | 0);
  }

  /** Milliseconds since it was last used. */
  idleFor(entry: number, now: number): number {
    if (this.expireMilliseconds === 0) {
      return (now - (this.#words[this.#at(entry) + EXPIRES] as number)) >>> 0;
    }
    return Math.max(0, this.expireMilliseconds - this.expiresIn(entry, now));
  }

  /** A copy of the key. */
  key(entry: number): Uint8Array {
    const start = entry * this.spec.keySize;
    return this.#keys.slice(start, start + (this.#words[this.#at(entry) + KEY_LENGTH] as number));
  }

  /** Value of an element, as HAProxy prints it: a rate's events per period, else the number. */
  read(entry: number, field: Field, element: number, now: number): number {
    const at = this.#dataAt(entry, field, element);
    if (field.kind === "rate") return readRate(this.#words, at, field.period, now);
    const low = Atomics.load(this.#words, at) >>> 0;
    return field.kind === "count" ? low : low + (Atomics.load(this.#words, at + 1) >>> 0) * 2 ** 32;
  }

  /** Adds to a counter (modulo 2^32 as HAProxy's, 2^53 for bytes) or counts events of a rate. Gives the new value of a counter. */
  add(entry: number, field: Field, element: number, amount: number, now: number): number {
    const words = this.#words;
    const at = this.#dataAt(entry, field, element);
    if (field.kind === "rate") {
      addToRate(words, at, field.period, now, amount);
      return readRate(words, at, field.period, now);
    }
    const before = Atomics.add(words, at, amount | 0) >>> 0;
    if (field.kind === "wide") {
      const carry = Math.floor((before + amount) / 2 ** 32);
      if (carry !== 0) Atomics.add(words, at + 1, carry);
    }
    return (before + amount) % 2 ** 32;
  }

  /** One less, but never below zero: `conn_cur` at the end of a connection. */
  decrement(entry: number, field: Field): void {
    const at = this.#dataAt(entry, field, 0);
    for (;;) {
      const value = Atomics.load(this.#words, at);
      if (value === 0 || Atomics.compareExchange(this.#words, at, value, value - 1) === value)
        return;
    }
  }

  /** Sets a counter; of a rate, the events of the current period. Gives the value before. */
  set(entry: number, field: Field, element: number, value: number, now: number): number {
    const at = this.#dataAt(entry, field, element);
    if (field.kind === "rate") {
      const before = readRate(this.#words, at, field.period, now);
      Atomics.store(this.#words, at, now | 0);
      Atomics.store(this.#words, at + 1, value | 0);
      Atomics.store(this.#words, at + 2, 0);
      return before;
    }
    const before = Atomics.exchange(this.#words, at, (value % 2 ** 32) | 0) >>> 0;
    if (field.kind === "wide") Atomics.store(this.#words, at + 1, Math.floor(value / 2 ** 32));
    return before;
  }

  /** Forgets an entry that only the caller holds, and ends that hold. False (and still held) when others hold it too. */
  remove(entry: number): boolean {
    lock(this.#words, LOCK);
    const free = this.references(entry) === 1;
    if (free) this.#forget(entry);
    unlock(this.#words, LOCK);
    return free;
  }

  /** Forgets entries whose time is over, at most `most` of them; says how many. Called now and then by one thread. */
  sweep(now: number, most: number): number {
    if (this.expireMilliseconds === 0) return 0;
    let count = 0;
    lock(this.#words, LOCK);
    let entry = (this.#words[OLDEST] as number) - 1;
    while (entry >= 0 && count < most && this.#isExpired(entry, now)) {
      const newer = (this.#words[this.#at(entry) + NEWER] as number) - 1;
      if (this.references(entry) === 0) {
        this.#forget(entry);
        count++;
      }
      entry = newer;
    }
    unlock(this.#words, LOCK);
    return count;
  }

  /** Every living entry from the oldest, each held while the caller looks at it: `show table`. */
  *entries(now: number): Generator<number> {
    let entry = this.#step(NO_ENTRY, now);
    while (entry !== NO_ENTRY) {
      yield entry;
      entry = this.#step(entry, now);
    }
  }

  /** Releases `entry` and holds the next newer one. */
  #step(entry: number, now: number): number {
    const words = this.#words;
    lock(words, LOCK);
    let next = (entry === NO_ENTRY ? words[OLDEST] : words[this.#at(entry) + NEWER]) as number;
    if (entry !== NO_ENTRY) {
      words[this.#at(entry) + REFERENCES] = this.references(entry) - 1;
    }
    while (next !== 0 && this.#isExpired(next - 1, now)) {
      next = words[this.#at(next - 1) + NEWER] as number;
    }
    if (next !== 0) words[this.#at(next - 1) + REFERENCES] = this.references(next - 1) + 1;
    unlock(words, LOCK);
    return next - 1;
  }

  #at(entry: number): number {
    return this.#entriesAt + entry * this.#stride;
  }

  #dataAt(entry: number, field: Field, element: number): number {
    return this.#at(entry) + COLUMNS + field.offset + element * WORDS_OF[field.kind];
  }

  /** FNV-1a over the key; a padded binary hashes as its padded form. */
  #hash(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0x811c9dc5;
    const stop = Math.min(end, start + this.spec.keySize);
    for (let at = start; at < stop; at++) {
      hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
    }
    hash ^= hash >>> 15;
    return hash | 0;
  }

  #lookup(hash: number, bytes: Uint8Array, start: number, end: number, now: number): number {
    const words = this.#words;
    const length = Math.min(end - start, this.spec.keySize);
    let entry = (words[this.#bucketsAt + (hash & (this.#buckets - 1))] as number) - 1;
    while (entry !== NO_ENTRY) {
      const at = this.#at(entry);
      if (words[at + HASH] === hash && this.#hasKey(entry, bytes, start, length)) {
        if (!this.#isExpired(entry, now)) return entry;
        if (this.references(entry) > 0) return entry;
        this.#forget(entry);
        return NO_ENTRY;
      }
      entry = (words[at + CHAIN] as number) - 1;
    }
    return NO_ENTRY;
  }

  #hasKey(entry: number, bytes: Uint8Array, start: number, length: number): boolean {
    if (this.#words[this.#at(entry) + KEY_LENGTH] !== length) return false;
    const key = entry * this.spec.keySize;
    for (let i = 0; i < length; i++) if (this.#keys[key + i] !== bytes[start + i]) return false;
    return true;
  }

  #isExpired(entry: number, now: number): boolean {
    if (this.expireMilliseconds === 0) return false;
    return (((this.#words[this.#at(entry) + EXPIRES] as number) - now) | 0) <= 0;
  }

  #create(hash: number, bytes: Uint8Array, start: number, end: number, now: number): number {
    const words = this.#words;
    let entry = this.#takeFree();
    if (entry === NO_ENTRY && this.#makeRoom(now)) entry = this.#takeFree();
    if (entry === NO_ENTRY) return NO_ENTRY;

    const at = this.#at(entry);
    words.fill(0, at, at + this.#stride);
    const length = Math.min(end - start, this.spec.keySize);
    const key = entry * this.spec.keySize;
    for (let i = 0; i < length; i++) this.#keys[key + i] = bytes[start + i] as number;
    words[at + KEY_LENGTH] = length;
    words[at + HASH] = hash;
    const bucket = this.#bucketsAt + (hash & (this.#buckets - 1));
    words[at + CHAIN] = words[bucket] as number;
    words[bucket] = entry + 1;
    words[USED] = (words[USED] as number) + 1;
    words[at + EXPIRES] = (now + this.expireMilliseconds) | 0;
    this.#linkNewest(entry);
    return entry;
  }

  /** Never-used entries first (their number is `HIGH_WATER`), then those given back. */
  #takeFree(): number {
    const words = this.#words;
    const given = words[FREE] as number;
    if (given !== 0) {
      words[FREE] = words[this.#at(given - 1) + CHAIN] as number;
      return given - 1;
    }
    const next = words[HIGH_WATER] as number;
    if (next === this.spec.size) return NO_ENTRY;
    words[HIGH_WATER] = next + 1;
    return next;
  }

  /** Forgets what is expired, else (unless `nopurge`) the longest unused 1/256 of the entries that nobody holds. */
  #makeRoom(now: number): boolean {
    const words = this.#words;
    let wanted = 1 + (this.spec.size >> 8);
    let entry = (words[OLDEST] as number) - 1;
    let made = false;
    while (entry >= 0 && wanted > 0) {
      const newer = (words[this.#at(entry) + NEWER] as number) - 1;
      const expired = this.#isExpired(entry, now);
      if (!expired && this.spec.nopurge) break;
      if (this.references(entry) === 0) {
        this.#forget(entry);
        made = true;
        wanted--;
      }
      entry = newer;
    }
    return made;
  }

  #forget(entry: number): void {
    const words = this.#words;
    const at = this.#at(entry);
    let link = this.#bucketsAt + ((words[at + HASH] as number) & (this.#buckets - 1));
    while (words[link] !== entry + 1) link = this.#at((words[link] as number) - 1) + CHAIN;
    words[link] = words[at + CHAIN] as number;
    this.#unlink(entry);
    words[at + CHAIN] = words[FREE] as number;
    words[FREE] = entry + 1;
    words[USED] = (words[USED] as number) - 1;
  }

  #touch(entry: number, now: number): void {
    this.#words[this.#at(entry) + EXPIRES] = (now + this.expireMilliseconds) | 0;
    if (this.#words[NEWEST] === entry + 1) return;
    this.#unlink(entry);
    this.#linkNewest(entry);
  }

  #linkNewest(entry: number): void {
    const words = this.#words;
    const before = words[NEWEST] as number;
    const at = this.#at(entry);
    words[at + OLDER] = before;
    words[at + NEWER] = 0;
    if (before === 0) words[OLDEST] = entry + 1;
    else words[this.#at(before - 1) + NEWER] = entry + 1;
    words[NEWEST] = entry + 1;
  }

  #unlink(entry: number): void {
    const words = this.#words;
    const at = this.#at(entry);
    const older = words[at + OLDER] as number;
    const newer = words[at + NEWER] as number;
    if (older === 0) words[OLDEST] = newer;
    else words[this.#at(older - 1) + NEWER] = newer;
    if (newer === 0) words[NEWEST] = older;
    else words[this.#at(newer - 1) + OLDER] = older;
  }
}

/** A tracked entry: what `track-sc` puts into a session or transaction. Ends `conn_cur` and the hold when released. */
export class Tracked implements TrackedEntry {
  readonly table: StickTable;
  readonly entry: number;
  readonly #now: () => number;
  #released = false;

  /** @param entry Held by the caller, whose hold passes to this. */
  constructor(table: StickTable, entry: number, now: () => number) {
    this.table = table;
    this.entry = entry;
    this.#now = now;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    const current = this.table.field("conn_cur");
    if (current !== undefined) this.table.decrement(this.entry, current);
    this.table.release(this.entry, this.#now());
  }
}

/** Header words. */
const LOCK = 0;
const USED = 1;
const FREE = 2;
const NEWEST = 3;
const OLDEST = 4;
const HIGH_WATER = 5;
const HEADER = 6;

/** Words of each entry before its data. Links are the entry's number plus 1; 0 is none. */
const HASH = 0;
const CHAIN = 1;
const OLDER = 2;
const NEWER = 3;
const REFERENCES = 4;
/** Milliseconds modulo 2^32; without `expire`, when it was last used. */
const EXPIRES = 5;
const KEY_LENGTH = 6;
const COLUMNS = 7;

const WORDS_OF = { count: 1, wide: 2, rate: RATE_WORDS } as const;

function layOut(store: readonly StoredSpec[]): {
  fields: Map<string, Field>;
  words: number;
  servers: Field[];
} {
  const fields = new Map<string, Field>();
  let words = 0;
  for (const { name, period, elements } of store) {
    const kind = period !== undefined ? "rate" : WIDE.has(name) ? "wide" : "count";
    fields.set(name, {
      name,
      kind,
      offset: words,
      elements,
      period: period === undefined ? 0 : Math.max(1, period / 1000),
    });
    words += WORDS_OF[kind] * elements;
  }
  // Room that every table has, for `keepServers`: rules are compiled after the shared memory is laid out.
  const servers: Field[] = [];
  for (const name of ["server_id", "server_key"]) {
    if (fields.has(name)) continue;
    servers.push({ name, kind: "count", offset: words++, elements: 1, period: 0 });
  }
  return { fields, words, servers };
}

const WIDE = new Set(["bytes_in_cnt", "bytes_out_cnt"]);
