import { type FieldName, HEAD_CHANGED, HEAD_CHANGED_LINE, type Head } from "./head.ts";

/**
 * Room for bytes that rules write, in the slab, so that offsets reach them. Taken from the buffer pool when
 * the first byte is needed, given back when the transaction ends: nothing written here outlives it.
 */
export interface Scratch {
  /** Where the next byte goes: an absolute slab offset. Valid after `reserve`. */
  used: number;
  /** First offset past the room. */
  end: number;
  /**
   * Makes sure that `size` bytes may be written from `used` on (which may move to a new buffer).
   * False when they cannot: more than a buffer, or the pool is empty. The rule then fails as in HAProxy.
   */
  reserve(size: number): boolean;
}

/**
 * One message, with the operations that rules need. Offsets are into `bytes`, the slab; a value stays where
 * it was received until a rule replaces it by one in scratch.
 */
export class Message {
  readonly bytes: Uint8Array;
  readonly head: Head;
  readonly scratch: Scratch;
  /** Body bytes that are here (with `http-buffer-request`, `wait-for-body`, or by chance): decoded of chunks. */
  bodyStart = 0;
  bodyEnd = 0;
  /** Whether `bodyStart`–`bodyEnd` is the whole body. */
  bodyComplete = false;

  constructor(bytes: Uint8Array, head: Head, scratch: Scratch) {
    this.bytes = bytes;
    this.head = head;
    this.scratch = scratch;
  }

  /**
   * Index of the next field of that name at or after `from`, or -1. Deleted fields are never found.
   */
  find(name: FieldName, from = 0): number {
    const { nameHash, fields } = this.head;
    const hash = name.hash;
    for (let field = from; field < fields; field++) {
      if (nameHash[field] === hash && this.#isNamed(field, name)) return field;
    }
    return -1;
  }

  /** Index of the last field of that name, or -1: what most sample fetches take. */
  findLast(name: FieldName): number {
    const { nameHash } = this.head;
    for (let field = this.head.fields - 1; field >= 0; field--) {
      if (nameHash[field] === name.hash && this.#isNamed(field, name)) return field;
    }
    return -1;
  }

  /** How many fields have the name. */
  count(name: FieldName): number {
    let count = 0;
    for (let at = this.find(name); at >= 0; at = this.find(name, at + 1)) count++;
    return count;
  }

  isDeleted(field: number): boolean {
    return this.head.nameEnd[field] === this.head.nameStart[field];
  }

  /**
   * Appends a field whose value stands at `start`–`end` in the slab.
   * False when the head or the scratch is full.
   */
  addField(name: FieldName, start: number, end: number): boolean {
    const { head, scratch } = this;
    const size = name.bytes.length;
    if (head.fields === head.nameHash.length || !scratch.reserve(size)) return false;
    const field = head.fields++;
    const at = scratch.used;
    for (let i = 0; i < size; i++) this.bytes[at + i] = name.bytes[i] as number;
    scratch.used = at + size;
    head.nameHash[field] = name.hash;
    head.nameStart[field] = at;
    head.nameEnd[field] = at + size;
    head.valueStart[field] = start;
    head.valueEnd[field] = end;
    head.flags |= HEAD_CHANGED;
    return true;
  }

  /** Replaces every field of the name by one. False as `addField`. */
  setField(name: FieldName, start: number, end: number): boolean {
    this.deleteField(name);
    return this.addField(name, start, end);
  }

  /** Gives one field a new value. */
  replaceValue(field: number, start: number, end: number): void {
    this.head.valueStart[field] = start;
    this.head.valueEnd[field] = end;
    this.head.flags |= HEAD_CHANGED;
  }

  /** Deletes every field of the name; says how many there were. */
  deleteField(name: FieldName): number {
    let count = 0;
    for (let at = this.find(name); at >= 0; at = this.find(name, at + 1)) {
      this.deleteAt(at);
      count++;
    }
    return count;
  }

  deleteAt(field: number): void {
    const { head } = this;
    head.nameEnd[field] = head.nameStart[field] as number;
    head.flags |= HEAD_CHANGED;
  }

  /** The method's new bytes; the code is the caller's (`METHOD_OTHER` for any other token). */
  setMethod(code: number, start: number, end: number): void {
    this.head.method = code;
    this.head.methodStart = start;
    this.head.methodEnd = end;
    this.head.flags |= HEAD_CHANGED | HEAD_CHANGED_LINE;
  }

  /**
   * The whole request target; `pathStart` is where its path begins, within it (equal to `start` in origin
   * form). Finds the query anew.
   */
  setTarget(start: number, end: number, pathStart: number): void {
    const { head } = this;
    head.targetStart = start;
    head.targetEnd = end;
    head.pathStart = pathStart;
    let query = pathStart;
    while (query < end && this.bytes[query] !== QUESTION_MARK) query++;
    head.queryStart = query;
    head.flags |= HEAD_CHANGED | HEAD_CHANGED_LINE;
  }

  /** Of a response: 100–999 and its reason's bytes. */
  setStatus(status: number, reasonStart: number, reasonEnd: number): void {
    const { head } = this;
    head.status = status;
    head.reasonStart = reasonStart;
    head.reasonEnd = reasonEnd;
    head.flags |= HEAD_CHANGED | HEAD_CHANGED_LINE;
  }

  #isNamed(field: number, name: FieldName): boolean {
    const start = this.head.nameStart[field] as number;
    const expected = name.bytes;
    if ((this.head.nameEnd[field] as number) - start !== expected.length) return false;
    for (let i = 0; i < expected.length; i++) {
      let byte = this.bytes[start + i] as number;
      if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
      if (byte !== expected[i]) return false;
    }
    return true;
  }
}

const QUESTION_MARK = 0x3f;
