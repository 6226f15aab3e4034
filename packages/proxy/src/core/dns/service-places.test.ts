import assert from "node:assert/strict";
import { test } from "node:test";
import { type IpAddress, parseAddress } from "@ha/base";
import type { DnsRecord } from "./dns-message.ts";
import { keyOf, type Place, placesOfName, placesOfService, shareOut } from "./service-places.ts";

const ip = (text: string): IpAddress => {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
};
const at = (text: string): Place => ({
  address: ip(text),
  port: undefined,
  weight: undefined,
  host: undefined,
});
const ANY = {
  prefer: "ipv4",
  allowDuplicates: false,
  ignoreWeight: false,
  isPreferred: () => false,
} as const;

test("a server keeps its place as long as the answer has it, whatever order answers come in", () => {
  const places = ["10.0.0.3", "10.0.0.1", "10.0.0.2"].map(at);
  const shared = shareOut(places, [keyOf(at("10.0.0.1")), undefined, keyOf(at("10.0.0.2"))], ANY);
  assert.deepEqual(
    shared.map((place) => place && keyOf(place)),
    ["10.0.0.1 ", "10.0.0.3 ", "10.0.0.2 "],
  );
});

test("a place that is gone goes, and servers beyond the places have none", () => {
  const shared = shareOut([at("10.0.0.2")], [keyOf(at("10.0.0.1")), undefined], ANY);
  assert.deepEqual(
    shared.map((place) => place && keyOf(place)),
    ["10.0.0.2 ", undefined],
  );
});

test("with allow-dup-ip servers may share a place; else each has its own", () => {
  const places = [at("10.0.0.1")];
  assert.equal(shareOut(places, [undefined, undefined], ANY).filter(Boolean).length, 1);
  const both = shareOut(places, [undefined, undefined], { ...ANY, allowDuplicates: true });
  assert.equal(both.filter(Boolean).length, 2);
});

test("a wanted network comes before the wanted family, and both before the rest", () => {
  const places = ["::1", "10.0.0.1", "fd00::1"].map(at);
  const [first] = shareOut(places, [undefined], {
    ...ANY,
    isPreferred: ({ bytes }) => bytes[0] === 0xfd,
  });
  assert.equal(first && keyOf(first), "fd00::1 ");
  const [second] = shareOut(places, [undefined], ANY);
  assert.equal(second && keyOf(second), "10.0.0.1 ");
});

test("a service's places have the port and a 256th of the weight of its records", () => {
  const records: DnsRecord[] = [
    { type: "service", name: "s", target: "a.x", port: 81, weight: 512, priority: 1 },
    { type: "service", name: "s", target: "gone.x", port: 82, weight: 0, priority: 1 },
    { type: "address", name: "a.x", address: ip("10.0.0.1") },
  ];
  assert.deepEqual(placesOfService(records), [
    { address: ip("10.0.0.1"), port: 81, weight: 2, host: "a.x" },
  ]);
  assert.equal(placesOfName(records).length, 1);
});
