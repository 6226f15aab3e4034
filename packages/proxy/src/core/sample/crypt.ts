import { encodeText, latin1 } from "./sample.ts";
import type { Digests } from "./world.ts";

/**
 * crypt(3) for the forms that userlists hold: `$5$` (SHA-256), `$6$` (SHA-512) and `$1$` (MD5). Undefined for other
 * forms (DES, bcrypt, yescrypt) and where the digest is missing. After Ulrich Drepper's "Unix crypt using SHA-256 and SHA-512".
 */
export function crypt(password: Uint8Array, setting: string, digests: Digests): string | undefined {
  const sha = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$]{0,16})/.exec(setting);
  if (sha !== null) {
    const rounds =
      sha[2] === undefined ? undefined : Math.min(999_999_999, Math.max(1000, Number(sha[2])));
    if (rounds !== undefined && rounds > MOST_ROUNDS) return undefined;
    return shaCrypt(
      password,
      sha[1] === "5" ? "sha256" : "sha512",
      rounds,
      sha[3] as string,
      digests,
    );
  }
  const md5 = /^\$1\$([^$]{0,8})/.exec(setting);
  return md5 === null ? undefined : md5Crypt(password, md5[1] as string, digests);
}

/** More would hold up a thread for seconds at each log-in. */
const MOST_ROUNDS = 1_000_000;

const LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function shaCrypt(
  password: Uint8Array,
  name: "sha256" | "sha512",
  rounds: number | undefined,
  saltText: string,
  digests: Digests,
): string | undefined {
  const salt = encodeText(saltText);
  const hash = (...parts: readonly Uint8Array[]): Uint8Array | undefined =>
    digests.hash(name, join(parts));
  const b = hash(password, salt, password);
  if (b === undefined) return undefined;
  const size = b.length;
  const bitwise: Uint8Array[] = [];
  for (let left = password.length; left > 0; left >>= 1) bitwise.push(left & 1 ? b : password);
  const a = hash(password, salt, repeat(b, password.length), ...bitwise);
  const dp = hash(repeat(password, password.length * password.length));
  if (a === undefined || dp === undefined) return undefined;
  const p = repeat(dp, password.length);
  const ds = hash(repeat(salt, salt.length * (16 + (a[0] as number))));
  if (ds === undefined) return undefined;
  const s = repeat(ds, salt.length);
  let c = a;
  const count = rounds ?? 5000;
  for (let round = 0; round < count; round++) {
    const parts: Uint8Array[] = [round % 2 === 1 ? p : c];
    if (round % 3 !== 0) parts.push(s);
    if (round % 7 !== 0) parts.push(p);
    parts.push(round % 2 === 1 ? c : p);
    c = hash(...parts) ?? c;
  }
  const prefix = `$${name === "sha256" ? "5" : "6"}$${rounds === undefined ? "" : `rounds=${rounds}$`}${saltText}$`;
  return prefix + (size === 32 ? sha256Text(c) : sha512Text(c));
}

function sha256Text(c: Uint8Array): string {
  let text = "";
  let [x, y, z] = [0, 10, 20];
  for (let i = 0; i < 10; i++) {
    text += group(c[x] as number, c[y] as number, c[z] as number, 4);
    [x, y, z] = [z + 1, x + 1, y + 1];
  }
  return text + group(0, c[31] as number, c[30] as number, 3);
}

function sha512Text(c: Uint8Array): string {
  let text = "";
  let [x, y, z] = [0, 21, 42];
  for (let i = 0; i < 21; i++) {
    text += group(c[x] as number, c[y] as number, c[z] as number, 4);
    [x, y, z] = [y + 1, z + 1, x + 1];
  }
  return text + group(0, 0, c[63] as number, 2);
}

function group(a: number, b: number, c: number, letters: number): string {
  let value = (a << 16) | (b << 8) | c;
  let text = "";
  for (let i = 0; i < letters; i++) {
    text += LETTERS[value & 63];
    value >>= 6;
  }
  return text;
}

function md5Crypt(password: Uint8Array, saltText: string, digests: Digests): string | undefined {
  const salt = encodeText(saltText);
  const md5 = (...parts: readonly Uint8Array[]): Uint8Array | undefined =>
    digests.hash("md5", join(parts));
  const b = md5(password, salt, password);
  if (b === undefined) return undefined;
  const bitwise: Uint8Array[] = [];
  for (let left = password.length; left > 0; left >>= 1) {
    bitwise.push(left & 1 ? Uint8Array.of(0) : password.slice(0, 1));
  }
  let c = md5(password, encodeText("$1$"), salt, repeat(b, password.length), ...bitwise);
  if (c === undefined) return undefined;
  for (let round = 0; round < 1000; round++) {
    const parts: Uint8Array[] = [round % 2 === 1 ? password : c];
    if (round % 3 !== 0) parts.push(salt);
    if (round % 7 !== 0) parts.push(password);
    parts.push(round % 2 === 1 ? c : password);
    c = md5(...parts) ?? c;
  }
  let text = "";
  for (let i = 0; i < 5; i++) {
    text += group(c[i] as number, c[i + 6] as number, c[i === 4 ? 5 : i + 12] as number, 4);
  }
  return `$1$${latin1(salt, 0, salt.length)}$${text}${group(0, 0, c[11] as number, 2)}`;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The bytes again and again, `length` of them. */
function repeat(bytes: Uint8Array, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => bytes[i % bytes.length] as number);
}
