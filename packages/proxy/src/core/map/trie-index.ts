import { encodeText, type Sample } from "../sample/sample.ts";
import { fold, foldByte } from "./fold.ts";
import type { PatternIndex } from "./pattern-index.ts";
import { ByteTrie, type TrieNode } from "./trie.ts";

/** Bytes at which a word of `dir` and `dom` begins and ends. Observed: haproxy 2.6. */
const DELIMITERS = { dir: "/?", dom: "/?.:" } as const;

/** Patterns at the start, at the end, or as words within, by one walk of a trie. */
export class TrieIndex implements PatternIndex {
  readonly method: "beg" | "end" | "dir" | "dom";
  readonly #fold: boolean;
  readonly #isDelimiter: Uint8Array = new Uint8Array(256);
  #trie = new ByteTrie();
  readonly #alive = new Set<number>();

  constructor(method: "beg" | "end" | "dir" | "dom", ignoreCase: boolean) {
    this.method = method;
    this.#fold = ignoreCase;
    if (method === "dir" || method === "dom") {
      for (const byte of encodeText(DELIMITERS[method])) this.#isDelimiter[byte] = 1;
    }
  }

  add(pattern: string, number: number): undefined {
    let bytes = encodeText(pattern);
    if (this.#fold) bytes = fold(bytes);
    if (this.method === "end") bytes = bytes.toReversed();
    if (this.method === "dir" || this.method === "dom") {
      let start = 0;
      let end = bytes.length;
      while (start < end && this.#isDelimiter[bytes[start] as number] === 1) start++;
      while (end > start && this.#isDelimiter[bytes[end - 1] as number] === 1) end--;
      bytes = bytes.slice(start, end);
    }
    this.#trie.insert(bytes, number);
    this.#alive.add(number);
    return undefined;
  }

  remove(number: number): void {
    this.#alive.delete(number);
  }

  clear(): void {
    this.#trie = new ByteTrie();
    this.#alive.clear();
  }

  find({ bytes, start, end }: Sample): number {
    switch (this.method) {
      case "beg":
        return this.#longest(bytes, start, end);
      case "end":
        return this.#suffix(bytes, start, end);
      default:
        return this.#word(bytes, start, end);
    }
  }

  #next(node: TrieNode, byte: number): TrieNode | undefined {
    return node.children.get(this.#fold ? foldByte(byte) : byte);
  }

  #first(node: TrieNode): number {
    for (let i = 0; i < node.patterns.length; i++) {
      const number = node.patterns[i] as number;
      if (this.#alive.has(number)) return number;
    }
    return -1;
  }

  #longest(bytes: Uint8Array, start: number, end: number): number {
    let node: TrieNode | undefined = this.#trie.root;
    let best = this.#first(node);
    for (let at = start; at < end; at++) {
      node = this.#next(node, bytes[at] as number);
      if (node === undefined) break;
      const found = this.#first(node);
      if (found !== -1) best = found;
    }
    return best;
  }

  #suffix(bytes: Uint8Array, start: number, end: number): number {
    let node: TrieNode | undefined = this.#trie.root;
    let best = this.#first(node);
    for (let at = end - 1; at >= start; at--) {
      node = this.#next(node, bytes[at] as number);
      if (node === undefined) break;
      best = lower(best, this.#first(node));
    }
    return best;
  }

  #word(bytes: Uint8Array, start: number, end: number): number {
    let best = -1;
    let mayStart = true;
    for (let from = start; from < end; from++) {
      if (this.#isDelimiter[bytes[from] as number] === 1) {
        mayStart = true;
        continue;
      }
      if (!mayStart) continue;
      mayStart = false;
      let node: TrieNode | undefined = this.#trie.root;
      for (let at = from; at < end; at++) {
        node = this.#next(node, bytes[at] as number);
        if (node === undefined) break;
        if (at + 1 === end || this.#isDelimiter[bytes[at + 1] as number] === 1) {
          best = lower(best, this.#first(node));
        }
      }
    }
    return best;
  }
}

function lower(a: number, b: number): number {
  return a === -1 ? b : b === -1 ? a : Math.min(a, b);
}
