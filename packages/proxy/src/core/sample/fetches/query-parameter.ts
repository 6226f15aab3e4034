import { type Sample, STR, setRange } from "../sample.ts";

/**
 * Finds a parameter of a query (or a form body) between `from` and `end`: `name=value`, parted by `&` or `;`.
 * Without a name, the first that has a value. Sets `cursor` and `more` when `iterates`, for ACLs that look at every one.
 */
export function queryParameter(
  bytes: Uint8Array,
  from: number,
  end: number,
  name: Uint8Array | undefined,
  sample: Sample,
  iterates: boolean,
): boolean {
  for (let at = from; at < end; ) {
    let stop = at;
    let equals = -1;
    while (stop < end && bytes[stop] !== AMPERSAND && bytes[stop] !== SEMICOLON) {
      if (equals === -1 && bytes[stop] === EQUALS) equals = stop;
      stop++;
    }
    if (isNamed(bytes, at, equals === -1 ? stop : equals, name)) {
      setRange(sample, STR, bytes, equals === -1 ? stop : equals + 1, stop);
      if (iterates) {
        sample.cursor = stop + 1;
        sample.more = stop + 1 < end;
      }
      return true;
    }
    at = stop + 1;
  }
  return false;
}

const AMPERSAND = 0x26;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;

function isNamed(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: Uint8Array | undefined,
): boolean {
  if (name === undefined) return true;
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false;
  return true;
}
