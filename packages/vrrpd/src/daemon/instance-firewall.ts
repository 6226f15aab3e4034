import {
  blockEgress,
  type Firewall,
  type FirewallRules,
  type NetworkState,
  openFirewall,
  unblockEgress,
} from "@ha/linux";
import type { Config } from "../core/config/model.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import { vmacNames } from "./virtual-links.ts";

/** The nftables rules that `no_accept` and virtual MACs need, in step with what is held. */
export class InstanceFirewall {
  readonly #network: NetworkState;
  readonly #log: Log;
  #firewall: Firewall | undefined;
  #trouble = "";
  readonly #silent = new Set<string>();

  constructor(network: NetworkState, log: Log) {
    this.#network = network;
    this.#log = log;
  }

  /** Brings the kernel to what these instances need now; `coming` is about to hold its addresses. */
  update(config: Config, instances: readonly InstanceRuntime[]): void {
    const rules = this.#rules(instances);
    if (this.#firewall === undefined) {
      if (rules.unserved.length + rules.vmacs.length === 0) return;
      const { table, priority, counters } = config.globals.nftables;
      this.#firewall = openFirewall({ table, priority, counters });
    }
    const problem = this.#firewall.set(rules);
    const text = problem?.message ?? "";
    if (problem !== undefined && text !== this.#trouble) {
      this.#log.error(`nftables: ${text}: addresses with no_accept answer all the same`);
    }
    this.#trouble = text;
  }

  /**
   * The winner speaks with our virtual MAC from now on: a frame of ours would lead switches back to us, so that none leaves
   * until the addresses are gone.
   */
  silence({ name, config }: InstanceRuntime): void {
    for (const device of vmacNames(config)) {
      const problem = blockEgress(device);
      if (problem === undefined) this.#silent.add(device);
      else this.#log.warning(`(${name}) ${problem.message}`);
    }
  }

  /** The end of `silence`. */
  async lift(instance: InstanceRuntime, held: boolean): Promise<void> {
    const devices = vmacNames(instance.config).filter((device) => this.#silent.has(device));
    if (devices.length === 0) return;
    if (!held) await instance.held.idle();
    for (const device of devices) {
      if (!this.#silent.delete(device)) continue;
      const problem = unblockEgress(device);
      if (problem !== undefined) this.#log.error(`(${instance.name}) ${problem.message}`);
    }
  }

  close(): void {
    for (const device of this.#silent) unblockEgress(device);
    this.#silent.clear();
    this.#firewall?.close();
    this.#firewall = undefined;
  }

  #rules(instances: readonly InstanceRuntime[]): FirewallRules {
    const unserved = instances
      .filter(({ config, held }) => !config.accept && config.priority !== 255 && held.held)
      .flatMap(({ held }) =>
        held.holdings.addresses.map(({ config, ifindex }) => ({
          address: config.address,
          ifindex,
        })),
      );
    const vmacs = instances.flatMap(({ config }) =>
      vmacNames(config).flatMap((name) => this.#network.linkByName(name)?.index ?? []),
    );
    return { unserved, vmacs };
  }
}
