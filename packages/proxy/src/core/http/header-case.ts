import { CR, LF, TOKEN } from "./bytes.ts";

/** Spells the field names of a head anew, in place: `start`–`end` is a whole head as it goes out. */
export type HeaderSpeller = (bytes: Uint8Array, start: number, end: number) => void;

/**
 * Header names as `h1-case-adjust` wants them, for ends that tell them apart by case against RFC 9110 §5.1. Nothing
 * moves, since only case changes. Differs from HAProxy, which makes all other names lower case: here they stay as they
 * came. HAProxy configuration manual §3.2, h1-case-adjust.
 *
 * @param spellings Lower-case name to the spelling wanted.
 */
export function headerSpeller(spellings: ReadonlyMap<string, string>): HeaderSpeller | undefined {
  if (spellings.size === 0) return undefined;
  const byLength: { readonly lower: Uint8Array; readonly spelt: Uint8Array }[][] = [];
  for (const [from, to] of spellings) {
    const entry = { lower: codes(from), spelt: codes(to) };
    byLength[from.length] = [...(byLength[from.length] ?? []), entry];
  }
  return (bytes, start, end) => {
    let at = nextLine(bytes, start, end);
    while (at < end && bytes[at] !== CR) {
      let stop = at;
      while (stop < end && TOKEN[bytes[stop] as number] !== 0) stop++;
      for (const { lower, spelt } of byLength[stop - at] ?? []) {
        if (isName(bytes, at, lower)) bytes.set(spelt, at);
      }
      at = nextLine(bytes, stop, end);
    }
  };
}

function codes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function isName(bytes: Uint8Array, at: number, lower: Uint8Array): boolean {
  for (let i = 0; i < lower.length; i++) {
    if (TOKEN[bytes[at + i] as number] !== lower[i]) return false;
  }
  return true;
}

function nextLine(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== LF) at++;
  return at + 1;
}
