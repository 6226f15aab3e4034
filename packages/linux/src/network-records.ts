import { formatAddress, type IpAddress } from "@ha/base";
import { AF_INET, AF_INET6 } from "./kernel-address.ts";
import { readAttributes, textOf, u32Of } from "./netlink-codec.ts";
import type { InterfaceAddress, Link } from "./network-state.ts";
import { LITTLE_ENDIAN } from "./socket-door.ts";

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_RUNNING = 0x40;
const IFF_MULTICAST = 0x1000;
const IFF_LOWER_UP = 0x10000;

const IFLA = { address: 1, ifname: 3, mtu: 4, link: 5, master: 10, linkinfo: 18 } as const;
const INFO_KIND = 1;
const INFO_DATA = 2;
const IFLA_VRF_TABLE = 1;

/**
 * The link of an ifinfomsg; undefined when it is none. Bridges send such messages about their ports too (family
 * AF_BRIDGE), whose deletion is not that of the device. Read by hand: events must not fail on attributes that a
 * newer kernel has made longer, as the package's full decoder does.
 */
export function readLink(body: Uint8Array): Link | undefined {
  if (body.length < 16 || body[0] !== 0) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const flags = view.getUint32(8, LITTLE_ENDIAN);
  const attributes = readAttributes(body.subarray(16));
  const name = textOf(attributes.get(IFLA.ifname));
  if (name === undefined) return undefined;
  const linkInfo = attributes.get(IFLA.linkinfo);
  const info = linkInfo === undefined ? undefined : readAttributes(linkInfo);
  const kind = textOf(info?.get(INFO_KIND));
  const vrfTable = kind === "vrf" ? vrfTableOf(info?.get(INFO_DATA)) : undefined;
  return {
    index: view.getInt32(4, LITTLE_ENDIAN),
    name,
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    mtu: u32Of(attributes.get(IFLA.mtu)) ?? 0,
    mac: attributes.get(IFLA.address)?.slice() ?? new Uint8Array(0),
    loopback: (flags & IFF_LOOPBACK) !== 0,
    multicast: (flags & IFF_MULTICAST) !== 0,
    lowerIndex: u32Of(attributes.get(IFLA.link)) ?? 0,
    masterIndex: u32Of(attributes.get(IFLA.master)) ?? 0,
    kind,
    ...(vrfTable === undefined ? {} : { vrfTable }),
  };
}

function vrfTableOf(data: Uint8Array | undefined): number | undefined {
  return data === undefined ? undefined : u32Of(readAttributes(data).get(IFLA_VRF_TABLE));
}

/** Whether nothing that we look at has changed. */
export function sameLink(a: Link, b: Link): boolean {
  return (
    a.name === b.name &&
    a.up === b.up &&
    a.carrier === b.carrier &&
    a.running === b.running &&
    a.mtu === b.mtu &&
    a.lowerIndex === b.lowerIndex &&
    a.masterIndex === b.masterIndex &&
    a.kind === b.kind &&
    a.mac.length === b.mac.length &&
    a.mac.every((byte, i) => byte === b.mac[i])
  );
}

const IFA = { address: 1, local: 2, label: 3, cacheinfo: 6, flags: 8, proto: 11 } as const;
const FOR_EVER = 0xffff_ffff;

/** The address of an ifaddrmsg; undefined when it is none, or of another family. */
export function readInterfaceAddress(body: Uint8Array): InterfaceAddress | undefined {
  if (body.length < 8) return undefined;
  const family = body[0] === AF_INET ? 4 : body[0] === AF_INET6 ? 6 : undefined;
  if (family === undefined) return undefined;
  const size = family === 4 ? 4 : 16;
  const attributes = readAttributes(body.subarray(8));
  const read = (type: number): IpAddress | undefined => {
    const bytes = attributes.get(type);
    return bytes?.length === size ? { family, bytes: bytes.slice() } : undefined;
  };
  const far = read(IFA.address);
  const local = read(IFA.local) ?? far;
  if (local === undefined) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const cache = attributes.get(IFA.cacheinfo);
  const different = far !== undefined && formatAddress(far) !== formatAddress(local);
  return {
    ifindex: view.getUint32(4, LITTLE_ENDIAN),
    address: local,
    prefixLength: body[1] as number,
    peer: different ? far : undefined,
    label: textOf(attributes.get(IFA.label)),
    scope: body[3] as number,
    flags: u32Of(attributes.get(IFA.flags)) ?? (body[2] as number),
    preferredLifetime: u32Of(cache) ?? FOR_EVER,
    validLifetime: u32Of(cache?.subarray(4)) ?? FOR_EVER,
    protocol: attributes.get(IFA.proto)?.[0] ?? 0,
  };
}

/** What the kernel tells addresses apart by. */
export function addressKey(address: InterfaceAddress): string {
  const peer = address.peer === undefined ? "" : formatAddress(address.peer);
  return `${address.ifindex} ${formatAddress(address.address)}/${address.prefixLength} ${peer}`;
}
