import { createDecipheriv, createHash, createHmac, createVerify, getHashes } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { seededRandom } from "@ha/base";
import type { Digests, WorldPorts } from "../core/sample/world.ts";

/** What a thread's world needs of the machine. */
export interface WorldPortsOptions {
  /** 1-based. */
  readonly thread: number;
  readonly environment: ReadonlyMap<string, string>;
  /** Milliseconds since 1970, this turn's. */
  readonly wallTime: () => number;
  readonly isStopping: () => boolean;
  readonly debug: (sink: string, line: string) => void;
}

export function createWorldPorts(options: WorldPortsOptions): WorldPorts {
  const seed = new Uint32Array(1);
  crypto.getRandomValues(seed);
  let zoneQuarter = -1;
  let zone = zoneOf(new Date(0));
  return {
    wallMicros: () => Math.floor(options.wallTime() * 1000),
    random: seededRandom(seed[0] as number),
    digests,
    environment: (name) => options.environment.get(name),
    readFile: (path) => {
      try {
        return new Uint8Array(readFileSync(Buffer.from(path, "latin1")));
      } catch {
        return undefined;
      }
    },
    zoneAt: (seconds) => {
      // Offsets change on quarters of an hour at the finest.
      const quarter = Math.floor(seconds / 900);
      if (quarter !== zoneQuarter) {
        zoneQuarter = quarter;
        const date = new Date(seconds * 1000);
        zone = zoneOf(date);
      }
      return zone;
    },
    hostname: hostname(),
    pid: process.pid,
    thread: options.thread,
    isStopping: options.isStopping,
    debug: options.debug,
  };
}

/** The name is looked up only when a format asks for it: it takes memory and, the first time, some 50 ms. */
function zoneOf(date: Date): { readonly offset: number; readonly name: string } {
  return {
    offset: -date.getTimezoneOffset() * 60,
    get name() {
      const parts = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(date);
      return parts.find(({ type }) => type === "timeZoneName")?.value ?? "UTC";
    },
  };
}

let knownHashes: ReadonlySet<string> | undefined;

function isKnownHash(name: string): boolean {
  knownHashes ??= new Set(getHashes().map((known) => known.toLowerCase()));
  return knownHashes.has(name.toLowerCase());
}

const digests: Digests = {
  hash: (name, bytes) => (isKnownHash(name) ? createHash(name).update(bytes).digest() : undefined),
  hmac: (name, key, bytes) =>
    isKnownHash(name) ? createHmac(name, key).update(bytes).digest() : undefined,
  verify: (alg, key, data, signature) => {
    try {
      const hash = alg === "EdDSA" ? undefined : `sha${alg.slice(2)}`;
      const pem = Buffer.from(key).toString("latin1");
      if (hash === undefined) return false;
      const verifier = createVerify(hash).update(data);
      if (alg.startsWith("ES"))
        return verifier.verify({ key: pem, dsaEncoding: "ieee-p1363" }, signature);
      if (alg.startsWith("PS")) {
        return verifier.verify(
          { key: pem, padding: RSA_PKCS1_PSS_PADDING, saltLength: -1 },
          signature,
        );
      }
      return verifier.verify(pem, signature);
    } catch {
      return false; // A token of a stranger: whatever is wrong with it, it does not hold.
    }
  },
  decryptGcm: ({ bits, nonce, key, tag, data }) => {
    try {
      const cipher = createDecipheriv(`aes-${bits}-gcm`, key, nonce).setAuthTag(tag);
      return Buffer.concat([cipher.update(data), cipher.final()]);
    } catch {
      return undefined;
    }
  },
};

/** As in `node:crypto`'s constants. */
const RSA_PKCS1_PSS_PADDING = 6;
