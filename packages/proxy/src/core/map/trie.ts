/**
 * A trie over bytes whose nodes hold pattern numbers. Grows by insertion; removal is the caller's, who skips
 * numbers that are no longer alive. Nodes are objects: walking one allocates nothing.
 */
export class ByteTrie {
  readonly root: TrieNode = createNode();

  insert(bytes: Uint8Array, pattern: number): void {
    let node = this.root;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] as number;
      let next = node.children.get(byte);
      if (next === undefined) {
        next = createNode();
        node.children.set(byte, next);
      }
      node = next;
    }
    node.patterns.push(pattern);
  }
}

export interface TrieNode {
  readonly children: Map<number, TrieNode>;
  /** In the order they were added. */
  readonly patterns: number[];
}

function createNode(): TrieNode {
  return { children: new Map(), patterns: [] };
}
