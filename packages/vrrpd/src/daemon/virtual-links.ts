import type { Prefix } from "@ha/base";
import type { NetlinkRequest, NetworkState } from "@ha/linux";
import {
  type AppliedSysctls,
  addAddress,
  addVirtualLink,
  applySysctls,
  promoteSecondaries,
  removeLink,
  setLinkUp,
  unblockEgress,
  vmacSysctls,
} from "@ha/linux";
import type { Config, Instance, Ipvlan } from "../core/config/model.ts";
import type { Log } from "./log.ts";

/** The macvlans of `use_vmac` and the devices of `use_ipvlan`: made at start, removed at the end. */
export class VirtualLinks {
  readonly #network: NetworkState;
  readonly #log: Log;
  readonly #made = new Set<string>();
  readonly #sysctls = new Map<string, AppliedSysctls>();

  constructor(network: NetworkState, log: Log) {
    this.#network = network;
    this.#log = log;
  }

  /** Makes what is missing, removes what is no longer wanted; resolves when all is in place. */
  async ensure(config: Config): Promise<void> {
    if (config.globals.disable_local_igmp && !this.#sysctls.has(LOCAL_IGMP)) {
      const applied = applySysctls([
        { words: ["net", "ipv4", "igmp_link_local_mcast_reports"], value: "0" },
      ]);
      this.#sysctls.set(LOCAL_IGMP, applied);
      for (const problem of applied.errors) this.#log.warning(problem.message);
    }
    const wanted = new Set(config.instances.flatMap((instance) => virtualLinkNames(instance)));
    for (const name of [...this.#made]) if (!wanted.has(name)) await this.#remove(name);
    for (const instance of config.instances) {
      for (const link of linksOf(instance)) await this.#make(instance, link);
      this.#set(instance);
    }
  }

  async clear(): Promise<void> {
    for (const name of [...this.#made]) await this.#remove(name);
    for (const applied of this.#sysctls.values()) {
      for (const problem of applied.restore()) this.#log.warning(problem.message);
    }
    this.#sysctls.clear();
  }

  /** Kernel settings, put back at the end. */
  #set(instance: Instance): void {
    const { interface: parent, promote_secondaries } = instance;
    if (this.#sysctls.has(instance.name)) return;
    const changes = [
      ...linksOf(instance).flatMap(({ kind, name, parent: below }) =>
        kind === "ipvlan" || this.#network.linkByName(name) === undefined
          ? []
          : vmacSysctls({ vmac: name, parent: below }),
      ),
      ...(promote_secondaries && parent !== undefined ? [promoteSecondaries(parent)] : []),
    ];
    if (changes.length === 0) return;
    const applied = applySysctls(changes);
    this.#sysctls.set(instance.name, applied);
    for (const problem of applied.errors) {
      this.#log.warning(`(${instance.name}) ${problem.message}`);
    }
  }

  async #make(instance: Instance, wanted: WantedLink): Promise<void> {
    const { kind, name, parent, group } = wanted;
    const lower = this.#network.linkByName(parent);
    if (lower === undefined) return;
    this.#network.drain();
    let link = this.#network.linkByName(name);
    if (link === undefined) {
      const common = { name, lowerIndex: lower.index, ...(group === undefined ? {} : { group }) };
      const request = addVirtualLink(
        kind === "macvlan"
          ? { kind, mac: wanted.mac, ...common }
          : { kind, flags: wanted.mode, ...common },
      );
      if (!(await this.#perform(instance, request))) return;
      this.#network.drain();
      link = this.#network.linkByName(name);
      const what = kind === "macvlan" ? "VMAC" : "IPVLAN";
      this.#log.info(`(${instance.name}): Success creating ${what} interface ${name}`);
    }
    // A daemon that died as it gave the address away may have left it silent.
    if (!this.#made.has(name)) unblockEgress(name);
    this.#made.add(name);
    if (link === undefined) return;
    await this.#perform(instance, setLinkUp(link));
    // An ipvlan of IPv4 speaks from an address of its own.
    if (kind === "ipvlan" && wanted.address !== undefined) {
      const spec = { ifindex: link.index, prefix: wanted.address };
      await this.#perform(instance, addAddress(spec));
    }
    this.#network.drain();
  }

  async #remove(name: string): Promise<void> {
    this.#made.delete(name);
    const link = this.#network.linkByName(name);
    if (link === undefined) return;
    const problem = await this.#network.apply(removeLink(link));
    if (problem !== undefined) this.#log.error(`cannot remove ${name}: ${problem.message}`);
    else this.#log.info(`Success removing VMAC interface ${name}`);
  }

  async #perform(instance: Instance, request: NetlinkRequest): Promise<boolean> {
    const problem = await this.#network.apply(request);
    if (problem === undefined) return true;
    this.#log.error(`(${instance.name}) ${problem.message}`);
    return false;
  }
}

/** `disable_local_igmp`, among the settings by instance; no instance has an empty name. */
const LOCAL_IGMP = "";

/** A device over another one, of an instance or of some of its addresses. */
type WantedLink = {
  readonly name: string;
  readonly parent: string;
  readonly group?: number | undefined;
} & (
  | { readonly kind: "macvlan"; readonly mac: Uint8Array }
  | {
      readonly kind: "ipvlan";
      readonly mode: Ipvlan["mode"];
      readonly address: Prefix | undefined;
    }
);

function linksOf(instance: Instance): readonly WantedLink[] {
  const { use_vmac, use_ipvlan, interface: parent } = instance;
  const links: WantedLink[] = [];
  if (use_vmac !== undefined && parent !== undefined) {
    const { name, mac, group } = use_vmac;
    links.push({ kind: "macvlan", name, parent, mac, group });
  } else if (use_ipvlan !== undefined && parent !== undefined) {
    const { name, mode, address, group } = use_ipvlan;
    links.push({ kind: "ipvlan", name, parent, mode, address, group });
  }
  for (const { vmac } of [...instance.virtual_ipaddress, ...instance.virtual_ipaddress_excluded]) {
    if (vmac === undefined || links.some(({ name }) => name === vmac.name)) continue;
    links.push({ kind: "macvlan", ...vmac });
  }
  return links;
}

/** The devices that are made for this instance: its own first. */
export function virtualLinkNames(instance: Instance): readonly string[] {
  return linksOf(instance).map(({ name }) => name);
}

/** Those with the virtual router's hardware address. */
export function vmacNames(instance: Instance): readonly string[] {
  return linksOf(instance).flatMap(({ kind, name }) => (kind === "macvlan" ? [name] : []));
}
