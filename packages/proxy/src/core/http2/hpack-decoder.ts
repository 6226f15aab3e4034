import { TOKEN } from "../http/bytes.ts";
import { DynamicTable, ENTRY_OVERHEAD } from "./dynamic-table.ts";
import { decodeHuffman } from "./huffman.ts";
import {
  STATIC_ENTRIES,
  staticBytes,
  staticHash,
  staticNameEnd,
  staticNameStart,
  staticValueEnd,
} from "./static-table.ts";

/** What `next` says. */
export const HPACK_FIELD = 1;
/** The block is over. */
export const HPACK_END = 0;
/** The block is broken, and with it the whole connection: COMPRESSION_ERROR. RFC 7541 §5.2, §6 */
export const HPACK_BROKEN = -1;

/** Traits of a field: what RFC 9113 §8.2.1 asks of it, found out once and kept with it in the table. */
export const TRAIT_NAME_VALID = 1;
export const TRAIT_VALUE_VALID = 2;
/** The name begins with a colon. Its other bytes are valid when `TRAIT_NAME_VALID` is set. */
export const TRAIT_PSEUDO = 4;

/** SETTINGS_HEADER_TABLE_SIZE before anybody said otherwise. RFC 9113 §6.5.2 */
const DEFAULT_TABLE = 4_096;
/** Bytes of what Huffman codes of one block may become: a name and a value at a time. */
const WORK = 65_536;

/** Room for decoded strings, shared by all decoders of a thread: nothing in it lives past the next field. */
export function createHpackWork(): Uint8Array {
  return new Uint8Array(WORK * 2);
}

/**
 * Reads header blocks of one direction of a connection, field by field, in place: `next` sets where name and value
 * are, without a copy where they are not Huffman-coded. Every block must be read to its end, or the table no longer
 * is the peer's. RFC 7541 §3.2, §6.
 */
export class HpackDecoder {
  /** Of the field that `next` found. Valid till the next call. */
  names: Uint8Array = staticBytes;
  nameStart = 0;
  nameEnd = 0;
  values: Uint8Array = staticBytes;
  valueStart = 0;
  valueEnd = 0;
  /** Of the name, as `fieldName` makes it. */
  hash = 0;
  traits = 0;
  /** The sum of name, value and 32 for each field of the block so far: what SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  listSize = 0;
  readonly #table: DynamicTable;
  readonly #work: Uint8Array;
  readonly #maxTable: number;
  #source: Uint8Array = staticBytes;
  #at = 0;
  #end = 0;
  /** Whether a field was seen: no change of the table's size may follow. */
  #begun = false;
  /** Of the string read last. */
  #string: Uint8Array = staticBytes;
  #stringStart = 0;
  #stringEnd = 0;

  /** @param tableSize The SETTINGS_HEADER_TABLE_SIZE that we announced. */
  constructor(tableSize: number, work: Uint8Array) {
    // Until the peer says otherwise its table is the default one, whatever we announced. RFC 7541 §4.2
    this.#maxTable = Math.max(tableSize, DEFAULT_TABLE);
    this.#table = new DynamicTable(this.#maxTable);
    this.#table.resize(DEFAULT_TABLE);
    this.#work = work;
  }

  /** A block, whole: all its frames together. */
  begin(source: Uint8Array, start: number, end: number): void {
    this.#source = source;
    this.#at = start;
    this.#end = end;
    this.#begun = false;
    this.listSize = 0;
  }

  /** HPACK_FIELD, HPACK_END or HPACK_BROKEN. */
  next(): number {
    while (this.#at < this.#end) {
      const byte = this.#source[this.#at] as number;
      if (byte >= 0x80) {
        this.#begun = true;
        return this.#indexed(byte);
      }
      if (byte >= 0x40) return this.#literal(byte, 0x3f, true);
      if (byte < 0x20) return this.#literal(byte, 0x0f, false);
      if (this.#begun) return HPACK_BROKEN;
      const size = this.#integer(0x1f);
      if (size < 0 || size > this.#maxTable) return HPACK_BROKEN;
      this.#table.resize(size);
    }
    return HPACK_END;
  }

  #indexed(byte: number): number {
    let index = byte & 0x7f;
    if (index === 0x7f) index = this.#integer(0x7f);
    else this.#at++;
    if (index <= 0) return HPACK_BROKEN;
    if (index <= STATIC_ENTRIES) {
      this.names = this.values = staticBytes;
      this.nameStart = staticNameStart[index] as number;
      this.nameEnd = this.valueStart = staticNameEnd[index] as number;
      this.valueEnd = staticValueEnd[index] as number;
      this.hash = staticHash[index] as number;
      this.traits =
        TRAIT_NAME_VALID | TRAIT_VALUE_VALID | (index <= LAST_STATIC_PSEUDO ? TRAIT_PSEUDO : 0);
    } else {
      const table = this.#table;
      const slot = table.slot(index - STATIC_ENTRIES - 1);
      if (slot < 0) return HPACK_BROKEN;
      this.names = this.values = table.bytes;
      this.nameStart = table.nameStart[slot] as number;
      this.nameEnd = this.valueStart = table.nameEnd[slot] as number;
      this.valueEnd = table.valueEnd[slot] as number;
      this.hash = table.hash[slot] as number;
      this.traits = table.traits[slot] as number;
    }
    this.listSize += this.valueEnd - this.nameStart + ENTRY_OVERHEAD;
    return HPACK_FIELD;
  }

  #literal(byte: number, mask: number, keeps: boolean): number {
    this.#begun = true;
    let index = byte & mask;
    if (index === mask) index = this.#integer(mask);
    else this.#at++;
    if (index < 0) return HPACK_BROKEN;
    if (index === 0) {
      if (!this.#readString(0)) return HPACK_BROKEN;
      this.names = this.#string;
      this.nameStart = this.#stringStart;
      this.nameEnd = this.#stringEnd;
      this.#judgeName();
    } else if (index <= STATIC_ENTRIES) {
      this.names = staticBytes;
      this.nameStart = staticNameStart[index] as number;
      this.nameEnd = staticNameEnd[index] as number;
      this.hash = staticHash[index] as number;
      this.traits = TRAIT_NAME_VALID | (index <= LAST_STATIC_PSEUDO ? TRAIT_PSEUDO : 0);
    } else {
      const table = this.#table;
      const slot = table.slot(index - STATIC_ENTRIES - 1);
      if (slot < 0) return HPACK_BROKEN;
      this.names = table.bytes;
      this.nameStart = table.nameStart[slot] as number;
      this.nameEnd = table.nameEnd[slot] as number;
      this.hash = table.hash[slot] as number;
      this.traits = (table.traits[slot] as number) & ~TRAIT_VALUE_VALID;
    }
    if (!this.#readString(WORK)) return HPACK_BROKEN;
    this.values = this.#string;
    this.valueStart = this.#stringStart;
    this.valueEnd = this.#stringEnd;
    if (isValidValue(this.values, this.valueStart, this.valueEnd)) this.traits |= TRAIT_VALUE_VALID;
    this.listSize +=
      this.nameEnd - this.nameStart + (this.valueEnd - this.valueStart) + ENTRY_OVERHEAD;
    if (keeps) this.#keep();
    return HPACK_FIELD;
  }

  #keep(): void {
    const table = this.#table;
    const isOwn = this.names === table.bytes;
    table.insert(
      this.names,
      this.nameStart,
      this.nameEnd,
      this.values,
      this.valueStart,
      this.valueEnd,
      this.hash,
      this.traits,
    );
    if (!isOwn) return;
    // The name's old place may have been written over: it now stands where the new entry is.
    const slot = table.slot(0);
    if (slot < 0) return;
    this.nameStart = table.nameStart[slot] as number;
    this.nameEnd = table.nameEnd[slot] as number;
  }

  /** An integer with its prefix at the current byte; -1 when it is cut short or beyond 2^28. RFC 7541 §5.1 */
  #integer(mask: number): number {
    const source = this.#source;
    let value = (source[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) return -1;
      const byte = source[this.#at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  /** @param place Where in the work room a Huffman-coded one goes. */
  #readString(place: number): boolean {
    if (this.#at >= this.#end) return false;
    const source = this.#source;
    const isHuffman = (source[this.#at] as number) >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    if (length < 0 || length > this.#end - start) return false;
    this.#at = start + length;
    if (!isHuffman) {
      this.#string = source;
      this.#stringStart = start;
      this.#stringEnd = start + length;
      return true;
    }
    const work = this.#work;
    const end = decodeHuffman(source, start, start + length, work, place, place + WORK);
    if (end < 0) return false;
    this.#string = work;
    this.#stringStart = place;
    this.#stringEnd = end;
    return true;
  }

  /** Hash and traits of a name that was spelled out. */
  #judgeName(): void {
    const { names, nameStart, nameEnd } = this;
    const isPseudo = nameStart < nameEnd && names[nameStart] === COLON;
    let isValid = nameEnd - nameStart > (isPseudo ? 1 : 0);
    let hash = 0;
    for (let at = nameStart; at < nameEnd; at++) {
      const byte = names[at] as number;
      // Capitals are malformed: TOKEN maps them to another byte.
      if (TOKEN[byte] !== byte && !(isPseudo && at === nameStart)) isValid = false;
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    // TOKEN of a byte that is none is 0, and so is NUL itself.
    if (isValid) for (let at = nameStart; at < nameEnd; at++) if (names[at] === 0) isValid = false;
    this.hash = hash;
    this.traits = (isValid ? TRAIT_NAME_VALID : 0) | (isPseudo ? TRAIT_PSEUDO : 0);
  }
}

const COLON = 0x3a;
/** Entries 1 to 14 are pseudo-header fields. */
const LAST_STATIC_PSEUDO = 14;

/** No control characters but tab, and no blank at either end. RFC 9113 §8.2.1, RFC 9110 §5.5. */
export function isValidValue(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true;
  if ((bytes[start] as number) <= 0x20 || (bytes[end - 1] as number) <= 0x20) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return false;
  }
  return true;
}
