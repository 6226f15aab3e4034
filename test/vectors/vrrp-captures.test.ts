import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  formatAddress,
  type IpAddress,
  ip,
  type Micros,
  micros,
  milliseconds,
  seconds,
} from "@ha/base";
import {
  Admission,
  AdvertEncoder,
  advertSize,
  DEFAULT_ANNOUNCE,
  type Digests,
  decodeAdvert,
  encodeAdvert,
  type HmacSettings,
  OUR_CONDUCT,
  openHmac,
  type Router,
  sealWithAh,
  sealWithHmac,
} from "@ha/vrrpd/core";
import { type CapturedPacket, readCapture } from "./pcap.ts";

// Goal: what the real daemon sent decodes to what its configuration says, and we would send the same bytes.
// Method: every capture of test/corpus/vrrp-captures, with the router that its .conf describes.

const CAPTURES = fileURLToPath(new URL("../../../test/corpus/vrrp-captures/", import.meta.url));
const V4 = ["192.168.10.100", "192.168.10.101"].map(ip);
const KEY_1 = Uint8Array.from({ length: 32 }, (_, i) => i);
const KEY_7 = Uint8Array.from({ length: 32 }, (_, i) => (0xf0 + i) & 0xff);

const base: Router = {
  name: "VI_1",
  vrid: 51,
  family: 4,
  version: 2,
  priority: 200,
  interval: seconds(1),
  preempt: true,
  preemptDelay: micros(0),
  startupDelay: micros(0),
  downTimerAdverts: 3,
  timerExpiredBackup: undefined,
  lowerPriorityNoAdvert: false,
  higherPrioritySendAdvert: false,
  ownerIgnoreAdverts: false,
  skipCheckAddresses: false,
  addresses: V4,
  authentication: { type: "none" },
  hmac: undefined,
  checksumAsV2: false,
  destination: { type: "multicast", group: ip("224.0.0.18") },
  announce: DEFAULT_ANNOUNCE,
  conduct: OUR_CONDUCT,
};
const v3: Router = { ...base, version: 3, interval: milliseconds(100) };
const hmac = (activeKey: number, key: Uint8Array): HmacSettings => ({
  keys: new Map([[activeKey, key]]),
  activeKey,
  antiReplay: "time",
  timeWindow: seconds(5),
  mode: "enforce",
});
const text = (value: string) => new TextEncoder().encode(value);

const captures: Record<string, Router> = {
  "v2-pass-multicast": {
    ...base,
    authentication: { type: "pass", password: text("YourPassword") },
  },
  "v2-noauth-unicast": {
    ...base,
    destination: {
      type: "unicast",
      peers: [{ address: ip("192.168.10.2") }],
      checkSource: false,
      ttl: 255,
      oldChecksum: "fall-back",
    },
  },
  "v2-ah-multicast": { ...base, authentication: { type: "ah", key: text("secret12") } },
  "hmac-v2-multicast": { ...base, hmac: hmac(1, KEY_1) },
  "hmac-v3-multicast": { ...v3, hmac: hmac(7, KEY_7) },
  "v3-multicast-100ms": v3,
  "v3-checksum-as-v2": { ...v3, checksumAsV2: true },
  "v3-vmac": v3,
  "v3-ipv6-multicast": {
    ...v3,
    family: 6,
    addresses: ["fe80::51", "2001:db8:10::100"].map(ip),
    destination: { type: "multicast", group: ip("ff02::12") },
  },
};

for (const [name, router] of Object.entries(captures)) {
  test(`${name}: every advert is admitted and says what its configuration says`, () => {
    const adverts = vrrpPackets(name);
    assert.ok(adverts.length >= 5, `${adverts.length} adverts`);
    const admission = new Admission(digests);
    for (const packet of adverts) {
      const utc = () => micros(packet.time * 1e6);
      const result = admission.admit(router, packet, { source: elsewhere(router), utc });
      assert.ok(result.ok, `refused: ${result.ok ? "" : result.error}`);
      const { advert, addressesDiffer } = result.value;
      assert.equal(advert.vrid, 51);
      assert.ok(advert.priority === 200 || advert.priority === 0);
      assert.equal(advert.interval, router.interval);
      assert.deepEqual(advert.addresses.map(formatAddress), router.addresses.map(formatAddress));
      assert.equal(addressesDiffer, false);
    }
    assert.equal(
      adverts.some((packet) => priorityOf(packet) === 0),
      true,
      "a farewell was captured",
    );
  });

  test(`${name}: we send the same bytes`, () => {
    for (const packet of vrrpPackets(name)) {
      assert.deepEqual(rebuilt(router, packet), packet.bytes);
    }
  });

  test(`${name}: a flip of any bit is refused`, () => {
    const [packet] = vrrpPackets(name);
    assert.ok(packet !== undefined);
    const utc = () => micros(packet.time * 1e6);
    const source = elsewhere(router);
    for (let bit = 0; bit < packet.bytes.length * 8; bit++) {
      const bytes = packet.bytes.slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      const result = new Admission(digests).admit(router, { ...packet, bytes }, { source, utc });
      assert.equal(result.ok, false, `bit ${bit}`);
    }
  });
}

test("HMAC and AH adverts are refused when they come a second time", () => {
  for (const name of ["hmac-v2-multicast", "hmac-v3-multicast", "v2-ah-multicast"]) {
    const router = captures[name] as Router;
    const [first, second] = vrrpPackets(name);
    assert.ok(first !== undefined && second !== undefined);
    const admission = new Admission(digests);
    // Lower than the sender: a higher one believes that an AH sender with a lower claim has started again.
    const mine = { ...router, priority: 100 };
    const admit = (packet: CapturedPacket) =>
      admission.admit(mine, packet, {
        source: elsewhere(router),
        utc: () => micros(second.time * 1e6),
      });
    assert.equal(admit(first).ok, true);
    assert.equal(admit(second).ok, true);
    for (const packet of [first, second]) {
      assert.deepEqual(admit(packet), {
        ok: false,
        error: name.startsWith("hmac") ? "hmac-replay" : "ah-replay",
      });
    }
  }
});

test("an HMAC advert is refused under another key, without a key, and when the clocks are apart", () => {
  const [packet] = vrrpPackets("hmac-v2-multicast");
  assert.ok(packet !== undefined);
  const admit = (settings: HmacSettings, seconds = 0) =>
    new Admission(digests).admit({ ...base, hmac: settings }, packet, {
      source: elsewhere(base),
      utc: () => micros((packet.time + seconds) * 1e6),
    });
  const right = hmac(1, KEY_1);
  assert.equal(admit(right).ok, true);
  assert.deepEqual(admit(hmac(1, KEY_7)), { ok: false, error: "hmac-mismatch" });
  assert.deepEqual(admit(hmac(2, KEY_1)), { ok: false, error: "hmac-unknown-key" });
  assert.deepEqual(admit(right, 5.1), { ok: false, error: "hmac-clock" });
  assert.deepEqual(admit(right, -5.1), { ok: false, error: "hmac-clock" });
  assert.equal(admit({ ...right, antiReplay: "monotonic" }, 99).ok, true);

  const bare = { ...packet, bytes: packet.bytes.slice(0, 24) };
  const admitBare = (mode: HmacSettings["mode"]) =>
    new Admission(digests).admit({ ...base, hmac: { ...right, mode } }, bare, {
      source: elsewhere(base),
      utc: () => micros(0),
    });
  assert.deepEqual(admitBare("enforce"), { ok: false, error: "hmac-missing" });
  assert.equal(admitBare("permissive").ok, true);
  assert.equal(admitBare("receive-only").ok, true);
});

test("the encoder's own HMAC and AH adverts are admitted, each of them", () => {
  for (const name of ["hmac-v2-multicast", "hmac-v3-multicast", "v2-ah-multicast"]) {
    const router = captures[name] as Router;
    const from = ip("192.168.10.1");
    const encoder = new AdvertEncoder(digests);
    const admission = new Admission(digests);
    const utc = (): Micros => micros(1_800_000_000_123_456);
    for (let i = 0; i < 5; i++) {
      const context = { router, from, usesOldChecksum: () => false, heardAhSequence: () => 0 };
      const [packet] = encoder.encode(context, { priority: 200, kind: "regular", utc });
      assert.ok(packet !== undefined);
      const result = admission.admit(router, packet, { source: elsewhere(router), utc });
      assert.ok(result.ok, `${name} ${i}: ${result.ok ? "" : result.error}`);
    }
  }
});

/** From the values that the packet carries, the bytes again. */
function rebuilt(router: Router, packet: CapturedPacket): Uint8Array {
  const ah = router.authentication.type === "ah" ? router.authentication.key : undefined;
  const bytes = ah === undefined ? packet.bytes : packet.bytes.subarray(24);
  const decoded = decodeAdvert(bytes, router, packet);
  assert.ok(decoded.ok);
  const advert = encodeAdvert(decoded.value, router, packet);
  if (ah !== undefined) {
    const sequence = new DataView(packet.bytes.buffer).getUint32(8);
    const { identification = 0 } = packet;
    return sealWithAh(advert, { ...packet, identification }, { key: ah, sequence, digests });
  }
  if (router.hmac === undefined) return advert;
  const size = advertSize(router.version, router.family, decoded.value.addresses.length);
  const { version, family, vrid, hmac } = router;
  const context = { version, family, vrid, from: packet.from };
  const opened = openHmac(bytes, size, context, { keys: hmac.keys, digests });
  assert.ok(opened.ok);
  const [[keyId, key] = [0, KEY_1]] = [...hmac.keys];
  return sealWithHmac(advert, context, { keyId, key, sequence: opened.value, digests });
}

function vrrpPackets(name: string): CapturedPacket[] {
  return readCapture(`${CAPTURES}${name}.pcap`).filter(
    ({ protocol }) => protocol === 112 || protocol === 51,
  );
}

function priorityOf({ protocol, bytes }: CapturedPacket): number | undefined {
  return bytes[protocol === 51 ? 26 : 2];
}

function elsewhere({ family }: Router): IpAddress {
  return family === 4 ? ip("192.168.10.9") : ip("fe80::9");
}

const digests: Digests = {
  hmacSha256: (key, data) => createHmac("sha256", key).update(data).digest(),
  hmacMd5: (key, data) => createHmac("md5", key).update(data).digest(),
};
