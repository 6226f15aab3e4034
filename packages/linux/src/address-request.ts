import { type Family, formatAddress, type IpAddress } from "@ha/base";
import { AF_INET, AF_INET6 } from "./kernel-address.ts";
import { BodyWriter, NLM_F_CREATE, NLM_F_REPLACE, netlinkPackage, RTM } from "./netlink-codec.ts";
import { ADDRESS_FLAGS, type AddressSpec, type NetlinkRequest } from "./network-state.ts";

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_BROADCAST = 4;
const IFA_CACHEINFO = 6;
const IFA_FLAGS = 8;
const FOR_EVER = 0xffff_ffff;

/** Adds an address, or brings one that is there to these flags and lifetimes. */
export function addAddress(spec: AddressSpec): NetlinkRequest {
  return {
    what: `add address ${describe(spec)}`,
    type: RTM.newAddress,
    flags: NLM_F_CREATE | NLM_F_REPLACE,
    body: addressBody(spec, true),
    fine: ["EEXIST"],
  };
}

/** Removes it; one that is not there is removed already, and so is one whose interface is gone. */
export function removeAddress(spec: AddressSpec): NetlinkRequest {
  return {
    what: `remove address ${describe(spec)}`,
    type: RTM.delAddress,
    flags: 0,
    body: addressBody(spec, false),
    fine: ["EADDRNOTAVAIL", "ENODEV", "ENXIO"],
  };
}

export function linuxFamily(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

function describe({ prefix, ifindex }: AddressSpec): string {
  return `${formatAddress(prefix.address)}/${prefix.length} on interface ${ifindex}`;
}

function addressBody(spec: AddressSpec, adding: boolean): Uint8Array {
  const { address, length } = spec.prefix;
  const { rt } = netlinkPackage();
  const out = new BodyWriter();
  out.struct(
    rt.formatAddress({
      family: linuxFamily(address.family),
      prefixlen: spec.peer?.length ?? length,
      scope: address.family === 4 ? (spec.scope ?? 0) : 0,
      index: spec.ifindex,
    }),
  );
  out.bytes(IFA_LOCAL, address.bytes);
  out.bytes(IFA_ADDRESS, (spec.peer?.address ?? address).bytes);
  if (address.family === 4) out.text(IFA_LABEL, spec.label);
  if (!adding) return out.finish();

  const broadcast = broadcastOf(spec);
  if (address.family === 4 && broadcast !== undefined) out.bytes(IFA_BROADCAST, broadcast);
  out.u32(IFA_FLAGS, flagsOf(spec));
  if (spec.validLifetime !== undefined || spec.preferredLifetime !== undefined) {
    out.bytes(
      IFA_CACHEINFO,
      rt.formatAddressCacheInfo({
        ifaPrefered: spec.preferredLifetime ?? spec.validLifetime ?? FOR_EVER,
        ifaValid: spec.validLifetime ?? FOR_EVER,
        cstamp: 0,
        tstamp: 0,
      }),
    );
  }
  return out.finish();
}

function flagsOf(spec: AddressSpec): number {
  let flags = 0;
  const ipv6 = spec.prefix.address.family === 6;
  if (spec.nodad ?? ipv6) flags |= ADDRESS_FLAGS.nodad;
  if (spec.home === true) flags |= ADDRESS_FLAGS.home;
  if (spec.mngtmpaddr === true) flags |= ADDRESS_FLAGS.mngtmpaddr;
  if (spec.noprefixroute === true) flags |= ADDRESS_FLAGS.noprefixroute;
  if (spec.autojoin === true) flags |= ADDRESS_FLAGS.autojoin;
  return flags;
}

/** `+` and `-` are the network's last and first address; they mean nothing where there is no room for hosts. */
function broadcastOf(spec: AddressSpec): Uint8Array | undefined {
  const wanted = spec.broadcast;
  if (wanted === undefined) return undefined;
  if (wanted !== "+" && wanted !== "-") return (wanted satisfies IpAddress).bytes;
  const { address, length } = spec.prefix;
  if (address.family !== 4 || length >= 31) return undefined;
  const bytes = address.bytes.slice();
  const view = new DataView(bytes.buffer);
  const hosts = length === 0 ? 0xffff_ffff : (2 ** (32 - length) - 1) >>> 0;
  const value = view.getUint32(0);
  view.setUint32(0, wanted === "+" ? (value | hosts) >>> 0 : (value & ~hosts) >>> 0);
  return bytes;
}
