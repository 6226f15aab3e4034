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
import type { Config, Instance } from "../core/config/model.ts";
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
    const wanted = new Set(config.instances.map(nameOf).filter((name) => name !== undefined));
    for (const name of [...this.#made]) if (!wanted.has(name)) await this.#remove(name);
    for (const instance of config.instances) {
      await this.#make(instance);
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
    const { use_vmac, interface: parent, promote_secondaries } = instance;
    if (parent === undefined || this.#sysctls.has(instance.name)) return;
    const changes = [
      ...(use_vmac === undefined || this.#network.linkByName(use_vmac.name) === undefined
        ? []
        : vmacSysctls({ vmac: use_vmac.name, parent })),
      ...(promote_secondaries ? [promoteSecondaries(parent)] : []),
    ];
    if (changes.length === 0) return;
    const applied = applySysctls(changes);
    this.#sysctls.set(instance.name, applied);
    for (const problem of applied.errors) {
      this.#log.warning(`(${instance.name}) ${problem.message}`);
    }
  }

  async #make(instance: Instance): Promise<void> {
    const name = nameOf(instance);
    if (name === undefined || instance.interface === undefined) return;
    const lower = this.#network.linkByName(instance.interface);
    if (lower === undefined) return;
    const { use_vmac, use_ipvlan } = instance;
    this.#network.drain();
    let link = this.#network.linkByName(name);
    if (link === undefined) {
      const request =
        use_vmac !== undefined
          ? addVirtualLink({
              kind: "macvlan",
              name,
              lowerIndex: lower.index,
              mac: use_vmac.mac,
              ...(use_vmac.group === undefined ? {} : { group: use_vmac.group }),
            })
          : addVirtualLink({
              kind: "ipvlan",
              name,
              lowerIndex: lower.index,
              ...(use_ipvlan === undefined ? {} : { flags: use_ipvlan.mode }),
              ...(use_ipvlan?.group === undefined ? {} : { group: use_ipvlan.group }),
            });
      if (!(await this.#perform(instance, request))) return;
      this.#network.drain();
      link = this.#network.linkByName(name);
      const kind = use_vmac === undefined ? "IPVLAN" : "VMAC";
      this.#log.info(`(${instance.name}): Success creating ${kind} interface ${name}`);
    }
    // A daemon that died as it gave the address away may have left it silent.
    if (!this.#made.has(name)) unblockEgress(name);
    this.#made.add(name);
    if (link === undefined) return;
    await this.#perform(instance, setLinkUp(link));
    // An ipvlan of IPv4 speaks from an address of its own.
    if (use_ipvlan?.address !== undefined) {
      const spec = { ifindex: link.index, prefix: use_ipvlan.address };
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

function nameOf({ use_vmac, use_ipvlan }: Instance): string | undefined {
  return use_vmac?.name ?? use_ipvlan?.name;
}
