import {
  fail,
  formatAddress,
  type IpAddress,
  ip,
  type Micros,
  ok,
  type Result,
  sameAddress,
} from "@ha/base";
import { type Advert, advertSize, decodeAdvert } from "./advert.ts";
import { AH_SIZE, openAh } from "./ah.ts";
import { equalBytes, equalSecrets } from "./equal-bytes.ts";
import { clockDifference, compareSequences, openHmac, type Sequence } from "./hmac.ts";
import { REMEMBERED_ADVERTS, REPLAY_SLOTS } from "./limits.ts";
import type { Digests, IncomingPacket } from "./ports.ts";
import { PROTOCOL_AH, PROTOCOL_VRRP, type Router } from "./router.ts";
import type { RefusalReason } from "./statistics.ts";

/** Why a well-formed advert is not for us, or not true. Each value is also the name of a counter. */
export type AdmissionError =
  /** Our own source address: a switch reflects what we sent. */
  | "own-echo"
  | "bad-ttl"
  | "not-a-peer"
  | "wrong-vrid"
  | "auth-type-mismatch"
  | "auth-failure"
  /** Version 2 demands the same interval on all routers. RFC 3768 §7.1. */
  | "interval-mismatch"
  /** With `Conduct.acceptDifferingAddresses` off only. */
  | "addresses-refused";

export interface Admitted {
  readonly advert: Advert;
  /** Its addresses are not ours. Accepted all the same (observed: keepalived 2.4.3; 2.2.7 refuses such adverts). */
  readonly addressesDiffer: boolean;
}

/** The virtual router identifier of a packet, to find whom it is for; undefined when it is too short to have one. */
export function vridOf({ protocol, bytes }: IncomingPacket): number | undefined {
  return bytes[protocol === PROTOCOL_AH ? AH_SIZE + 1 : 1];
}

/** The priority that a packet claims, unverified; undefined when it is too short to have one. */
export function priorityOf({
  protocol,
  bytes,
}: Pick<IncomingPacket, "protocol" | "bytes">): number | undefined {
  return bytes[protocol === PROTOCOL_AH ? AH_SIZE + 2 : 2];
}

/**
 * Decides whether a packet is obeyed: what RFC 9568 §7.1 asks, and what only the configuration knows. Its memory is
 * that of the senders: sequences against replay, the form of checksum they use, and the bytes that came last, since
 * nearly every advert is the one before again.
 */
export class Admission {
  readonly #digests: Digests;
  readonly #remembered: Remembered[] = [];
  readonly #hmacSequences = new Map<string, Sequence>();
  readonly #ahSequences = new Map<string, number>();
  readonly #oldChecksum = new Set<string>();
  #heardAhSequence = 0;

  constructor(digests: Digests) {
    this.#digests = digests;
  }

  /** Settings have changed: what was judged by the old ones is judged again. Sequences stay. */
  forgetAdverts(): void {
    this.#remembered.length = 0;
  }

  /** Whether this peer sums version 3 as old keepalived does for unicast, with the multicast group. */
  usesOldChecksum(peer: IpAddress): boolean {
    return this.#oldChecksum.size > 0 && this.#oldChecksum.has(formatAddress(peer));
  }

  /** The highest AH sequence number of a genuine advert: a router that starts to speak goes on from it. */
  get heardAhSequence(): number {
    return this.#heardAhSequence;
  }

  /** @param source Our own source address. */
  admit(
    router: Router,
    packet: IncomingPacket,
    { source, utc }: { source: IpAddress; utc: () => Micros },
  ): Result<Admitted, RefusalReason> {
    const obeysEcho = router.family === 6 && !router.conduct.ignoreReflected;
    if (!obeysEcho && sameAddress(packet.from, source)) return fail("own-echo");
    const refusal = this.#checkSender(router, packet);
    if (refusal !== undefined) return fail(refusal);

    const { authentication, hmac } = router;
    const expected = authentication.type === "ah" ? PROTOCOL_AH : PROTOCOL_VRRP;
    if (packet.protocol !== expected) return fail("auth-type-mismatch");
    if (authentication.type === "ah") return this.#admitAh(router, packet, authentication.key);
    if (hmac !== undefined) return this.#admitHmac(router, packet, utc());

    for (const known of this.#remembered) if (isSame(known, packet)) return known.result;
    const result = this.#admitAdvert(router, packet, packet.bytes);
    if (result.ok) this.#remember(packet, result);
    return result;
  }

  #checkSender(router: Router, { from, ttl }: IncomingPacket): RefusalReason | undefined {
    const { destination } = router;
    if (destination.type === "multicast") {
      return ttl === undefined || ttl === 255 ? undefined : "bad-ttl";
    }
    const limited = destination.peers.some(
      ({ minTtl, maxTtl }) => minTtl !== undefined || maxTtl !== undefined,
    );
    const peer = destination.peers.find(({ address }) => sameAddress(address, from));
    if (peer === undefined) {
      return destination.checkSource || limited || router.hmac !== undefined
        ? "not-a-peer"
        : undefined;
    }
    if (ttl === undefined) return undefined;
    if (peer.minTtl !== undefined && ttl < peer.minTtl) return "bad-ttl";
    if (peer.maxTtl !== undefined && ttl > peer.maxTtl) return "bad-ttl";
    return undefined;
  }

  /** Everything but digests. */
  #admitAdvert(
    router: Router,
    packet: IncomingPacket,
    bytes: Uint8Array,
  ): Result<Admitted, RefusalReason> {
    const decoded = this.#decode(router, packet, bytes);
    if (!decoded.ok) return decoded;
    const advert = decoded.value;
    if (advert.vrid !== router.vrid) return fail("wrong-vrid");
    if (router.version === 2) {
      const { authentication } = router;
      if (advert.authType !== AUTH_TYPES[authentication.type]) return fail("auth-type-mismatch");
      if (
        authentication.type === "pass" &&
        !equalSecrets(advert.authData, padded(authentication.password))
      ) {
        return fail("auth-failure");
      }
      if (advert.interval !== router.interval) return fail("interval-mismatch");
    }
    const addressesDiffer = !sameAddresses(advert.addresses, router.addresses);
    if (addressesDiffer && !router.conduct.acceptDifferingAddresses && !router.skipCheckAddresses) {
      return fail("addresses-refused");
    }
    return ok({ advert, addressesDiffer });
  }

  #decode(
    router: Router,
    packet: IncomingPacket,
    bytes: Uint8Array,
  ): ReturnType<typeof decodeAdvert> {
    const decoded = decodeAdvert(bytes, router, packet);
    const { destination } = router;
    const mayBeOld =
      router.version === 3 &&
      router.family === 4 &&
      destination.type === "unicast" &&
      destination.oldChecksum !== "never";
    if (!mayBeOld || (!decoded.ok && decoded.error !== "bad-checksum")) return decoded;
    if (decoded.ok) {
      if (this.#oldChecksum.size > 0) this.#oldChecksum.delete(formatAddress(packet.from));
      return decoded;
    }
    const old = decodeAdvert(bytes, router, { from: packet.from, to: OLD_CHECKSUM_GROUP });
    if (old.ok && destination.peers.some(({ address }) => sameAddress(address, packet.from))) {
      this.#oldChecksum.add(formatAddress(packet.from));
    }
    return old;
  }

  #admitAh(
    router: Router,
    packet: IncomingPacket,
    key: Uint8Array,
  ): Result<Admitted, RefusalReason> {
    const { from, to, ttl = 255, identification = 0 } = packet;
    const opened = openAh(
      packet.bytes,
      { from, to, ttl, identification },
      { key, digests: this.#digests },
    );
    if (!opened.ok) return opened;
    const admitted = this.#admitAdvert(router, packet, packet.bytes.subarray(AH_SIZE));
    if (!admitted.ok) return admitted;
    const name = formatAddress(from);
    const last = this.#ahSequences.get(name);
    // A sender that started again counts from 1: believed while its claim is lower than ours, where nothing is lost.
    const restarted =
      admitted.value.advert.priority < router.priority && admitted.value.advert.priority > 0;
    if (last !== undefined && opened.value <= last && !restarted) return fail("ah-replay");
    this.#heardAhSequence = Math.max(this.#heardAhSequence, opened.value);
    remember(this.#ahSequences, name, opened.value, slotsOf(router));
    return admitted;
  }

  #admitHmac(router: Router, packet: IncomingPacket, utc: Micros): Result<Admitted, RefusalReason> {
    const admitted = this.#admitAdvert(router, packet, packet.bytes);
    const { hmac } = router;
    if (!admitted.ok || hmac === undefined) return admitted;
    const size = advertSize(router.version, router.family, admitted.value.advert.addresses.length);
    const opened = openHmac(
      packet.bytes,
      size,
      { version: router.version, family: router.family, vrid: router.vrid, from: packet.from },
      { keys: hmac.keys, digests: this.#digests },
    );
    if (!opened.ok) {
      return opened.error === "hmac-missing" && hmac.mode !== "enforce" ? admitted : opened;
    }
    if (hmac.antiReplay === "time" && clockDifference(utc, opened.value) > hmac.timeWindow) {
      return fail("hmac-clock");
    }
    const name = formatAddress(packet.from);
    const last = this.#hmacSequences.get(name);
    if (last !== undefined && compareSequences(opened.value, last) <= 0) return fail("hmac-replay");
    remember(this.#hmacSequences, name, opened.value, slotsOf(router));
    return admitted;
  }

  #remember(packet: IncomingPacket, result: Result<Admitted, RefusalReason>): void {
    if (this.#remembered.length >= REMEMBERED_ADVERTS) this.#remembered.shift();
    const { from, to, bytes } = packet;
    this.#remembered.push({ from, to, bytes: bytes.slice(), result });
  }
}

interface Remembered {
  readonly from: IpAddress;
  readonly to: IpAddress;
  readonly bytes: Uint8Array;
  readonly result: Result<Admitted, RefusalReason>;
}

function isSame({ from, to, bytes }: Remembered, packet: IncomingPacket): boolean {
  return (
    equalBytes(bytes, packet.bytes) &&
    equalBytes(from.bytes, packet.from.bytes) &&
    equalBytes(to.bytes, packet.to.bytes)
  );
}

/** The eight bytes of PASS. RFC 2338 §5.3.6.2. */
export function padded(password: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes.set(password.subarray(0, 8));
  return bytes;
}

/** The same addresses in any order. */
function sameAddresses(theirs: readonly IpAddress[], ours: readonly IpAddress[]): boolean {
  return (
    theirs.length === ours.length &&
    ours.every((address) => theirs.some((other) => sameAddress(other, address)))
  );
}

/** Senders of genuine adverts only come here, so that a stranger cannot push one out. */
function remember<T>(map: Map<string, T>, name: string, value: T, slots: number): void {
  map.delete(name);
  if (map.size >= slots) {
    for (const oldest of map.keys()) {
      map.delete(oldest);
      break;
    }
  }
  map.set(name, value);
}

function slotsOf({ destination }: Router): number {
  return destination.type === "unicast"
    ? Math.max(destination.peers.length, REPLAY_SLOTS)
    : REPLAY_SLOTS;
}

export const AUTH_TYPES = { none: 0, pass: 1, ah: 2 } as const;
/** What old keepalived takes for the destination of unicast adverts while summing. observed: keepalived 2.2.7. */
export const OLD_CHECKSUM_GROUP = ip("224.0.0.18");
