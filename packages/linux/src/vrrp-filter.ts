import type { Family, IpAddress } from "@ha/base";
import { type Comparison, EbpfAssembler, HELPER, type Label } from "./ebpf.ts";
import { LITTLE_ENDIAN } from "./socket-door.ts";
import {
  type FilterRouter,
  IPPROTO_AH,
  IPPROTO_VRRP,
  type KernelFilter,
  REJECT_REASONS,
  type RejectReason,
} from "./vrrp-transport.ts";

/** The two maps that a counting filter writes: by reason, and by sender. */
export interface FilterMaps {
  /** Array of 64-bit counters, one for each of `REJECT_REASONS`. */
  readonly totals: number;
  /** LRU hash: sender key (`SENDER_KEY_SIZE` bytes) to a 64-bit counter. */
  readonly senders: number;
}

/** 16 bytes of source address (IPv4 in the first four), VRID, index of the reason, two zeros. */
export const SENDER_KEY_SIZE = 20;

/**
 * Where things are in the frame of the program, as offsets from its end.
 *
 *     -512 … -256   the advert, for its checksum
 *      -96 … -56    IP header
 *      -56 … -48    VRRP header
 *      -48 … -28    sender key
 *      -24          scratch: reason (4), AH header (4)
 *      -16          scratch: counter, or authentication data (8)
 */
const ADVERT = -512;
const ADVERT_LIMIT = 256;
const IP = -96;
const VRRP = -56;
const KEY = -48;
const SCRATCH = -24;
const VALUE = -16;

const FRAME = 10;
const CONTEXT = 6;
/** Kept over calls: where the advert begins, then the sum over it. */
const START = 7;
const SUM = 8;
/** Length from the VRRP header to the end of the packet. */
const LENGTH = 9;

const FROM_NETWORK_HEADER = 1;
const PASS = -1;
/** Of the AH header with HMAC-MD5-96 before an advert. RFC 4302 §2, RFC 2403. */
export const AH_SIZE = 24;

/**
 * The filter as an eBPF socket program for a raw socket of this family and protocol. Undefined when it would be too
 * long for a jump, with some hundreds of routers and many sources each.
 */
export function ebpfFilter(
  filter: KernelFilter,
  kind: { readonly family: Family; readonly protocol: number },
  maps: FilterMaps,
): Uint8Array | undefined {
  return new FilterWriter(filter, kind, maps).write();
}

class FilterWriter {
  readonly #out = new EbpfAssembler();
  readonly #filter: KernelFilter;
  readonly #family: Family;
  readonly #protocol: number;
  readonly #maps: FilterMaps;
  readonly #rejects = new Map<RejectReason, Label>();
  readonly #accept: Label = { at: -1 };
  /** One piece of checksum code serves all routers of the same version and forms. */
  readonly #sums = new Map<string, { label: Label; router: FilterRouter }>();

  constructor(
    filter: KernelFilter,
    kind: { readonly family: Family; readonly protocol: number },
    maps: FilterMaps,
  ) {
    this.#filter = filter;
    this.#family = kind.family;
    this.#protocol = kind.protocol;
    this.#maps = maps;
  }

  write(): Uint8Array | undefined {
    const out = this.#out;
    out.move(CONTEXT, 1);
    for (let at = KEY; at < KEY + 24; at += 8) out.storeImmediate(8, FRAME, at, 0);
    this.#readHeaders();
    const size = this.#family === 4 ? 4 : 16;
    for (const own of this.#filter.ownAddresses) {
      if (own.family !== this.#family) continue;
      this.#ifAddress(this.#sourceAt, own, this.#reject("own-source"), size);
    }
    this.#dispatch();
    for (const { label, router } of this.#sums.values()) this.#checksum(label, router);
    // The kernel refuses a program with instructions that nothing reaches.
    if (this.#filter.routers.length > 0) {
      out.place(this.#accept);
      out.moveImmediate(0, PASS);
      out.exit();
    }
    this.#writeRejects();
    return out.assemble();
  }

  get #sourceAt(): number {
    return IP + (this.#family === 4 ? 12 : 8);
  }

  /** IP header, sender key, VRRP header, and the length of what follows the IP (and AH) header. */
  #readHeaders(): void {
    const out = this.#out;
    const tooShort = this.#reject("too-short");
    if (this.#family === 4) {
      // The kernel shows a raw IPv4 socket the packet from its IP header on.
      this.#loadBytes(IP, 20, undefined);
      out.jumpIf(0, "!=", 0, tooShort);
      out.load(4, 1, FRAME, IP + 12);
      out.store(4, FRAME, KEY, 1);
      out.load(1, START, FRAME, IP);
      out.arithmetic(START, "&", 0x0f);
      out.arithmetic(START, "<<", 2);
    } else {
      // A raw IPv6 socket's filter sees the payload; the header is asked for by the network header's place.
      out.move(1, CONTEXT);
      out.moveImmediate(2, 0);
      this.#frameAddress(3, IP);
      out.moveImmediate(4, 40);
      out.moveImmediate(5, FROM_NETWORK_HEADER);
      out.call(HELPER.skbLoadBytesRelative);
      out.jumpIf(0, "!=", 0, tooShort);
      for (const at of [0, 8]) {
        out.load(8, 1, FRAME, IP + 8 + at);
        out.store(8, FRAME, KEY + at, 1);
      }
      out.moveImmediate(START, 0);
    }
    if (this.#protocol === IPPROTO_AH) {
      this.#loadBytes(SCRATCH, 4, START);
      out.jumpIf(0, "!=", 0, tooShort);
      out.load(1, 1, FRAME, SCRATCH);
      out.jumpIf(1, "!=", IPPROTO_VRRP, this.#reject("other"));
      out.load(1, 1, FRAME, SCRATCH + 1);
      // The header's own length, in 32-bit words less two. RFC 4302 §2.2.
      out.jumpIf(1, "!=", AH_SIZE / 4 - 2, this.#reject("other"));
      out.arithmetic(START, "+", AH_SIZE);
    }
    this.#loadBytes(VRRP, 8, START);
    out.jumpIf(0, "!=", 0, tooShort);
    out.load(1, 1, FRAME, VRRP + 1);
    out.store(1, FRAME, KEY + 16, 1);
    out.load(4, LENGTH, CONTEXT, 0);
    out.combine(LENGTH, "-", START);
  }

  /** Finds the router by its VRID; none of ours is refused. */
  #dispatch(): void {
    const out = this.#out;
    const routers = this.#filter.routers.map((router) => ({ router, label: out.label() }));
    out.load(1, 1, FRAME, VRRP + 1);
    for (const { router, label } of routers) out.jumpIf(1, "==", router.vrid, label);
    out.jump(this.#reject("vrid"));
    for (const { router, label } of routers) {
      out.place(label);
      this.#router(router);
    }
  }

  #router(router: FilterRouter): void {
    const out = this.#out;
    out.load(1, 1, FRAME, IP + (this.#family === 4 ? 8 : 7));
    if (router.minTtl > 0) out.jumpIf(1, "<", router.minTtl, this.#reject("ttl"));
    if (router.maxTtl < 255) out.jumpIf(1, ">", router.maxTtl, this.#reject("ttl"));
    out.load(1, 1, FRAME, VRRP);
    out.move(2, 1);
    out.arithmetic(2, ">>", 4);
    out.jumpIf(2, "!=", router.version, this.#reject("version"));
    out.arithmetic(1, "&", 0x0f);
    out.jumpIf(1, "!=", 1, this.#reject("type"));
    this.#advertSize(1, router);
    out.jumpIfRegister(LENGTH, "<", 1, this.#reject("length"));
    if (router.version === 2) this.#authentication(router);
    if (router.sources !== undefined) this.#sources(router.sources);
    if (router.checksums.length === 0) {
      out.jump(this.#accept);
      return;
    }
    const key = `${router.version} ${router.checksums.map((sum) => (typeof sum === "string" ? sum : sum.bytes.join("."))).join(" ")}`;
    const known = this.#sums.get(key) ?? { label: out.label(), router };
    this.#sums.set(key, known);
    out.jump(known.label);
  }

  /** Bytes from the VRRP header to the end of what the version defines, by the packet's own count of addresses. */
  #advertSize(register: number, router: FilterRouter): void {
    const out = this.#out;
    out.load(1, register, FRAME, VRRP + 3);
    out.arithmetic(register, "<<", this.#family === 4 ? 2 : 4);
    // Version 2 always ends with eight bytes of authentication data. RFC 3768 §5.3.10.
    out.arithmetic(register, "+", router.version === 2 ? 16 : 8);
  }

  #authentication({ authentication }: FilterRouter): void {
    if (authentication === "any") return;
    const out = this.#out;
    const type = authentication === "none" ? 0 : authentication === "ah" ? 2 : 1;
    out.load(1, 1, FRAME, VRRP + 4);
    out.jumpIf(1, "!=", type, this.#reject("auth-type"));
    if (typeof authentication === "string") return;
    // The data are the last eight bytes that the count of addresses leaves room for.
    out.load(1, 2, FRAME, VRRP + 3);
    out.arithmetic(2, "<<", 2);
    out.arithmetic(2, "+", 8);
    out.combine(2, "+", START);
    out.move(1, CONTEXT);
    this.#frameAddress(3, VALUE);
    out.moveImmediate(4, 8);
    out.call(HELPER.skbLoadBytes);
    out.jumpIf(0, "!=", 0, this.#reject("length"));
    for (const at of [0, 4]) {
      out.load(4, 1, FRAME, VALUE + at);
      out.jumpIf32(1, "!=", word(authentication.pass, at), this.#reject("auth-data"));
    }
  }

  #sources(sources: readonly IpAddress[]): void {
    const out = this.#out;
    const found = out.label();
    const size = this.#family === 4 ? 4 : 16;
    for (const source of sources) {
      if (source.family === this.#family) this.#ifAddress(this.#sourceAt, source, found, size);
    }
    out.jump(this.#reject("source"));
    out.place(found);
  }

  /** Jumps to `target` when the address in the frame is this one, else goes on. */
  #ifAddress(at: number, address: IpAddress, target: Label, size: number): void {
    const out = this.#out;
    const next = out.label();
    for (let i = 0; i < size; i += 4) {
      out.load(4, 1, FRAME, at + i);
      const last = i + 4 === size;
      const comparison: Comparison = last ? "==" : "!=";
      out.jumpIf32(1, comparison, word(address.bytes, i), last ? target : next);
    }
    out.place(next);
  }

  /** Sums the advert with each of the allowed pseudo-headers; longer ones than the frame holds are left to the core. */
  #checksum(label: Label, router: FilterRouter): void {
    const out = this.#out;
    out.place(label);
    for (let at = 0; at < ADVERT_LIMIT; at += 8) out.storeImmediate(8, FRAME, ADVERT + at, 0);
    this.#advertSize(LENGTH, router);
    out.jumpIf(LENGTH, ">", ADVERT_LIMIT, this.#accept);
    out.move(1, CONTEXT);
    out.move(2, START);
    this.#frameAddress(3, ADVERT);
    out.move(4, LENGTH);
    out.call(HELPER.skbLoadBytes);
    out.jumpIf(0, "!=", 0, this.#reject("length"));
    out.moveImmediate(SUM, 0);
    for (let at = 0; at < ADVERT_LIMIT; at += 4) {
      out.load(4, 1, FRAME, ADVERT + at);
      out.combine(SUM, "+", 1);
    }
    for (const form of router.checksums) {
      out.move(1, SUM);
      if (form !== "plain") this.#addPseudoHeader(form === "pseudo" ? undefined : form);
      for (let fold = 0; fold < 4; fold++) {
        out.move(2, 1);
        out.arithmetic(2, ">>", 16);
        out.arithmetic(1, "&", 0xffff);
        out.combine(1, "+", 2);
      }
      out.jumpIf(1, "==", 0xffff, this.#accept);
    }
    out.jump(this.#reject("checksum"));
  }

  /** Adds the words of RFC 9568 §5.2.8's pseudo-header to register 1, in memory order like the rest of the sum. */
  #addPseudoHeader(destination: IpAddress | undefined): void {
    const out = this.#out;
    const size = this.#family === 4 ? 4 : 16;
    const source = this.#sourceAt;
    for (let at = 0; at < size; at += 4) {
      out.load(4, 2, FRAME, source + at);
      out.combine(1, "+", 2);
      if (destination === undefined) {
        out.load(4, 2, FRAME, source + size + at);
      } else {
        // Through the scratch word, since an immediate would be sign-extended.
        out.storeImmediate(4, FRAME, SCRATCH, word(destination.bytes, at));
        out.load(4, 2, FRAME, SCRATCH);
      }
      out.combine(1, "+", 2);
    }
    out.arithmetic(1, "+", LITTLE_ENDIAN ? IPPROTO_VRRP << 8 : IPPROTO_VRRP);
    out.move(2, LENGTH);
    out.toNetworkOrder16(2);
    out.combine(1, "+", 2);
  }

  #writeRejects(): void {
    const out = this.#out;
    const count = out.label();
    for (const [reason, label] of this.#rejects) {
      out.place(label);
      out.moveImmediate(SUM, REJECT_REASONS.indexOf(reason));
      out.jump(count);
    }
    out.place(count);
    out.store(4, FRAME, SCRATCH, SUM);
    out.store(1, FRAME, KEY + 17, SUM);
    const sender = out.label();
    this.#lookup(this.#maps.totals, SCRATCH);
    out.jumpIf(0, "==", 0, sender);
    out.moveImmediate(1, 1);
    out.atomicAdd(0, 0, 1);
    out.place(sender);
    const fresh = out.label();
    const drop = out.label();
    this.#lookup(this.#maps.senders, KEY);
    out.jumpIf(0, "==", 0, fresh);
    out.moveImmediate(1, 1);
    out.atomicAdd(0, 0, 1);
    out.jump(drop);
    out.place(fresh);
    out.storeImmediate(8, FRAME, VALUE, 1);
    out.loadMap(1, this.#maps.senders);
    this.#frameAddress(2, KEY);
    this.#frameAddress(3, VALUE);
    out.moveImmediate(4, 0);
    out.call(HELPER.mapUpdate);
    out.place(drop);
    out.moveImmediate(0, 0);
    out.exit();
  }

  #lookup(map: number, keyAt: number): void {
    this.#out.loadMap(1, map);
    this.#frameAddress(2, keyAt);
    this.#out.call(HELPER.mapLookup);
  }

  /** skb_load_bytes(context, offset register or 0, frame + to, size) */
  #loadBytes(to: number, size: number, offset: number | undefined): void {
    const out = this.#out;
    out.move(1, CONTEXT);
    if (offset === undefined) out.moveImmediate(2, 0);
    else out.move(2, offset);
    this.#frameAddress(3, to);
    out.moveImmediate(4, size);
    out.call(HELPER.skbLoadBytes);
  }

  #frameAddress(register: number, at: number): void {
    this.#out.move(register, FRAME);
    this.#out.arithmetic(register, "+", at);
  }

  #reject(reason: RejectReason): Label {
    const known = this.#rejects.get(reason);
    if (known !== undefined) return known;
    const label = this.#out.label();
    this.#rejects.set(reason, label);
    return label;
  }
}

/** Four bytes as the kernel loads them from memory. */
function word(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(at, LITTLE_ENDIAN);
}
