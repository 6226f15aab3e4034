import { readFileSync } from "node:fs";
import { formatAddress, type IpAddress } from "@ha/base";
import type {
  AddressEvent,
  NetlinkRequest,
  NetworkState,
  RouteEvent,
  SystemError,
} from "@ha/linux";
import type { AddressPort } from "../core/ports.ts";
import type { Announcement, Announcements } from "./announcements.ts";
import { type Holdings, holdingsOf, isCurrent, namesOf, type Wanted } from "./holdings.ts";
import type { Log } from "./log.ts";

export interface HeldAddressesOptions {
  /** The instance. */
  readonly name: string;
  readonly network: NetworkState;
  readonly announcements: Announcements;
  readonly log: Log;
  /** What is to be held now; asked each time, since reloads and interfaces change it. */
  readonly wanted: () => Wanted & {
    /** Another object when anything of the rest may be another. */
    readonly version: object;
  };
  /** Told when something of ours was taken away by somebody else. */
  readonly onRemoved: (address: IpAddress | undefined) => void;
  /** Told before addresses are put in place, and after they were taken away. */
  readonly onHeld: (held: boolean) => void;
}

/** The addresses, routes and rules of one instance, in the kernel. */
export class HeldAddresses implements AddressPort {
  readonly #options: HeldAddressesOptions;
  #held = false;
  #keepForEver = false;
  #applied: Promise<unknown> = Promise.resolve();
  #holdings: Holdings = EMPTY;
  /** Made ahead, for this version of what is wanted. */
  #prepared: { readonly version: object; readonly holdings: Holdings } | undefined;
  /** Our own removals that the kernel has not told us of yet, by address. */
  readonly #expected = new Map<string, number>();

  constructor(options: HeldAddressesOptions) {
    this.#options = options;
  }

  get held(): boolean {
    return this.#held;
  }

  /** What was placed last. */
  get holdings(): Holdings {
    return this.#holdings;
  }

  /** Makes ahead what `add` will ask of the kernel: at a takeover each millisecond is an outage. */
  prepare(): Holdings {
    return this.#compute();
  }

  add(): void {
    this.#holdings = this.#compute();
    // The guard is told first, so that there is no moment in which a crash would leave something behind.
    if (!this.#held) {
      this.#held = true;
      this.#options.onHeld(true);
    }
    this.#apply(this.#holdings.add);
    for (const name of this.#holdings.missing) {
      this.#options.log.warning(
        `(${this.#options.name}) interface ${name} does not exist: its addresses and routes are left out`,
      );
    }
  }

  remove(): void {
    if (this.#keepForEver) return;
    const before = this.#holdings;
    for (const { ifindex, config } of before.addresses) {
      if (!this.#has(ifindex, config.address)) continue;
      const key = keyOf(ifindex, config.address);
      this.#expected.set(key, (this.#expected.get(key) ?? 0) + 1);
    }
    this.#apply(before.remove);
    this.#holdings = EMPTY;
    if (!this.#held) return;
    this.#held = false;
    this.#options.onHeld(false);
  }

  announce(repeat: number): void {
    const { announcements, name, network, log } = this.#options;
    const list: Announcement[] = [];
    for (const { config, ifindex } of this.#holdings.addresses) {
      const link = network.linkByIndex(ifindex);
      if (link === undefined) continue;
      list.push({ address: config.address, ifindex, device: link.name, mac: link.mac });
    }
    // Somebody waits for the frames, nobody for the lines.
    queueMicrotask(() => {
      for (const { address, device } of list) {
        const what = address.family === 4 ? "gratuitous ARPs" : "Unsolicited Neighbour Adverts";
        log.detail(`(${name}) Sending/queueing ${what} on ${device} for ${formatAddress(address)}`);
      }
    });
    announcements.announce(name, list, repeat);
  }

  /** Once, those that are on macvlans of their own, or all. */
  announceExtra(all: boolean): void {
    const { announcements, name, network } = this.#options;
    const list = this.#holdings.addresses.flatMap(({ config, ifindex }): Announcement[] => {
      const link = network.linkByIndex(ifindex);
      if (link === undefined || (!all && config.vmac === undefined)) return [];
      return [{ address: config.address, ifindex, device: link.name, mac: link.mac }];
    });
    announcements.announce(name, list, 1);
  }

  stopAnnouncing(): void {
    this.#options.announcements.cancel(this.#options.name);
  }

  /** Resolves when the kernel has answered everything that was asked of it. */
  async idle(): Promise<void> {
    await this.#applied;
  }

  /** Addresses stay when the daemon ends: `-V`. */
  keepForEver(): void {
    this.#keepForEver = true;
  }

  /** What a former run left behind goes, before there is any election. */
  removeStale(): void {
    const wanted = this.#compute();
    const present = wanted.addresses.filter(({ ifindex, config }) =>
      this.#has(ifindex, config.address),
    );
    if (present.length === 0 && wanted.remove.length === wanted.addresses.length) return;
    this.#options.log.info(`(${this.#options.name}) removing VIPs.`);
    this.#holdings = wanted;
    this.remove();
  }

  /** The settings have changed: what is no longer wanted goes, what is new comes and is announced, the rest is untouched. */
  reconfigure(announceRepeat: number): void {
    if (!this.#held) return;
    const before = this.#holdings;
    const after = this.#compute();
    const keep = new Set(after.remove.map(requestKey));
    const gone = before.remove.filter((request) => !keep.has(requestKey(request)));
    const had = new Set(before.remove.map(requestKey));
    const fresh = after.addresses.filter(
      ({ ifindex, config }) =>
        !before.addresses.some(
          (old) => keyOf(old.ifindex, old.config.address) === keyOf(ifindex, config.address),
        ),
    );
    // Addresses that go are not to be taken for removed by somebody else.
    for (const { ifindex, config } of before.addresses) {
      const key = keyOf(ifindex, config.address);
      const stays = after.addresses.some(
        (placed) => keyOf(placed.ifindex, placed.config.address) === key,
      );
      if (!stays) this.#expected.set(key, (this.#expected.get(key) ?? 0) + 1);
    }
    this.#holdings = after;
    this.#apply(gone);
    this.#apply(
      after.entries.filter(({ remove }) => !had.has(requestKey(remove))).map(({ add }) => add),
    );
    if (fresh.length === 0) return;
    const list = fresh.flatMap(({ config, ifindex }): Announcement[] => {
      const link = this.#options.network.linkByIndex(ifindex);
      return link === undefined
        ? []
        : [{ address: config.address, ifindex, device: link.name, mac: link.mac }];
    });
    this.#options.announcements.announce(this.#options.name, list, announceRepeat);
  }

  /** Sets the lifetimes anew, where the kernel is to remove the addresses of a dead daemon. */
  renew(): void {
    if (this.#held) this.#apply(this.#holdings.add.slice(0, this.#holdings.addresses.length));
  }

  /** An address has gone: ours, by our wish or by somebody else's. */
  addressGone({ address, by }: AddressEvent): void {
    const key = keyOf(address.ifindex, address.address);
    const expected = this.#expected.get(key) ?? 0;
    if (expected > 0) {
      if (expected === 1) this.#expected.delete(key);
      else this.#expected.set(key, expected - 1);
      return;
    }
    if (!this.#held) return;
    const placed = this.#holdings.addresses.find(
      ({ ifindex, config }) => keyOf(ifindex, config.address) === key,
    );
    if (placed === undefined || placed.config.no_track) return;
    const { network, log } = this.#options;
    const device = network.linkByIndex(address.ifindex)?.name ?? `interface ${address.ifindex}`;
    log.info(
      `Netlink reflector reports IP ${formatAddress(address.address)} removed from ${device}${remover(by)}`,
      { instance: this.#options.name, address: formatAddress(address.address) },
    );
    // An interface that is gone or down took it along; that is a fault of its own.
    if (network.linkByIndex(address.ifindex) === undefined) return;
    this.#options.onRemoved(address.address);
  }

  /** A route or rule has gone that somebody else removed; the fight is the same as for an address. */
  entryGone({ key }: RouteEvent): void {
    if (!this.#held || !this.#holdings.keys.has(key)) return;
    this.#options.log.info(`Netlink reflector reports ${key} removed by somebody else`, {
      instance: this.#options.name,
    });
    this.#options.onRemoved(undefined);
  }

  #compute(): Holdings {
    const { network } = this.#options;
    const wanted = this.#options.wanted();
    const names = namesOf(network);
    const known = this.#prepared;
    if (known?.version === wanted.version && isCurrent(known.holdings, names.indexOf)) {
      return known.holdings;
    }
    const holdings = holdingsOf(wanted, names);
    this.#prepared = { version: wanted.version, holdings };
    return holdings;
  }

  #has(ifindex: number, address: IpAddress): boolean {
    const text = formatAddress(address);
    return this.#options.network
      .addresses(ifindex)
      .some((entry) => formatAddress(entry.address) === text);
  }

  #apply(requests: readonly NetlinkRequest[]): void {
    if (requests.length === 0) return;
    const { network, log, name } = this.#options;
    const done = network.applyAll(requests).then((results) => {
      for (const problem of results) if (problem !== undefined) log.error(line(name, problem));
    });
    this.#applied = Promise.all([this.#applied, done]);
  }
}

const EMPTY: Holdings = {
  addresses: [],
  entries: [],
  add: [],
  remove: [],
  keys: new Set(),
  missing: [],
  indexes: new Map(),
};

function keyOf(ifindex: number, address: IpAddress): string {
  return `${ifindex} ${formatAddress(address)}`;
}

function requestKey({ type, body }: NetlinkRequest): string {
  return `${type} ${Buffer.from(body).toString("base64")}`;
}

function line(name: string, problem: SystemError): string {
  return `(${name}) Netlink: error: ${problem.message}`;
}

/** Who did it, as far as the kernel tells: the sender's port is its process id as a rule. */
function remover(by: AddressEvent["by"]): string {
  if (by.port === 0) return " by the kernel";
  try {
    const name = readFileSync(`/proc/${by.port}/comm`, "latin1").trim();
    return ` by ${name}[${by.port}]`;
  } catch {
    return ` by a process that has ended (netlink port ${by.port})`;
  }
}
