/** One element of DER: its tag, and where its content stands. X.690 §8.1. */
export interface DerElement {
  readonly tag: number;
  /** Where the tag stands: `der.subarray(from, end)` is the whole element. */
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

export const DER_OCTETS = 0x04;
export const DER_SEQUENCE = 0x30;
/** `[n]`, constructed: `DER_CONTEXT + n`. */
export const DER_CONTEXT = 0xa0;

/** The element at `at`; undefined when it reaches past `limit`. Lengths of more than four bytes are refused. */
export function readDer(der: Uint8Array, at: number, limit: number): DerElement | undefined {
  if (at + 2 > limit) return undefined;
  const tag = der[at] as number;
  let length = der[at + 1] as number;
  let start = at + 2;
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size === 0 || size > 4 || start + size > limit) return undefined;
    length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + (der[start + i] as number);
    start += size;
  }
  return start + length > limit ? undefined : { tag, from: at, start, end: start + length };
}

/** The elements inside a constructed one; undefined when one of them reaches past it. */
export function derChildren(
  der: Uint8Array,
  parent: Pick<DerElement, "start" | "end">,
): DerElement[] | undefined {
  const list: DerElement[] = [];
  for (let at = parent.start; at < parent.end; ) {
    const element = readDer(der, at, parent.end);
    if (element === undefined) return undefined;
    list.push(element);
    at = element.end;
  }
  return list;
}

/** The content's bytes as characters of one byte each. */
export function derText(der: Uint8Array, { start, end }: DerElement): string {
  return String.fromCharCode(...der.subarray(start, end));
}
