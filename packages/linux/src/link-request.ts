import { AF_INET6 } from "./kernel-address.ts";
import { BodyWriter, NLM_F_CREATE, NLM_F_EXCLUSIVE, netlinkPackage, RTM } from "./netlink-codec.ts";
import type { NetlinkRequest, VirtualLinkSpec } from "./network-state.ts";

const IFLA = {
  address: 1,
  ifname: 3,
  mtu: 4,
  link: 5,
  linkinfo: 18,
  afSpec: 26,
  group: 27,
} as const;
const INFO_KIND = 1;
const INFO_DATA = 2;
const MACVLAN_MODE = 1;
const IPVLAN_MODE = 1;
const IPVLAN_FLAGS = 2;
const INET6_ADDR_GEN_MODE = 8;

const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
const IPVLAN_MODE_L2 = 0;
const IPVLAN_FLAG = { bridge: 0, private: 1, vepa: 2 } as const;

/** Creates a macvlan or ipvlan, down. `EEXIST` is an error here: whose it is must be looked at first. */
export function addVirtualLink(spec: VirtualLinkSpec): NetlinkRequest {
  const { rt } = netlinkPackage();
  const out = new BodyWriter();
  out.struct(rt.formatLink({}));
  out.text(IFLA.ifname, spec.name);
  out.u32(IFLA.link, spec.lowerIndex);
  out.u32(IFLA.group, spec.group);
  if (spec.kind === "macvlan") out.bytes(IFLA.address, spec.mac);
  out.nested(IFLA.linkinfo, (info) => {
    info.text(INFO_KIND, spec.kind);
    info.nested(INFO_DATA, (data) => {
      if (spec.kind === "macvlan") {
        data.u32(MACVLAN_MODE, MACVLAN_MODES[spec.mode ?? "private"]);
      } else {
        data.u16(IPVLAN_MODE, IPVLAN_MODE_L2);
        data.u16(IPVLAN_FLAGS, IPVLAN_FLAG[spec.flags ?? "bridge"]);
      }
    });
  });
  return {
    what: `create ${spec.kind} ${spec.name} on interface ${spec.lowerIndex}`,
    type: RTM.newLink,
    flags: NLM_F_CREATE | NLM_F_EXCLUSIVE,
    body: out.finish(),
    fine: [],
  };
}

/** Deletes a link that was made by software. */
export function removeLink(link: {
  readonly index: number;
  readonly name: string;
}): NetlinkRequest {
  const { rt } = netlinkPackage();
  return {
    what: `delete interface ${link.name}`,
    type: RTM.delLink,
    flags: 0,
    body: new BodyWriter().struct(rt.formatLink({ index: link.index })).finish(),
    fine: ["ENODEV"],
  };
}

export function setLinkUp(link: { readonly index: number; readonly name: string }): NetlinkRequest {
  return setLink(link, `set ${link.name} up`, { flags: { up: true }, change: { up: true } });
}

export function setLinkDown(link: {
  readonly index: number;
  readonly name: string;
}): NetlinkRequest {
  return setLink(link, `set ${link.name} down`, { flags: {}, change: { up: true } });
}

/** Gives it another hardware address, or the one it has, which makes the kernel announce (`arp_notify`). */
export function setLinkMac(
  link: { readonly index: number; readonly name: string },
  mac: Uint8Array,
): NetlinkRequest {
  return setLink(link, `set the address of ${link.name}`, {}, (out) =>
    out.bytes(IFLA.address, mac),
  );
}

/** Whether the kernel makes link-local IPv6 addresses there by itself; keepalived's VMACs get theirs by hand. */
export function setAddressGeneration(
  link: { readonly index: number; readonly name: string },
  mode: "eui64" | "none",
): NetlinkRequest {
  const what = `set IPv6 address generation of ${link.name}`;
  return setLink(link, what, {}, (out) =>
    out.nested(IFLA.afSpec, (families) =>
      families.nested(AF_INET6, (ipv6) => ipv6.u8(INET6_ADDR_GEN_MODE, mode === "none" ? 1 : 0)),
    ),
  );
}

function setLink(
  link: { readonly index: number; readonly name: string },
  what: string,
  data: { flags?: { up?: true }; change?: { up?: true } },
  attributes?: (out: BodyWriter) => void,
): NetlinkRequest {
  const { rt } = netlinkPackage();
  const out = new BodyWriter();
  out.struct(rt.formatLink({ index: link.index, ...data }));
  attributes?.(out);
  return { what, type: RTM.setLink, flags: 0, body: out.finish(), fine: [] };
}
