import { LITTLE_ENDIAN } from "./socket-door.ts";

/** A place in a program that jumps may name before it is known. */
export interface Label {
  at: number;
}

/** Comparison of a jump, against an immediate or a register. */
export type Comparison = "==" | "!=" | ">" | ">=" | "<" | "<=";

const JUMPS: Readonly<Record<Comparison, number>> = {
  "==": 0x10,
  "!=": 0x50,
  ">": 0x20,
  ">=": 0x30,
  "<": 0xa0,
  "<=": 0xb0,
};

type Width = 1 | 2 | 4 | 8;
const WIDTHS: Readonly<Record<Width, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };

/**
 * Writes eBPF instructions (RFC 9669). Registers are numbers: 0 result, 1–5 arguments, 6–9 kept over calls,
 * 10 the frame's end. Only what our socket filters need.
 */
export class EbpfAssembler {
  readonly #instructions: { op: number; registers: number; offset: number; imm: number }[] = [];
  readonly #jumps: { at: number; label: Label }[] = [];

  get length(): number {
    return this.#instructions.length;
  }

  label(): Label {
    return { at: -1 };
  }

  place(label: Label): void {
    label.at = this.#instructions.length;
  }

  moveImmediate(to: number, value: number): void {
    this.#emit(0xb7, to, 0, 0, value);
  }

  move(to: number, from: number): void {
    this.#emit(0xbf, to, from, 0, 0);
  }

  /** 64-bit arithmetic with an immediate. */
  arithmetic(to: number, operation: "+" | "*" | "&" | ">>" | "<<" | "|", value: number): void {
    this.#emit(ARITHMETIC[operation] | 0x07, to, 0, 0, value);
  }

  /** 64-bit arithmetic with a register. */
  combine(to: number, operation: "+" | "-" | "|", from: number): void {
    const code = operation === "-" ? 0x10 : ARITHMETIC[operation];
    this.#emit(code | 0x0f, to, from, 0, 0);
  }

  /** Turns the low 16 bits to network order and clears the rest. */
  toNetworkOrder16(register: number): void {
    this.#emit(0xdc, register, 0, 0, 16);
  }

  load(width: Width, to: number, base: number, offset: number): void {
    this.#emit(0x61 | WIDTHS[width], to, base, offset, 0);
  }

  store(width: Width, base: number, offset: number, from: number): void {
    this.#emit(0x63 | WIDTHS[width], base, from, offset, 0);
  }

  storeImmediate(width: Width, base: number, offset: number, value: number): void {
    this.#emit(0x62 | WIDTHS[width], base, 0, offset, value);
  }

  /** Adds a register to a 64-bit word in memory, atomically. */
  atomicAdd(base: number, offset: number, from: number): void {
    this.#emit(0xdb, base, from, offset, 0);
  }

  /** Loads the address of a map by its descriptor. */
  loadMap(to: number, fd: number): void {
    this.#emit(0x18, to, 1, 0, fd);
    this.#emit(0, 0, 0, 0, 0);
  }

  jump(label: Label): void {
    this.#jumps.push({ at: this.length, label });
    this.#emit(0x05, 0, 0, 0, 0);
  }

  jumpIf(register: number, comparison: Comparison, value: number, label: Label): void {
    this.#jumps.push({ at: this.length, label });
    this.#emit(0x05 | JUMPS[comparison], register, 0, 0, value);
  }

  /** Compares the low 32 bits: immediates are sign-extended in the 64-bit form. */
  jumpIf32(register: number, comparison: Comparison, value: number, label: Label): void {
    this.#jumps.push({ at: this.length, label });
    this.#emit(0x06 | JUMPS[comparison], register, 0, 0, value);
  }

  jumpIfRegister(register: number, comparison: Comparison, other: number, label: Label): void {
    this.#jumps.push({ at: this.length, label });
    this.#emit(0x0d | JUMPS[comparison], register, other, 0, 0);
  }

  call(helper: number): void {
    this.#emit(0x85, 0, 0, 0, helper);
  }

  exit(): void {
    this.#emit(0x95, 0, 0, 0, 0);
  }

  /** The finished program; undefined when a jump is too far (the program is too long). */
  assemble(): Uint8Array | undefined {
    for (const { at, label } of this.#jumps) {
      const offset = label.at - at - 1;
      if (label.at < 0 || offset > 0x7fff || offset < -0x8000) return undefined;
      const instruction = this.#instructions[at];
      if (instruction !== undefined) instruction.offset = offset;
    }
    const bytes = new Uint8Array(8 * this.length);
    const view = new DataView(bytes.buffer);
    for (const [i, { op, registers, offset, imm }] of this.#instructions.entries()) {
      view.setUint8(8 * i, op);
      view.setUint8(8 * i + 1, registers);
      view.setInt16(8 * i + 2, offset, LITTLE_ENDIAN);
      view.setInt32(8 * i + 4, imm, LITTLE_ENDIAN);
    }
    return bytes;
  }

  #emit(op: number, to: number, from: number, offset: number, imm: number): void {
    const registers = LITTLE_ENDIAN ? (from << 4) | to : (to << 4) | from;
    this.#instructions.push({ op, registers, offset, imm: imm | 0 });
  }
}

const ARITHMETIC = { "+": 0x00, "*": 0x20, "|": 0x40, "&": 0x50, "<<": 0x60, ">>": 0x70 } as const;

/** Helper functions that socket filters may call. linux/bpf.h. */
export const HELPER = {
  mapLookup: 1,
  mapUpdate: 2,
  skbLoadBytes: 26,
  skbLoadBytesRelative: 68,
} as const;
