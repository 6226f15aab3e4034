/** What HPACK counts for an entry beside its bytes. RFC 7541 §4.1. */
export const ENTRY_OVERHEAD = 32;

/**
 * The dynamic table of one direction of a connection. Entries lie in a ring of bytes, each in one piece, with what is
 * known about them in columns, so that a field that is named again costs no second look. Memory is taken with the
 * first entry. RFC 7541 §2.3.2, §4.
 */
export class DynamicTable {
  /** Where `entry` found names and values. */
  bytes: Uint8Array = NOTHING;
  nameStart: Int32Array = NO_NUMBERS;
  nameEnd: Int32Array = NO_NUMBERS;
  valueEnd: Int32Array = NO_NUMBERS;
  hash: Int32Array = NO_NUMBERS;
  /** What the reader found out of the field: its own bits. */
  traits: Uint8Array = NOTHING;
  #limit: number;
  #size = 0;
  #count = 0;
  /** Slot of the next entry, and place of its bytes. */
  #next = 0;
  #place = 0;
  #mask = 0;
  #capacity = 0;

  /** @param limit Bytes as HPACK counts them; the most that `resize` may ask for. */
  constructor(limit: number) {
    this.#limit = this.#capacity = limit;
  }

  /** Entries. */
  get count(): number {
    return this.#count;
  }

  /** Bytes as HPACK counts them. */
  get size(): number {
    return this.#size;
  }

  get limit(): number {
    return this.#limit;
  }

  /** A smaller or larger limit, up to the capacity. Evicts what is too much. RFC 7541 §4.3. */
  resize(limit: number): void {
    this.#limit = limit;
    this.#evict(limit);
  }

  /** Slot of an entry for the columns; `index` from 0, the newest. -1 when there is none. */
  slot(index: number): number {
    if (index >= this.#count) return -1;
    return (this.#next - 1 - index) & this.#mask;
  }

  /**
   * Puts an entry in front. One larger than the table empties it and is not kept, which is no error. The sources may
   * be this table's own bytes. RFC 7541 §4.4.
   */
  insert(
    names: Uint8Array,
    nameStart: number,
    nameEnd: number,
    values: Uint8Array,
    valueStart: number,
    valueEnd: number,
    hash: number,
    traits: number,
  ): void {
    const name = nameEnd - nameStart;
    const length = name + (valueEnd - valueStart);
    const size = length + ENTRY_OVERHEAD;
    if (size > this.#limit) {
      this.#evict(0);
      return;
    }
    if (this.#mask === 0) this.#allocate();
    this.#evict(this.#limit - size);
    const { bytes } = this;
    // Twice the limit: what is evicted just now still lies behind, also when the name is copied from it.
    if (this.#place + length > bytes.length) this.#place = 0;
    const at = this.#place;
    copy(names, nameStart, nameEnd, bytes, at);
    copy(values, valueStart, valueEnd, bytes, at + name);
    const slot = this.#next;
    this.nameStart[slot] = at;
    this.nameEnd[slot] = at + name;
    this.valueEnd[slot] = at + length;
    this.hash[slot] = hash;
    this.traits[slot] = traits;
    this.#place = at + length;
    this.#next = (slot + 1) & this.#mask;
    this.#count++;
    this.#size += size;
  }

  #evict(limit: number): void {
    while (this.#size > limit) {
      const slot = (this.#next - this.#count) & this.#mask;
      const length = (this.valueEnd[slot] as number) - (this.nameStart[slot] as number);
      this.#size -= length + ENTRY_OVERHEAD;
      this.#count--;
    }
  }

  #allocate(): void {
    let slots = 2;
    while (slots < this.#capacity / ENTRY_OVERHEAD + 1) slots *= 2;
    this.#mask = slots - 1;
    this.bytes = new Uint8Array(this.#capacity * 2);
    this.nameStart = new Int32Array(slots);
    this.nameEnd = new Int32Array(slots);
    this.valueEnd = new Int32Array(slots);
    this.hash = new Int32Array(slots);
    this.traits = new Uint8Array(slots);
  }
}

const NOTHING = new Uint8Array(0);
const NO_NUMBERS = new Int32Array(0);

/** Forwards, byte by byte: source and place may overlap only where the place is in front. */
function copy(source: Uint8Array, start: number, end: number, out: Uint8Array, at: number): void {
  for (let from = start, to = at; from < end; from++, to++) out[to] = source[from] as number;
}
