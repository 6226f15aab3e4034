import { type Clock, formatAddress, seconds, type Timer } from "@ha/base";
import type { AddressEvent, NetlinkRequest, NetworkState, RouteEvent } from "@ha/linux";
import type { Config } from "../core/config/model.ts";
import { type HoldingEntry, type Holdings, holdingsOf, namesOf } from "./holdings.ts";
import type { Log } from "./log.ts";

/** Between two tries to put back what the kernel refused. */
const RETRY = seconds(1);

export interface StaticEntriesOptions {
  readonly network: NetworkState;
  readonly clock: Clock;
  readonly log: Log;
  /** `lostGroup` may have another answer for some instance. */
  readonly onChange: () => void;
}

/** `static_ipaddress`, `static_routes`, `static_rules`: there from start to stop, whoever is master. */
export class StaticEntries {
  readonly #options: StaticEntriesOptions;
  #config: Config | undefined;
  #holdings: Holdings | undefined;
  #applied: Promise<void> = Promise.resolve();
  /** `track_group`s of which something was removed and could not be put back. */
  #lost = new Set<string>();
  #retry: Timer | undefined;

  constructor(options: StaticEntriesOptions) {
    this.#options = options;
  }

  /** Puts what the configuration wants in place, and takes away what it no longer does. */
  apply(config: Config): void {
    const { log } = this.#options;
    const { static_addresses, static_routes, static_rules } = config;
    const before = this.#holdings;
    this.#config = config;
    if (static_addresses.length + static_routes.length + static_rules.length === 0) {
      this.clear();
      return;
    }
    const after = this.#compute(config);
    for (const name of after.missing) {
      log.warning(`interface ${name} does not exist: its static entries are left out`);
    }
    const keep = new Set(after.remove.map(keyOf));
    const gone = (before?.remove ?? []).filter((request) => !keep.has(keyOf(request)));
    this.#holdings = after;
    // A group counts as lost again when something of it is removed once more.
    this.#lost = new Set();
    // Each request is sent before the next is begun.
    const removed = this.#perform(gone);
    const added = this.#put(after.entries);
    this.#applied = Promise.all([removed, added]).then(() => undefined);
  }

  clear(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    if (this.#holdings !== undefined) this.#applied = this.#perform(this.#holdings.remove);
    this.#holdings = undefined;
    this.#lost = new Set();
  }

  /** Resolves when the kernel has answered. */
  idle(): Promise<void> {
    return this.#applied;
  }

  /**
   * The track group of this instance that has lost an entry: the instance is in fault until it is back.
   * keepalived.conf(5), Static track groups.
   */
  lostGroup(instance: string): string | undefined {
    if (this.#lost.size === 0) return undefined;
    return this.#config?.track_groups.find(
      ({ name, members }) => this.#lost.has(name) && members.includes(instance),
    )?.name;
  }

  /** Put back at once. observed: keepalived 2.4.3 */
  addressGone({ address, by }: AddressEvent): void {
    if (by.ours || this.#holdings === undefined) return;
    const text = formatAddress(address.address);
    const lost = this.#holdings.addresses.some(
      ({ ifindex, config }) =>
        ifindex === address.ifindex && formatAddress(config.address) === text,
    );
    if (!lost) return;
    this.#options.log.info(`Restoring deleted static address ${text}`);
    this.#restore();
  }

  entryGone({ key }: RouteEvent): void {
    if (this.#holdings?.keys.has(key) !== true) return;
    this.#options.log.info(`Restoring deleted static entry ${key}`);
    this.#restore();
  }

  /** Everything anew, since an interface may be another one by now. */
  #restore(): void {
    const config = this.#config;
    if (config === undefined || this.#holdings === undefined) return;
    const holdings = this.#compute(config);
    this.#holdings = holdings;
    this.#applied = this.#put(holdings.entries).then((failed) => this.#judge(config, failed));
  }

  #judge(config: Config, failed: ReadonlySet<HoldingEntry["of"]>): void {
    const holdings = this.#holdings;
    if (holdings === undefined || this.#config !== config) return;
    const there = new Set(holdings.entries.map(({ of }) => of));
    const lost = new Set<string>();
    for (const entry of [
      ...config.static_addresses,
      ...config.static_routes,
      ...config.static_rules,
    ]) {
      const { track_group } = entry;
      if (track_group === undefined || (there.has(entry) && !failed.has(entry))) continue;
      lost.add(track_group);
    }
    const changed =
      lost.size !== this.#lost.size || [...lost].some((name) => !this.#lost.has(name));
    this.#lost = lost;
    if (lost.size > 0) {
      this.#retry?.cancel();
      this.#retry = this.#options.clock.after(RETRY, () => this.#restore());
    }
    if (changed) this.#options.onChange();
  }

  #compute(config: Config): Holdings {
    return holdingsOf(
      {
        addresses: config.static_addresses,
        routes: config.static_routes,
        rules: config.static_rules,
        device: config.globals.default_interface,
        lifetime: undefined,
      },
      namesOf(this.#options.network),
    );
  }

  /** Adds all; resolves to those that the kernel refused. */
  async #put(entries: readonly HoldingEntry[]): Promise<ReadonlySet<HoldingEntry["of"]>> {
    const { network, log } = this.#options;
    const results = await network.applyAll(entries.map(({ add }) => add));
    const failed = new Set<HoldingEntry["of"]>();
    entries.forEach(({ of }, i) => {
      const problem = results[i];
      if (problem === undefined) return;
      failed.add(of);
      log.error(`Netlink: error: ${problem.message}`);
    });
    return failed;
  }

  async #perform(requests: readonly NetlinkRequest[]): Promise<void> {
    if (requests.length === 0) return;
    for (const problem of await this.#options.network.applyAll(requests)) {
      if (problem !== undefined) this.#options.log.error(`Netlink: error: ${problem.message}`);
    }
  }
}

function keyOf({ type, body }: NetlinkRequest): string {
  return `${type} ${Buffer.from(body).toString("base64")}`;
}
