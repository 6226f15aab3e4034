import { type IpAddress, type Micros, micros } from "@ha/base";
import { AUTH_TYPES, OLD_CHECKSUM_GROUP, padded } from "./admission.ts";
import { type Advert, encodeAdvert } from "./advert.ts";
import { sealWithAh } from "./ah.ts";
import { nextSequence, type Sequence, sealWithHmac } from "./hmac.ts";
import type { AdvertKind } from "./machine.ts";
import type { Digests, OutgoingPacket } from "./ports.ts";
import { PROTOCOL_AH, PROTOCOL_VRRP, type Router } from "./router.ts";

/** Adverts for the time when the daemon is away: a guard or a beacon thread sends them as they are. */
export interface PreparedAdverts {
  /** One entry an interval, each with one packet a destination. */
  readonly adverts: readonly (readonly OutgoingPacket[])[];
  /** Two entries of priority 0. */
  readonly farewell: readonly (readonly OutgoingPacket[])[];
  /** Whether the bytes stay good for ever: false where HMAC or AH bind them to time or number. */
  readonly repeatable: boolean;
  /** What the successor of this process must go on from (`VirtualRouter.continueFrom`), lest peers see a replay. */
  readonly sequences: Sequences;
}

/** The last sequence numbers that are used up, or may be. */
export interface Sequences {
  readonly hmac: Sequence | undefined;
  readonly ah: number;
}

export interface EncodeContext {
  readonly router: Router;
  readonly from: IpAddress;
  /** Whether this unicast peer sums version 3 in the old way. */
  readonly usesOldChecksum: (peer: IpAddress) => boolean;
  /** The highest AH sequence number heard: all routers count on from one another. */
  readonly heardAhSequence: () => number;
}

/**
 * Makes the packets of one virtual router. Without HMAC and AH the bytes of a priority are made once and used again, so
 * that an advert costs no more than handing over its packet.
 */
export class AdvertEncoder {
  readonly #digests: Digests;
  readonly #cache = new Map<number, readonly OutgoingPacket[]>();
  #hmacSequence: Sequence | undefined;
  #ahSequence = 0;
  #identification = 0;

  constructor(digests: Digests) {
    this.#digests = digests;
  }

  /** Settings, source or a peer's checksum have changed. Sequences go on. */
  forget(): void {
    this.#cache.clear();
  }

  /** One packet for each destination. `utc` is the wall clock. */
  encode(
    context: EncodeContext,
    advert: { priority: number; kind: AdvertKind; utc: () => Micros },
  ): readonly OutgoingPacket[] {
    if (!isRepeatable(context.router)) {
      return packets(context, advert, (bytes, packet) =>
        this.#seal(context, bytes, packet, advert.utc()),
      );
    }
    const key = advert.priority * 4 + KINDS[advert.kind];
    let cached = this.#cache.get(key);
    if (cached === undefined) {
      cached = packets(context, advert, (_bytes, packet) => packet);
      this.#cache.set(key, cached);
    }
    return cached;
  }

  /**
   * The next `count` adverts and a farewell, one interval apart from now on. Numbers are taken as they would come, and not
   * used up: when others have sent adverts in our place, say so by `sentElsewhere`.
   */
  prepare(
    context: EncodeContext,
    { priority, count, utc }: { priority: number; count: number; utc: Micros },
  ): PreparedAdverts {
    const { router } = context;
    const repeatable = isRepeatable(router);
    const saved = [this.#hmacSequence, this.#ahSequence, this.#identification] as const;
    const at = (index: number, kind: AdvertKind, of: number) =>
      this.encode(context, {
        priority: of,
        kind,
        utc: () => micros(utc + index * router.interval),
      });
    const adverts = Array.from({ length: repeatable ? 1 : count }, (_, i) =>
      at(i + 1, "regular", priority),
    );
    const last = repeatable ? 0 : count;
    const farewell = [at(last, "farewell", 0), at(last, "farewell", 0)];
    const sequences: Sequences = { hmac: this.#hmacSequence, ah: this.#ahSequence };
    [this.#hmacSequence, this.#ahSequence, this.#identification] = saved;
    return { adverts, farewell, repeatable, sequences };
  }

  /** So many prepared adverts have gone out. */
  sentElsewhere(count: number, destinations: number): void {
    this.#ahSequence += count * destinations;
    this.#identification += count * destinations;
  }

  /** What a predecessor may have sent lies behind us. */
  continueFrom({ hmac, ah }: Sequences): void {
    this.#hmacSequence = hmac;
    this.#ahSequence = ah;
  }

  #seal(
    { router, from, heardAhSequence }: EncodeContext,
    bytes: Uint8Array,
    packet: OutgoingPacket,
    utc: Micros,
  ): OutgoingPacket {
    const digests = this.#digests;
    const { authentication, hmac } = router;
    if (authentication.type === "ah") {
      const identification = (this.#identification++ % 0xffff) + 1;
      const { to, ttl } = packet;
      this.#ahSequence = Math.max(this.#ahSequence, heardAhSequence()) + 1;
      const sequence = this.#ahSequence >>> 0;
      const header = { from, to, identification, ttl };
      const sealed = sealWithAh(bytes, header, { key: authentication.key, sequence, digests });
      return { ...packet, protocol: PROTOCOL_AH, identification, bytes: sealed };
    }
    const key = hmac?.keys.get(hmac.activeKey);
    if (hmac === undefined || key === undefined) return packet;
    const sequence = nextSequence(utc, this.#hmacSequence);
    this.#hmacSequence = sequence;
    const { version, family, vrid } = router;
    const sealed = sealWithHmac(
      bytes,
      { version, family, vrid, from },
      { keyId: hmac.activeKey, key, sequence, digests },
    );
    return { ...packet, bytes: sealed };
  }
}

/** Whether one advert is like the next: no digest binds it to its moment. */
export function isRepeatable({ authentication, hmac }: Router): boolean {
  return authentication.type !== "ah" && (hmac === undefined || hmac.mode === "receive-only");
}

function packets(
  { router, from, usesOldChecksum }: EncodeContext,
  { priority, kind }: { priority: number; kind: AdvertKind },
  seal: (bytes: Uint8Array, packet: OutgoingPacket) => OutgoingPacket,
): readonly OutgoingPacket[] {
  const advert = advertOf(router, priority);
  const { destination } = router;
  const unicast = destination.type === "unicast";
  const targets = unicast ? destination.peers.map(({ address }) => address) : [destination.group];
  return targets.map((to) => {
    const old =
      unicast &&
      (destination.oldChecksum === "always" ||
        (destination.oldChecksum === "fall-back" && usesOldChecksum(to)));
    const bytes = encodeAdvert(advert, router, {
      from,
      to: old && router.family === 4 ? OLD_CHECKSUM_GROUP : to,
    });
    const ttl = unicast ? destination.ttl : 255;
    return seal(bytes, {
      kind,
      protocol: PROTOCOL_VRRP,
      from,
      to,
      ttl,
      identification: undefined,
      bytes,
    });
  });
}

function advertOf(router: Router, priority: number): Advert {
  const { vrid, interval, addresses, authentication } = router;
  const v2 = router.version === 2;
  return {
    vrid,
    priority,
    interval,
    addresses,
    authType: v2 ? AUTH_TYPES[authentication.type] : 0,
    authData: v2
      ? padded(authentication.type === "pass" ? authentication.password : NO_PASSWORD)
      : NO_PASSWORD,
  };
}

const KINDS = { regular: 0, extra: 1, farewell: 2 } as const;
const NO_PASSWORD = new Uint8Array(0);
