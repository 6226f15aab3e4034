/**
 * The Huffman code of HPACK, for reading. RFC 7541 §5.2, Appendix B: the code is canonical, so the lengths of its
 * words say all. Two table look-ups a byte, and no more than one symbol from each: no word is shorter than five bits.
 */

/** Bits of each symbol's word; the last is the end of string, which must never stand in one. */
const LENGTHS =
  "13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28 " +
  "6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10 " +
  "13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6 " +
  "15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28 " +
  "20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24 " +
  "22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23 " +
  "26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27 " +
  "20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 " +
  "30";

const END_OF_STRING = 256;

/** By state and four bits: the next state in the low bits, `EMITS` when a symbol is complete, or FAILS. */
const STEPS = new Uint16Array(257 * 16);
const SYMBOLS = new Uint8Array(257 * 16);
/** 1 for states in which a string may end: fewer than eight bits, all of them ones. */
const MAY_END = new Uint8Array(257);
const EMITS = 0x200;
const FAILS = 0x400;
const STATE = 0x1ff;

buildTables();

function buildTables(): void {
  const words = LENGTHS.split(" ").map((text, symbol) => ({ bits: Number(text), symbol }));
  words.sort((a, b) => a.bits - b.bits || a.symbol - b.symbol);
  // A tree first: two children by node, 0 for none; a negative number is the symbol -1 - n.
  const children: [number, number][] = [[0, 0]];
  let code = 0;
  let before = words[0]?.bits ?? 0;
  for (const { bits, symbol } of words) {
    code *= 2 ** (bits - before);
    before = bits;
    let node = 0;
    for (let bit = bits - 1; bit >= 0; bit--) {
      const side = Math.floor(code / 2 ** bit) % 2 === 1 ? 1 : 0;
      const pair = children[node] as [number, number];
      if (bit === 0) pair[side] = -1 - symbol;
      else {
        if (pair[side] === 0) {
          pair[side] = children.length;
          children.push([0, 0]);
        }
        node = pair[side];
      }
    }
    code++;
  }
  for (let state = 0; state < children.length; state++) {
    for (let four = 0; four < 16; four++) {
      let node = state;
      let step = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const next = (children[node] as [number, number])[(four >> bit) & 1] as number;
        if (next >= 0) node = next;
        else if (next === -1 - END_OF_STRING) step = FAILS;
        else {
          step |= EMITS;
          SYMBOLS[state * 16 + four] = -1 - next;
          node = 0;
        }
        if (step === FAILS) break;
      }
      STEPS[state * 16 + four] = step === FAILS ? FAILS : step | node;
    }
  }
  let node = 0;
  for (let bits = 0; bits < 8; bits++) {
    MAY_END[node] = 1;
    node = (children[node] as [number, number])[1];
  }
}

/**
 * Decodes `start`–`end` of `source` to `at` in `out`, not past `limit`: the end there, or -1 when the code is broken,
 * badly padded, or longer than the room.
 */
export function decodeHuffman(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
  limit: number,
): number {
  let state = 0;
  let to = at;
  for (let from = start; from < end; from++) {
    const byte = source[from] as number;
    if (to + 2 > limit) return -1;
    let place = (state << 4) | (byte >> 4);
    let step = STEPS[place] as number;
    if ((step & EMITS) !== 0) out[to++] = SYMBOLS[place] as number;
    else if (step === FAILS) return -1;
    place = ((step & STATE) << 4) | (byte & 0x0f);
    step = STEPS[place] as number;
    if ((step & EMITS) !== 0) out[to++] = SYMBOLS[place] as number;
    else if (step === FAILS) return -1;
    state = step & STATE;
  }
  return MAY_END[state] === 1 ? to : -1;
}
