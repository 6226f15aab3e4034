import { mask, P64_1, P64_2, P64_3, P64_4, P64_5, read32u, read64, rotate64 } from "./xxhash.ts";

/** xxHash's XXH3 function, 64 bits (version 0.8 of the specification). Unsigned. */
export function xxh3(bytes: Uint8Array, start: number, end: number, seed: bigint): bigint {
  const length = end - start;
  if (length <= 16) return upTo16(bytes, start, length, seed);
  if (length <= 128) return upTo128(bytes, start, length, seed);
  if (length <= 240) return upTo240(bytes, start, length, seed);
  return long(bytes, start, length, seed === 0n ? SECRET : secretFor(seed));
}

const P32_1 = 0x9e3779b1n;
const P32_2 = 0x85ebca77n;
const P32_3 = 0xc2b2ae3dn;
const PRIME_MX1 = 0x165667919e3779f9n;
const PRIME_MX2 = 0x9fb21c651e98df25n;

/** The default secret of the specification. */
const SECRET = Uint8Array.from(
  (
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c" +
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364" +
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
  ).match(/../g) ?? [],
  (pair) => Number.parseInt(pair, 16),
);

function upTo16(bytes: Uint8Array, at: number, length: number, seed: bigint): bigint {
  if (length > 8) {
    const flip1 = mask((read64(SECRET, 24) ^ read64(SECRET, 32)) + seed);
    const flip2 = mask((read64(SECRET, 40) ^ read64(SECRET, 48)) - seed);
    const low = read64(bytes, at) ^ flip1;
    const high = read64(bytes, at + length - 8) ^ flip2;
    return avalanche(mask(BigInt(length) + swap64(low) + high + fold(low, high)));
  }
  if (length >= 4) {
    const seeded = seed ^ (swap32(seed & 0xffffffffn) << 32n);
    const first = read32u(bytes, at);
    const last = read32u(bytes, at + length - 4);
    const flip = mask((read64(SECRET, 8) ^ read64(SECRET, 16)) - seeded);
    let hash = (last + (first << 32n)) ^ flip;
    hash ^= rotate64(hash, 49n) ^ rotate64(hash, 24n);
    hash = mask(hash * PRIME_MX2);
    hash ^= (hash >> 35n) + BigInt(length);
    hash = mask(hash * PRIME_MX2);
    return hash ^ (hash >> 28n);
  }
  if (length > 0) {
    const first = BigInt(bytes[at] as number);
    const middle = BigInt(bytes[at + (length >> 1)] as number);
    const last = BigInt(bytes[at + length - 1] as number);
    const combined = (first << 16n) | (middle << 24n) | last | (BigInt(length) << 8n);
    const flip = mask((read32u(SECRET, 0) ^ read32u(SECRET, 4)) + seed);
    return avalanche64(combined ^ flip);
  }
  return avalanche64(seed ^ read64(SECRET, 56) ^ read64(SECRET, 64));
}

function upTo128(bytes: Uint8Array, at: number, length: number, seed: bigint): bigint {
  let sum = mask(BigInt(length) * P64_1);
  const rounds = Math.floor((length - 1) / 32);
  for (let i = rounds; i >= 0; i--) {
    sum +=
      mix16(bytes, at + 16 * i, 32 * i, seed) +
      mix16(bytes, at + length - 16 * (i + 1), 32 * i + 16, seed);
  }
  return avalanche(mask(sum));
}

function upTo240(bytes: Uint8Array, at: number, length: number, seed: bigint): bigint {
  let sum = mask(BigInt(length) * P64_1);
  for (let i = 0; i < 8; i++) sum += mix16(bytes, at + 16 * i, 16 * i, seed);
  sum = avalanche(mask(sum));
  const rounds = Math.floor(length / 16);
  for (let i = 8; i < rounds; i++) sum += mix16(bytes, at + 16 * i, 16 * (i - 8) + 3, seed);
  sum += mix16(bytes, at + length - 16, 136 - 17, seed);
  return avalanche(mask(sum));
}

function mix16(bytes: Uint8Array, at: number, secretAt: number, seed: bigint): bigint {
  const low = read64(bytes, at) ^ mask(read64(SECRET, secretAt) + seed);
  const high = read64(bytes, at + 8) ^ mask(read64(SECRET, secretAt + 8) - seed);
  return fold(low, high);
}

const STRIPE = 64;
const SECRET_STEP = 8;

function long(bytes: Uint8Array, at: number, length: number, secret: Uint8Array): bigint {
  const lanes = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1];
  const stripesInBlock = (secret.length - STRIPE) / SECRET_STEP;
  const blockSize = STRIPE * stripesInBlock;
  const blocks = Math.floor((length - 1) / blockSize);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < stripesInBlock; i++) {
      accumulate(lanes, bytes, at + block * blockSize + i * STRIPE, secret, i * SECRET_STEP);
    }
    scramble(lanes, secret, secret.length - STRIPE);
  }
  const stripes = Math.floor((length - 1 - blockSize * blocks) / STRIPE);
  for (let i = 0; i < stripes; i++) {
    accumulate(lanes, bytes, at + blocks * blockSize + i * STRIPE, secret, i * SECRET_STEP);
  }
  accumulate(lanes, bytes, at + length - STRIPE, secret, secret.length - STRIPE - 7);

  let sum = mask(BigInt(length) * P64_1);
  for (let i = 0; i < 4; i++) {
    const a = (lanes[2 * i] as bigint) ^ read64(secret, 11 + 16 * i);
    const b = (lanes[2 * i + 1] as bigint) ^ read64(secret, 11 + 16 * i + 8);
    sum += fold(a, b);
  }
  return avalanche(mask(sum));
}

function accumulate(
  lanes: bigint[],
  bytes: Uint8Array,
  at: number,
  secret: Uint8Array,
  secretAt: number,
): void {
  for (let i = 0; i < 8; i++) {
    const value = read64(bytes, at + 8 * i);
    const keyed = value ^ read64(secret, secretAt + 8 * i);
    lanes[i ^ 1] = mask((lanes[i ^ 1] as bigint) + value);
    lanes[i] = mask((lanes[i] as bigint) + (keyed & 0xffffffffn) * (keyed >> 32n));
  }
}

function scramble(lanes: bigint[], secret: Uint8Array, secretAt: number): void {
  for (let i = 0; i < 8; i++) {
    let lane = lanes[i] as bigint;
    lane ^= lane >> 47n;
    lane ^= read64(secret, secretAt + 8 * i);
    lanes[i] = mask(lane * P32_1);
  }
}

function secretFor(seed: bigint): Uint8Array {
  const secret = new Uint8Array(SECRET.length);
  const view = new DataView(secret.buffer);
  for (let at = 0; at < SECRET.length; at += 16) {
    view.setBigUint64(at, mask(read64(SECRET, at) + seed), true);
    view.setBigUint64(at + 8, mask(read64(SECRET, at + 8) - seed), true);
  }
  return secret;
}

function fold(a: bigint, b: bigint): bigint {
  const product = a * b;
  return mask(product) ^ (product >> 64n);
}

function avalanche(value: bigint): bigint {
  let hash = value ^ (value >> 37n);
  hash = mask(hash * PRIME_MX1);
  return hash ^ (hash >> 32n);
}

/** XXH64's own finish. */
function avalanche64(value: bigint): bigint {
  let hash = value;
  hash = mask((hash ^ (hash >> 33n)) * P64_2);
  hash = mask((hash ^ (hash >> 29n)) * P64_3);
  return hash ^ (hash >> 32n);
}

function swap32(value: bigint): bigint {
  return (
    ((value & 0xffn) << 24n) |
    ((value & 0xff00n) << 8n) |
    ((value >> 8n) & 0xff00n) |
    (value >> 24n)
  );
}

function swap64(value: bigint): bigint {
  return (swap32(value & 0xffffffffn) << 32n) | swap32(value >> 32n);
}
