/**
 * Address prefixes of one family, bit by bit: finds the longest that holds an address in at most 32 or 128 steps.
 * Two child links and the first pattern of a node stand in one growing array.
 */
export class PrefixTrie {
  #nodes = new Int32Array(3 * 64);
  #used = 1;
  readonly #patterns = new Map<number, number[]>();

  insert(address: Uint8Array, length: number, pattern: number): void {
    let node = 0;
    for (let bit = 0; bit < length; bit++) {
      const side = ((address[bit >> 3] as number) >> (7 - (bit & 7))) & 1;
      let next = this.#nodes[3 * node + side] as number;
      if (next === 0) {
        next = this.#used++;
        if (3 * this.#used > this.#nodes.length) this.#grow();
        this.#nodes[3 * node + side] = next;
      }
      node = next;
    }
    const there = this.#patterns.get(node);
    if (there === undefined) this.#patterns.set(node, [pattern]);
    else there.push(pattern);
    this.#nodes[3 * node + 2] = 1;
  }

  /** The pattern of the longest prefix, the first added of several, or -1. `isAlive` filters removed ones. */
  find(
    bytes: Uint8Array,
    start: number,
    end: number,
    isAlive: (pattern: number) => boolean,
  ): number {
    let best = -1;
    let node = 0;
    const bits = (end - start) * 8;
    for (let bit = 0; ; bit++) {
      if (this.#nodes[3 * node + 2] === 1) {
        const pattern = this.#patterns.get(node)?.find(isAlive);
        if (pattern !== undefined) best = pattern;
      }
      if (bit === bits) return best;
      const side = ((bytes[start + (bit >> 3)] as number) >> (7 - (bit & 7))) & 1;
      node = this.#nodes[3 * node + side] as number;
      if (node === 0) return best;
    }
  }

  #grow(): void {
    const bigger = new Int32Array(this.#nodes.length * 2);
    bigger.set(this.#nodes);
    this.#nodes = bigger;
  }
}
