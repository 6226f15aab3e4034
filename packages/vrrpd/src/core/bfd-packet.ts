import { fail, type Micros, micros, ok, type Result } from "@ha/base";

export type BfdStateName = "admin-down" | "down" | "init" | "up";

/**
 * A BFD control packet without authentication. RFC 5880 §4.1.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
 *     |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
 *     +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
 *     |                       My Discriminator                        |
 *     |                      Your Discriminator                       |
 *     |                    Desired Min TX Interval (µs)               |
 *     |                   Required Min RX Interval (µs)               |
 *     |                 Required Min Echo RX Interval (µs)            |
 *     +---------------------------------------------------------------+
 */
export interface BfdPacket {
  /** Why the sender's session last went down, 0–31. RFC 5880 §4.1. */
  readonly diagnostic: number;
  readonly state: BfdStateName;
  /** The sender waits for a packet with `final`. */
  readonly poll: boolean;
  readonly final: boolean;
  readonly demand: boolean;
  /** 1–255: so many intervals without a packet end the session. */
  readonly multiplier: number;
  /** Never 0. */
  readonly myDiscriminator: number;
  /** 0 while the sender has not heard us. */
  readonly yourDiscriminator: number;
  readonly desiredMinTx: Micros;
  /** 0: the sender wants no packets. */
  readonly requiredMinRx: Micros;
}

/** Why bytes were refused; also the names of the counters. */
export type BfdError =
  | "too-short"
  | "bad-version"
  | "bad-length"
  | "bad-multiplier"
  | "multipoint"
  | "bad-discriminator"
  | "unexpected-authentication";

/** Decodes the payload of a UDP datagram. Never throws. The checks of RFC 5880 §6.8.6 that need no session. */
export function decodeBfd(bytes: Uint8Array): Result<BfdPacket, BfdError> {
  if (bytes.length < SIZE) return fail("too-short");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = view.getUint8(0);
  const flags = view.getUint8(1);
  const length = view.getUint8(3);
  if (first >> 5 !== VERSION) return fail("bad-version");
  if (length < SIZE || length > bytes.length) return fail("bad-length");
  if (view.getUint8(2) === 0) return fail("bad-multiplier");
  if ((flags & MULTIPOINT) !== 0) return fail("multipoint");
  if ((flags & AUTHENTICATION) !== 0) return fail("unexpected-authentication");
  const state = STATES[flags >> 6] as BfdStateName;
  const myDiscriminator = view.getUint32(4);
  const yourDiscriminator = view.getUint32(8);
  if (myDiscriminator === 0) return fail("bad-discriminator");
  if (yourDiscriminator === 0 && (state === "init" || state === "up")) {
    return fail("bad-discriminator");
  }
  return ok({
    diagnostic: first & 0x1f,
    state,
    poll: (flags & POLL) !== 0,
    final: (flags & FINAL) !== 0,
    demand: (flags & DEMAND) !== 0,
    multiplier: view.getUint8(2),
    myDiscriminator,
    yourDiscriminator,
    desiredMinTx: micros(view.getUint32(12)),
    requiredMinRx: micros(view.getUint32(16)),
  });
}

export function encodeBfd(packet: BfdPacket): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, (VERSION << 5) | packet.diagnostic);
  view.setUint8(
    1,
    (STATES.indexOf(packet.state) << 6) |
      (packet.poll ? POLL : 0) |
      (packet.final ? FINAL : 0) |
      (packet.demand ? DEMAND : 0),
  );
  view.setUint8(2, packet.multiplier);
  view.setUint8(3, SIZE);
  view.setUint32(4, packet.myDiscriminator);
  view.setUint32(8, packet.yourDiscriminator);
  view.setUint32(12, packet.desiredMinTx);
  view.setUint32(16, packet.requiredMinRx);
  return bytes;
}

const VERSION = 1;
const SIZE = 24;
const POLL = 0x20;
const FINAL = 0x10;
const AUTHENTICATION = 0x04;
const DEMAND = 0x02;
const MULTIPOINT = 0x01;
const STATES: readonly BfdStateName[] = ["admin-down", "down", "init", "up"];
