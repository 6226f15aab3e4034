import { formatAddress } from "@ha/base";
import type { AddressEvent, NetlinkRequest, NetworkState, RouteEvent } from "@ha/linux";
import type { Config } from "../core/config/model.ts";
import { type Holdings, holdingsOf } from "./holdings.ts";
import type { Log } from "./log.ts";

/** `static_ipaddress`, `static_routes`, `static_rules`: there from start to stop, whoever is master. */
export class StaticEntries {
  readonly #network: NetworkState;
  readonly #log: Log;
  #holdings: Holdings | undefined;
  #applied: Promise<void> = Promise.resolve();

  constructor(network: NetworkState, log: Log) {
    this.#network = network;
    this.#log = log;
  }

  /** Puts what the configuration wants in place, and takes away what it no longer does. */
  apply(config: Config): void {
    const { static_addresses, static_routes, static_rules } = config;
    const before = this.#holdings;
    if (static_addresses.length + static_routes.length + static_rules.length === 0) {
      this.clear();
      return;
    }
    const after = holdingsOf(
      {
        addresses: static_addresses,
        routes: static_routes,
        rules: static_rules,
        device: config.globals.default_interface,
        lifetime: undefined,
      },
      (name) => this.#network.linkByName(name)?.index,
    );
    for (const name of after.missing) {
      this.#log.warning(`interface ${name} does not exist: its static entries are left out`);
    }
    const keep = new Set(after.remove.map(keyOf));
    this.#perform((before?.remove ?? []).filter((request) => !keep.has(keyOf(request))));
    this.#holdings = after;
    this.#perform(after.add);
  }

  clear(): void {
    if (this.#holdings !== undefined) this.#perform(this.#holdings.remove);
    this.#holdings = undefined;
  }

  /** Resolves when the kernel has answered. */
  idle(): Promise<void> {
    return this.#applied;
  }

  /** Put back at once. observed: keepalived 2.4.3 */
  addressGone({ address, by }: AddressEvent): void {
    if (by.ours || this.#holdings === undefined) return;
    const text = formatAddress(address.address);
    const lost = this.#holdings.addresses.some(
      ({ ifindex, config }) =>
        ifindex === address.ifindex && formatAddress(config.address) === text,
    );
    if (!lost || this.#network.linkByIndex(address.ifindex) === undefined) return;
    this.#log.info(`Restoring deleted static address ${text}`);
    this.#perform(this.#holdings.add);
  }

  entryGone({ key }: RouteEvent): void {
    if (this.#holdings?.keys.has(key) !== true) return;
    this.#log.info(`Restoring deleted static entry ${key}`);
    this.#perform(this.#holdings.add);
  }

  #perform(requests: readonly NetlinkRequest[]): void {
    if (requests.length === 0) return;
    this.#applied = this.#network.applyAll(requests).then((results) => {
      for (const problem of results) {
        if (problem !== undefined) this.#log.error(`Netlink: error: ${problem.message}`);
      }
    });
  }
}

function keyOf({ type, body }: NetlinkRequest): string {
  return `${type} ${Buffer.from(body).toString("base64")}`;
}
