import { fullAvalanche } from "../../hash/avalanche.ts";
import { crc32, crc32c } from "../../hash/crc32.ts";
import { djb2, type KeyHash, sdbm, wt6 } from "../../hash/key-hash.ts";
import { xxh3 } from "../../hash/xxh3.ts";
import { xxh32, xxh64 } from "../../hash/xxhash.ts";
import type { Transaction } from "../../transaction.ts";
import { castChecked } from "../cast.ts";
import { refuse } from "../compile-context.ts";
import type { ConverterKeyword } from "../fetch-keyword.ts";
import {
  BIN,
  createSample,
  encodeText,
  type Sample,
  SINT,
  setBytes,
  setInt,
  setWide,
} from "../sample.ts";
import { loadValue } from "../variable.ts";
import type { World } from "../world.ts";
import { integerArgument } from "./arguments.ts";
import { decodeBase64 } from "./base64.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";

/** Converters that hash or decrypt. */
export const DIGEST_CONVERTERS: readonly ConverterKeyword[] = [
  keyHash("crc32", "CRC-32 as of Ethernet and gzip.", crc32),
  keyHash("crc32c", "CRC-32C (Castagnoli).", crc32c),
  keyHash("djb2", "Hash DJB2, as of hash-type.", djb2),
  keyHash("sdbm", "Hash SDBM, as of hash-type.", sdbm),
  keyHash("wt6", "Hash WT6, as of hash-type.", wt6),
  seeded("xxh32", "xxHash, 32 bits.", (sample, seed) =>
    setInt(sample, xxh32(sample.bytes, sample.start, sample.end, Number(seed & 0xffffffffn))),
  ),
  seeded("xxh64", "xxHash, 64 bits, signed.", (sample, seed) =>
    setWide(sample, BigInt.asIntN(64, xxh64(sample.bytes, sample.start, sample.end, seed))),
  ),
  seeded("xxh3", "xxHash 3, 64 bits, signed.", (sample, seed) =>
    setWide(sample, BigInt.asIntN(64, xxh3(sample.bytes, sample.start, sample.end, seed))),
  ),
  digest("sha1", "SHA-1 digest.", "sha1"),
  {
    ...digest("sha2", "SHA-2 digest of <bits> 224, 256 (default), 384 or 512.", "sha256"),
    syntax: "sha2([<bits>])",
    arity: [0, 1],
    compile: ([bits], context, token) => {
      const size = bits?.text ?? "256";
      if (!/^(?:224|256|384|512)$/.test(size))
        return refuse(context, token, `sha2 knows 224, 256, 384 and 512 bits, not '${size}'`);
      return hashing(`sha${size}`, context.world);
    },
  },
  {
    ...digest("digest", "Digest by OpenSSL's name of it.", "sha256"),
    syntax: "digest(<algorithm>)",
    arity: [1, 1],
    compile: ([algorithm], context, token) => {
      const name = (algorithm?.text ?? "").toLowerCase();
      if (context.world.ports.digests.hash(name, new Uint8Array(0)) === undefined) {
        return refuse(
          context,
          token,
          `unknown digest '${algorithm?.text}'`,
          "write a name of OpenSSL's, as sha256",
        );
      }
      return hashing(name, context.world);
    },
  },
  {
    ...digest(
      "hmac",
      "HMAC with a key (Base64, or a variable that holds the key's bytes).",
      "sha256",
    ),
    syntax: "hmac(<algorithm>,<key>)",
    arity: [2, 2],
    compile: ([algorithm, key], context, token) => {
      const name = (algorithm?.text ?? "").toLowerCase();
      const { digests } = context.world.ports;
      if (digests.hmac(name, new Uint8Array(1), new Uint8Array(0)) === undefined) {
        return refuse(
          context,
          token,
          `unknown digest '${algorithm?.text}'`,
          "write a name of OpenSSL's, as sha256",
        );
      }
      const secret = bytesArgument(key?.text ?? "", context.world);
      if (secret === undefined)
        return refuse(context, token, `the key '${key?.text}' is neither a variable nor Base64`);
      return (sample, transaction) => {
        const bytes = secret(transaction);
        if (bytes === undefined) return false;
        const code = digests.hmac(name, bytes, sample.bytes.slice(sample.start, sample.end));
        return code !== undefined && setBytes(sample, BIN, code);
      };
    },
  },
  {
    ...digest(
      "aes_gcm_dec",
      "Decrypts AES-GCM; no sample when the tag is wrong. Nonce, key and tag are Base64, or variables that hold Base64.",
      "sha256",
    ),
    syntax: "aes_gcm_dec(<bits>,<nonce>,<key>,<aead_tag>)",
    arity: [4, 4],
    compile: ([bits, nonce, key, tag], context, token) => {
      const size = Number(bits?.text);
      if (size !== 128 && size !== 192 && size !== 256)
        return refuse(
          context,
          token,
          `aes_gcm_dec knows 128, 192 and 256 bits, not '${bits?.text}'`,
        );
      const { world } = context;
      const [readNonce, readKey, readTag] = [nonce, key, tag].map((argument) =>
        base64Argument(argument?.text ?? "", world),
      );
      if (readNonce === undefined || readKey === undefined || readTag === undefined)
        return refuse(context, token, "nonce, key and tag are Base64 or variables");
      return (sample, transaction) => {
        const parts = {
          nonce: readNonce(transaction),
          key: readKey(transaction),
          tag: readTag(transaction),
        };
        if (parts.nonce === undefined || parts.key === undefined || parts.tag === undefined)
          return false;
        const plain = world.ports.digests.decryptGcm({
          bits: size,
          nonce: parts.nonce,
          key: parts.key,
          tag: parts.tag,
          data: sample.bytes.slice(sample.start, sample.end),
        });
        return plain !== undefined && setBytes(sample, BIN, plain);
      };
    },
  },
];

function keyHash(name: string, doc: string, hash: KeyHash): ConverterKeyword {
  return {
    name,
    syntax: `${name}([<avalanche>])`,
    doc: `${doc} Spread over all bits when <avalanche> is 1.`,
    source: SOURCE,
    input: BIN,
    output: SINT,
    arity: [0, 1],
    compile: ([avalanche], context, token) => {
      const spread = avalanche === undefined ? 0 : integerArgument(avalanche, context, token);
      if (spread === undefined) return undefined;
      return (sample) => {
        const value = hash(sample.bytes, sample.start, sample.end);
        return setInt(sample, spread !== 0 ? fullAvalanche(value) : value);
      };
    },
  };
}

function seeded(
  name: string,
  doc: string,
  hash: (sample: Sample, seed: bigint) => boolean,
): ConverterKeyword {
  return {
    name,
    syntax: `${name}([<seed>])`,
    doc,
    source: SOURCE,
    input: BIN,
    output: SINT,
    arity: [0, 1],
    compile: ([seed], context, token) => {
      if (seed !== undefined && integerArgument(seed, context, token) === undefined)
        return undefined;
      const value = BigInt.asUintN(64, BigInt(seed?.text ?? "0"));
      return (sample) => hash(sample, value);
    },
  };
}

function hashing(name: string, { ports }: World) {
  return (sample: Sample): boolean => {
    const bytes = ports.digests.hash(name, sample.bytes.slice(sample.start, sample.end));
    return bytes !== undefined && setBytes(sample, BIN, bytes);
  };
}

function digest(name: string, doc: string, algorithm: string): ConverterKeyword {
  return {
    name,
    syntax: name,
    doc,
    source: SOURCE,
    input: BIN,
    output: BIN,
    compile: (_args, { world }) => hashing(algorithm, world),
  };
}

type BytesReader = (transaction: Transaction) => Uint8Array | undefined;

/** A variable's bytes, or those that Base64 text stands for. */
function bytesArgument(text: string, world: World): BytesReader | undefined {
  const variable = world.variables.variable(text);
  if (variable !== undefined) {
    const sample = createSample();
    return (transaction) => {
      const value = world.variables.get(variable, transaction);
      if (
        value === undefined ||
        !loadValue(sample, value) ||
        !castChecked(sample, BIN, transaction)
      )
        return undefined;
      return sample.bytes.slice(sample.start, sample.end);
    };
  }
  const bytes = encodeText(text);
  const decoded = decodeBase64(bytes, 0, bytes.length, false);
  return decoded === undefined ? undefined : () => decoded;
}

/** As `bytesArgument`, where the variable holds Base64 text as well. */
function base64Argument(text: string, world: World): BytesReader | undefined {
  const read = bytesArgument(text, world);
  if (read === undefined || world.variables.variable(text) === undefined) return read;
  return (transaction) => {
    const bytes = read(transaction);
    return bytes === undefined ? undefined : decodeBase64(bytes, 0, bytes.length, false);
  };
}
