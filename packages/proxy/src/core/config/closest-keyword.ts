/**
 * The keyword that a mistyped word most likely meant, by HAProxy's own measure, so that the suggestion is the same:
 * a fingerprint of which letter follows which, compared by the sum of squared differences.
 * Observed: haproxy 2.6.12 (`turbo` suggests nothing, `foo` on a bind line suggests `tfo`).
 */
export function closestKeyword(word: string, known: Iterable<string>): string | undefined {
  const wanted = fingerprint(word);
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = distanceBetween(wanted, fingerprint(candidate));
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  if (best === undefined) return undefined;
  // As HAProxy: far is what differs in more than about the letters of both words together.
  if (least > 2 * word.length || least > 2 * best.length) return undefined;
  return best;
}

/** Classes of characters: a to z (1 to 26), digits, all others with the edge of the word; row 0 says which occur. */
const CLASSES = 32;
const DIGIT = 27;
const OTHER = 28;

const cache = new Map<string, Int16Array>();

function fingerprint(word: string): Int16Array {
  const known = cache.get(word);
  if (known !== undefined) return known;
  const counts = new Int16Array(CLASSES * CLASSES);
  let previous = OTHER;
  for (const character of word.toLowerCase()) {
    const current = classOf(character.charCodeAt(0));
    counts[current] = 1;
    count(counts, previous, current);
    previous = current;
  }
  count(counts, previous, OTHER);
  if (cache.size < 4_096) cache.set(word, counts);
  return counts;
}

function count(counts: Int16Array, from: number, to: number): void {
  const index = CLASSES * from + to;
  counts[index] = (counts[index] as number) + 1;
}

function classOf(code: number): number {
  if (code >= 0x61 && code <= 0x7a) return code - 0x60;
  return code >= 0x30 && code <= 0x39 ? DIGIT : OTHER;
}

function distanceBetween(a: Int16Array, b: Int16Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    sum += difference * difference;
  }
  return sum;
}
