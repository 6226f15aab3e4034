import { formatAddress, type IpAddress } from "@ha/base";
import { RTM } from "../netlink-codec.ts";
import { addressKey, readInterfaceAddress } from "../network-records.ts";
import type {
  InterfaceAddress,
  Link,
  NetlinkRequest,
  NetworkEvent,
  NetworkState,
} from "../network-state.ts";
import { readRouteKey, readRuleKey } from "../route-request.ts";
import { SystemError } from "../system-error.ts";

/**
 * Links, addresses, routes and rules in memory: requests have their effect at once, as in the kernel, and what is known of it
 * follows with the events, in a later turn or by `drain`. `network-contract.ts` holds it and rtnetlink to one suite.
 */
export class MemoryNetwork implements NetworkState {
  closed = false;
  /** Routes and rules by their keys, with the request that made each. */
  readonly entries = new Map<string, NetlinkRequest>();
  readonly #links = new Map<number, Link>();
  /** In the kernel, and known here. */
  readonly #kernel = new Map<string, InterfaceAddress>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  readonly #listeners = new Set<(event: NetworkEvent) => void>();
  #events: NetworkEvent[] = [];
  #soon: NodeJS.Immediate | undefined;

  /** A link appears, changes, or (`undefined`) goes with all that is on it. */
  setLink(index: number, change: Partial<Link> | undefined): void {
    const previous = this.#links.get(index);
    if (change === undefined) {
      if (previous === undefined) return;
      for (const [key, address] of this.#kernel) {
        if (address.ifindex === index) this.#dropAddress(key, KERNEL);
      }
      this.#links.delete(index);
      this.#tell({ type: "link-gone", link: previous });
      return;
    }
    const link: Link = { ...(previous ?? PLAIN), index, ...change };
    this.#links.set(index, link);
    this.#tell({ type: "link", link, previous });
  }

  /** What somebody else does by `ip address`. */
  async applyBySomebody(request: NetlinkRequest): Promise<void> {
    this.#perform(request, { ours: false, port: 4711 });
  }

  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  linkByName(name: string): Link | undefined {
    return this.links().find((link) => link.name === name);
  }

  linkByIndex(index: number): Link | undefined {
    return this.#links.get(index);
  }

  addresses(ifindex?: number): readonly InterfaceAddress[] {
    return [...this.#addresses.values()].filter(
      (address) => ifindex === undefined || address.ifindex === ifindex,
    );
  }

  hasAddress(address: IpAddress): boolean {
    const text = formatAddress(address);
    return this.addresses().some((entry) => formatAddress(entry.address) === text);
  }

  async apply(request: NetlinkRequest): Promise<SystemError | undefined> {
    if (this.closed) return new SystemError(request.what, "EBADF");
    const code = this.#perform(request, { ours: true, port: 1 });
    return code === undefined || request.fine.includes(code)
      ? undefined
      : new SystemError(request.what, code);
  }

  applyAll(requests: readonly NetlinkRequest[]): Promise<readonly (SystemError | undefined)[]> {
    return Promise.all(requests.map((request) => this.apply(request)));
  }

  listen(listener: (event: NetworkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  drain(): void {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    for (const event of this.#events.splice(0)) {
      if (event.type === "address") this.#addresses.set(addressKey(event.address), event.address);
      if (event.type === "address-gone") this.#addresses.delete(addressKey(event.address));
      for (const listener of [...this.#listeners]) listener(event);
    }
  }

  async resync(reason: string): Promise<void> {
    this.#tell({ type: "resync", reason });
  }

  close(): void {
    this.closed = true;
    clearImmediate(this.#soon);
    this.#listeners.clear();
  }

  #perform(
    { type, body }: NetlinkRequest,
    by: { ours: boolean; port: number },
  ): string | undefined {
    switch (type) {
      case RTM.newAddress:
      case RTM.delAddress: {
        const address = readInterfaceAddress(body);
        if (address === undefined) return "EINVAL";
        if (!this.#links.has(address.ifindex)) return "ENODEV";
        const key = addressKey(address);
        if (type === RTM.delAddress) {
          if (!this.#kernel.has(key)) return "EADDRNOTAVAIL";
          this.#dropAddress(key, by);
          return undefined;
        }
        const fresh = !this.#kernel.has(key);
        this.#kernel.set(key, address);
        if (fresh) this.#tell({ type: "address", address, by });
        return undefined;
      }
      case RTM.newRoute:
      case RTM.delRoute:
        return this.#entry("route-gone", readRouteKey(body)?.key, { type, body }, by);
      case RTM.newRule:
      case RTM.delRule:
        return this.#entry("rule-gone", readRuleKey(body)?.key, { type, body }, by);
      default:
        return "EOPNOTSUPP";
    }
  }

  #entry(
    gone: "route-gone" | "rule-gone",
    key: string | undefined,
    request: Pick<NetlinkRequest, "type" | "body">,
    by: { ours: boolean; port: number },
  ): string | undefined {
    if (key === undefined) return "EINVAL";
    const known = this.entries.has(key);
    if (request.type === RTM.newRoute || request.type === RTM.newRule) {
      if (known && request.type === RTM.newRule) return "EEXIST";
      this.entries.set(key, { what: key, flags: 0, fine: [], ...request });
      return undefined;
    }
    if (!known) return "ESRCH";
    this.entries.delete(key);
    this.#tell({ type: gone, key, by });
    return undefined;
  }

  #dropAddress(key: string, by: { ours: boolean; port: number }): void {
    const address = this.#kernel.get(key);
    if (address === undefined) return;
    this.#kernel.delete(key);
    this.#tell({ type: "address-gone", address, by });
  }

  #tell(event: NetworkEvent): void {
    this.#events.push(event);
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined;
      this.drain();
    });
  }
}

const KERNEL = { ours: false, port: 0 };

/** An Ethernet interface that is up. */
const PLAIN: Link = {
  index: 0,
  name: "",
  up: true,
  carrier: true,
  running: true,
  mtu: 1_500,
  mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  loopback: false,
  multicast: true,
  lowerIndex: 0,
  masterIndex: 0,
  kind: undefined,
};
