import { fail, type IpAddress, ok, type Result } from "@ha/base";

/** Types of records that servers and rules ask for. RFC 1035 §3.2.2, RFC 3596, RFC 2782. */
export const TYPE_A = 1;
export const TYPE_CNAME = 5;
export const TYPE_AAAA = 28;
export const TYPE_SRV = 33;
const TYPE_OPT = 41;
const CLASS_IN = 1;

export type QuestionType = typeof TYPE_A | typeof TYPE_AAAA | typeof TYPE_SRV;

/** Answer codes that resolvers tell apart. RFC 1035 §4.1.1 */
export const RCODE_NX = 3;
export const RCODE_REFUSED = 5;

/** One record that matters: an address of a name, or a service's place. */
export type DnsRecord =
  | { readonly type: "address"; readonly name: string; readonly address: IpAddress }
  | {
      readonly type: "service";
      readonly name: string;
      readonly target: string;
      readonly port: number;
      readonly weight: number;
      readonly priority: number;
    };

/** An answer, checked against its question. Names are in lower case, without the last dot. */
export interface DnsAnswer {
  readonly id: number;
  readonly rcode: number;
  /** It did not fit: ask with a larger `accepted_payload_size`. */
  readonly truncated: boolean;
  /** Of the answer and of what was added to it; aliases (CNAME) are followed, their records bear the name asked for. */
  readonly records: readonly DnsRecord[];
}

/** Names of counters, as `show resolvers` has them. */
export type DnsRefusal = "invalid" | "cname_error" | "other";

const HEADER = 12;
/** Labels and bytes of a name. RFC 1035 §2.3.4 */
const MOST_LABEL = 63;
const MOST_NAME = 253;
/** Records looked at in one answer, jumps in one name, aliases in a row. */
const MOST_RECORDS = 512;
const MOST_JUMPS = 64;
const MOST_ALIASES = 16;

/** Whether a name can be asked for at all. */
export function isDnsName(name: string): boolean {
  const bare = name.replace(/\.$/, "");
  if (bare === "" || bare.length > MOST_NAME) return false;
  return bare
    .split(".")
    .every((label) => /^[A-Za-z0-9_-]+$/.test(label) && label.length <= MOST_LABEL);
}

/**
 * A question. RFC 1035 §4.1; RFC 6891 for the size that is accepted.
 *
 * @param name One that `isDnsName` takes.
 * @param payloadSize Longest answer in bytes; 512 asks without extension.
 */
export function encodeQuestion(
  id: number,
  name: string,
  type: QuestionType,
  payloadSize: number,
): Uint8Array {
  const bytes: number[] = [id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, payloadSize > 512 ? 1 : 0];
  for (const label of name.replace(/\.$/, "").split(".")) {
    bytes.push(label.length);
    for (const character of label) bytes.push(character.charCodeAt(0));
  }
  bytes.push(0, 0, type, 0, CLASS_IN);
  if (payloadSize > 512) {
    bytes.push(0, 0, TYPE_OPT, payloadSize >> 8, payloadSize & 255, 0, 0, 0, 0, 0, 0);
  }
  return Uint8Array.from(bytes);
}

/** Reads an answer to that question. Never throws, whatever the bytes are. RFC 1035 §4 */
export function decodeAnswer(
  bytes: Uint8Array,
  question: { readonly name: string; readonly type: QuestionType },
): Result<DnsAnswer, DnsRefusal> {
  if (bytes.length < HEADER) return fail("invalid");
  const word = (at: number) => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  const flags = word(2);
  const wanted = question.name.replace(/\.$/, "").toLowerCase();
  if ((flags & 0x8000) === 0 || word(4) !== 1) return fail("invalid");
  const asked = readName(bytes, HEADER);
  if (asked === undefined || asked.next + 4 > bytes.length) return fail("invalid");
  if (asked.name !== wanted || word(asked.next) !== question.type) return fail("invalid");
  const head = { id: word(0), rcode: flags & 15, truncated: (flags & 0x0200) !== 0 };
  if (head.rcode !== 0) return ok({ ...head, records: [] });
  const aliases = new Map<string, string>();
  const records: DnsRecord[] = [];
  const count = Math.min(MOST_RECORDS, word(6) + word(8) + word(10));
  let at = asked.next + 4;
  for (let i = 0; i < count; i++) {
    const owner = readName(bytes, at);
    if (owner === undefined || owner.next + 10 > bytes.length) break;
    const type = word(owner.next);
    const size = word(owner.next + 8);
    const start = owner.next + 10;
    if (start + size > bytes.length) break;
    at = start + size;
    if (word(owner.next + 2) !== CLASS_IN) continue;
    const record = readRecord(bytes, { name: owner.name, type, start, size });
    if (record === undefined) return fail("invalid");
    if (typeof record !== "string") records.push(record);
    else if (record !== SKIPPED) aliases.set(owner.name, record);
  }
  const name = followAliases(wanted, aliases);
  if (name === undefined) return fail("cname_error");
  return ok({
    ...head,
    records: records.map((record) => (record.name === name ? { ...record, name: wanted } : record)),
  });
}

function followAliases(from: string, aliases: ReadonlyMap<string, string>): string | undefined {
  let name = from;
  for (let steps = 0; steps < MOST_ALIASES; steps++) {
    const next = aliases.get(name);
    if (next === undefined) return name;
    name = next;
  }
  return undefined;
}

/** The record, the name that an alias stands for, SKIPPED for other types; undefined when its bytes are wrong. */
function readRecord(
  bytes: Uint8Array,
  {
    name,
    type,
    start,
    size,
  }: {
    readonly name: string;
    readonly type: number;
    readonly start: number;
    readonly size: number;
  },
): DnsRecord | string | undefined {
  switch (type) {
    case TYPE_A:
      if (size !== 4) return undefined;
      return {
        type: "address",
        name,
        address: { family: 4, bytes: bytes.slice(start, start + 4) },
      };
    case TYPE_AAAA:
      if (size !== 16) return undefined;
      return {
        type: "address",
        name,
        address: { family: 6, bytes: bytes.slice(start, start + 16) },
      };
    case TYPE_CNAME:
      return readName(bytes, start)?.name;
    case TYPE_SRV: {
      const target = size < 7 ? undefined : readName(bytes, start + 6);
      if (target === undefined) return undefined;
      const word = (at: number) => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      return {
        type: "service",
        name,
        target: target.name,
        port: word(start + 4),
        weight: word(start + 2),
        priority: word(start),
      };
    }
    default:
      return SKIPPED;
  }
}

/** No name is empty, so this one is none. */
const SKIPPED = "";

/** The name at `at`, with jumps (RFC 1035 §4.1.4), and where it ends there. Undefined when it does not end. */
function readName(
  bytes: Uint8Array,
  at: number,
): { readonly name: string; readonly next: number } | undefined {
  const labels: string[] = [];
  let place = at;
  let next = -1;
  let length = 0;
  for (let jumps = 0; place < bytes.length; ) {
    const size = bytes[place] as number;
    if (size >= 0xc0) {
      if (place + 1 >= bytes.length || ++jumps > MOST_JUMPS) return undefined;
      if (next < 0) next = place + 2;
      place = ((size & 0x3f) << 8) | (bytes[place + 1] as number);
      continue;
    }
    if (size > MOST_LABEL) return undefined;
    if (size === 0) return { name: labels.join("."), next: next < 0 ? place + 1 : next };
    if (place + 1 + size > bytes.length) return undefined;
    length += size + 1;
    if (length > MOST_NAME + 1) return undefined;
    let label = "";
    for (let i = 1; i <= size; i++) label += String.fromCharCode(bytes[place + i] as number);
    labels.push(label.toLowerCase());
    place += size + 1;
  }
  return undefined;
}
