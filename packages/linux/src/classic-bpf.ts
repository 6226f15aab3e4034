import type { IpAddress } from "@ha/base";
import { LITTLE_ENDIAN } from "./socket-door.ts";

/** One classic BPF instruction. linux/filter.h. */
export type Classic = {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
};

export const LD_W = 0x20;
export const LD_B = 0x30;
export const LD_B_IND = 0x50;
export const LDX_MSH = 0xb1;
export const LDX_IMM = 0x01;
export const JGE = 0x35;
const JA = 0x05;
const JEQ = 0x15;
const RET = 0x06;
/** Offsets from here on are relative to the network header. linux/filter.h, SKF_NET_OFF. */
export const NETWORK = 0xfff00000;

export const RETURN_ALL: Classic = { code: RET, jt: 0, jf: 0, k: 0xffffffff };
export const RETURN_NOTHING: Classic = { code: RET, jt: 0, jf: 0, k: 0 };

/** Loads and other instructions without jumps. */
export function instruction(code: number, k: number): Classic {
  return { code, jt: 0, jf: 0, k };
}

/** `then` must end with a return. Jumps over it by an unconditional jump, which has no limit of 255. */
export function whenEqual(value: number, then: readonly Classic[]): Classic[] {
  return [
    { code: JEQ, jt: 1, jf: 0, k: value },
    { code: JA, jt: 0, jf: 0, k: then.length },
    ...then,
  ];
}

export function whenNotEqual(value: number, then: readonly Classic[]): Classic[] {
  return [{ code: JEQ, jt: then.length, jf: 0, k: value }, ...then];
}

/** Runs `then`, which must end with a return, when the bytes at `at` are this address. */
export function whenAddress(address: IpAddress, at: number, then: readonly Classic[]): Classic[] {
  const words = address.bytes.length / 4;
  const view = new DataView(address.bytes.buffer, address.bytes.byteOffset);
  const program: Classic[] = [];
  for (let i = 0; i < words; i++) {
    program.push({ code: LD_W, jt: 0, jf: 0, k: at + 4 * i });
    // A word that differs jumps over the words that are left and `then`.
    const left = 2 * (words - 1 - i) + then.length;
    program.push({ code: JEQ, jt: 0, jf: left, k: view.getUint32(4 * i) });
  }
  return [...program, ...then];
}

export function encodeClassic(program: readonly Classic[]): Uint8Array {
  const bytes = new Uint8Array(8 * program.length);
  const view = new DataView(bytes.buffer);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    view.setUint16(8 * i, code, LITTLE_ENDIAN);
    view.setUint8(8 * i + 2, jt);
    view.setUint8(8 * i + 3, jf);
    view.setUint32(8 * i + 4, k >>> 0, LITTLE_ENDIAN);
  }
  return bytes;
}
