import { formatAddress, type IpAddress } from "@ha/base";
import type { NetlinkSocket } from "netlink";
import {
  AF_NETLINK,
  netlinkSocketAddress,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from "./kernel-address.ts";
import { netlinkPackage, type ParsedMessage, RTM, readNetlinkMessages } from "./netlink-codec.ts";
import { dumpMessages } from "./netlink-dump.ts";
import { addressKey, readInterfaceAddress, readLink, sameLink } from "./network-records.ts";
import type {
  AddressEvent,
  InterfaceAddress,
  Link,
  NetlinkRequest,
  NetworkEvent,
  NetworkState,
} from "./network-state.ts";
import { RTPROT_KEEPALIVED, readRouteKey, readRuleKey } from "./route-request.ts";
import { createBatch, EAGAIN, EINTR, ENOBUFS, messageOf, SocketDoor } from "./socket-door.ts";
import { SystemError, systemError, wrapError } from "./system-error.ts";

export interface RouteNetlinkOptions {
  /** SO_RCVBUF of the event socket in bytes, as `vrrp_netlink_monitor_rcv_bufs`; 1 MiB, forced where we may. */
  readonly eventBufferBytes?: number;
  /** Beyond rmem_max as well, as `vrrp_netlink_monitor_rcv_bufs_force`. Default: only for the default size. */
  readonly forceEventBuffer?: boolean;
  /** SO_RCVBUF of the request socket in bytes, as `vrrp_netlink_cmd_rcv_bufs`; 256 KiB. */
  readonly requestBufferBytes?: number;
  /** Hear of routes and rules too: for `virtual_routes` and `virtual_rules` only, since a router has many. False. */
  readonly watchRoutes?: boolean;
  /** How long a request may take; 2,000 ms. */
  readonly requestTimeoutMs?: number;
  /** What goes wrong outside a request: the event socket, and what listeners throw. */
  readonly onError: (error: SystemError) => void;
}

/**
 * Opens rtnetlink: requests through the package `netlink`, events on a socket of our own, since the package aborts the
 * process when its socket overflows. Links and addresses are known when this returns. Throws `SystemError`.
 */
export function openRouteNetlink(options: RouteNetlinkOptions): NetworkState {
  return new LinuxNetworkState(options);
}

const NETLINK_ROUTE = 0;
const NETLINK_ADD_MEMBERSHIP = 1;
const GROUPS = { link: 1, ipv4Address: 5, ipv6Address: 9 };
const ROUTE_GROUPS = { ipv4Route: 7, ipv4Rule: 8, ipv6Route: 11, ipv6Rule: 19 };
const MSG_TRUNC = 0x20;
const EVENT_SLOT = 16_384;
const EVENT_BATCH = 16;
const DRAIN_LIMIT = 4_096;
/** Between two dumps that lost events make necessary, so that a storm costs dumps only so often. */
const RESYNC_PAUSE_MS = 100;

class LinuxNetworkState implements NetworkState {
  readonly #options: RouteNetlinkOptions;
  readonly #events: SocketDoor;
  readonly #requests: NetlinkSocket;
  readonly #batch = createBatch(EVENT_BATCH, EVENT_SLOT);
  readonly #links = new Map<number, Link>();
  readonly #linksByName = new Map<string, Link>();
  readonly #addresses = new Map<string, InterfaceAddress>();
  readonly #listeners = new Set<(event: NetworkEvent) => void>();
  readonly #pending = new Set<(error: SystemError) => void>();
  #ownPort = -1;
  #closed = false;
  #lastResync = 0;
  #resyncTimer: NodeJS.Timeout | undefined;

  constructor(options: RouteNetlinkOptions) {
    this.#options = options;
    const kind = { domain: AF_NETLINK, type: SOCK_RAW, protocol: NETLINK_ROUTE };
    this.#events = SocketDoor.open("open the netlink event socket", kind);
    try {
      this.#subscribe();
      this.#requests = this.#openRequests();
      this.#read();
      this.#events.watch(() => this.#onReadable());
    } catch (error) {
      this.#events.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  linkByName(name: string): Link | undefined {
    return this.#linksByName.get(name);
  }

  linkByIndex(index: number): Link | undefined {
    return this.#links.get(index);
  }

  addresses(ifindex?: number): readonly InterfaceAddress[] {
    const all = [...this.#addresses.values()];
    return ifindex === undefined ? all : all.filter((entry) => entry.ifindex === ifindex);
  }

  hasAddress(address: IpAddress): boolean {
    const text = formatAddress(address);
    for (const entry of this.#addresses.values()) {
      if (formatAddress(entry.address) === text) return true;
    }
    return false;
  }

  async apply(request: NetlinkRequest): Promise<SystemError | undefined> {
    if (this.#closed)
      return new SystemError(request.what, "EBADF", { detail: "netlink is closed" });
    let settle: ((error: SystemError) => void) | undefined;
    const closing = new Promise<SystemError>((resolve) => {
      settle = resolve;
      this.#pending.add(resolve);
    });
    const timeout = this.#options.requestTimeoutMs ?? 2_000;
    try {
      const sent = this.#requests
        .request(request.type, request.body, { flags: request.flags, timeout })
        .then(
          () => undefined,
          (error: unknown) => rejection(request, error),
        );
      return await Promise.race([sent, closing]);
    } catch (error) {
      return wrapError(request.what, error);
    } finally {
      if (settle !== undefined) this.#pending.delete(settle);
    }
  }

  applyAll(requests: readonly NetlinkRequest[]): Promise<readonly (SystemError | undefined)[]> {
    // Each is sent before the next is begun, and the kernel performs them in the order of arrival.
    return Promise.all(requests.map((request) => this.apply(request)));
  }

  listen(listener: (event: NetworkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  drain(): void {
    let total = 0;
    while (!this.#closed && total < DRAIN_LIMIT) {
      const count = this.#receive();
      if (count === 0) return;
      total += count;
    }
  }

  resync(reason: string): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#closed) this.#resyncNow(reason);
      resolve();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#resyncTimer);
    this.#events.close();
    this.#requests.close();
    for (const settle of this.#pending) {
      settle(new SystemError("netlink request", "ECANCELED", { detail: "netlink was closed" }));
    }
    this.#pending.clear();
    this.#listeners.clear();
  }

  #subscribe(): void {
    const { eventBufferBytes, forceEventBuffer = eventBufferBytes === undefined } = this.#options;
    const size = eventBufferBytes ?? 1_048_576;
    if (!forceEventBuffer || this.#events.trySetOption(SOL_SOCKET, SO_RCVBUFFORCE, size) < 0) {
      this.#events.trySetOption(SOL_SOCKET, SO_RCVBUF, size);
    }
    this.#events.bind("bind the netlink event socket", netlinkSocketAddress(0, 0));
    const groups = Object.values(GROUPS);
    if (this.#options.watchRoutes === true) groups.push(...Object.values(ROUTE_GROUPS));
    for (const group of groups) {
      const what = `subscribe to netlink group ${group}`;
      this.#events.setOption(what, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
    }
  }

  #openRequests(): NetlinkSocket {
    try {
      const recvBufferSize = this.#options.requestBufferBytes ?? 262_144;
      const sizes = { recvBufferSize, sendBufferSize: 262_144 };
      const socket = netlinkPackage().createNetlink(NETLINK_ROUTE, sizes);
      socket.on("error", (error) => this.#options.onError(wrapError("netlink requests", error)));
      this.#ownPort = socket.address().port;
      return socket;
    } catch (error) {
      throw wrapError("open the netlink request socket", error);
    }
  }

  /** Reads both tables without telling anybody. */
  #read(): void {
    for (const message of dumpMessages(RTM.getLink)) {
      const link = readLink(message.body);
      if (link !== undefined) this.#index(link);
    }
    for (const message of dumpMessages(RTM.getAddress)) {
      const address = readInterfaceAddress(message.body);
      if (address !== undefined) this.#addresses.set(addressKey(address), address);
    }
  }

  #onReadable(): void {
    this.#receive();
  }

  /** One batch; the number of datagrams. */
  #receive(): number {
    const count = this.#events.receive(this.#batch);
    if (count === -EAGAIN || count === -EINTR) return 0;
    if (count === -ENOBUFS) {
      this.#lost("the kernel's buffer for events overflowed");
      return 1;
    }
    if (count < 0) {
      this.#options.onError(systemError("receive netlink events", count));
      return 0;
    }
    // Parsed before any listener runs: one may call `drain`, which uses the batch again.
    const messages: ParsedMessage[] = [];
    for (let i = 0; i < count; i++) {
      const { data, flags } = messageOf(this.#batch, i);
      if ((flags & MSG_TRUNC) !== 0) this.#lost("an event was longer than our buffer");
      else messages.push(...readNetlinkMessages(data.slice()));
    }
    for (const message of messages) if (!this.#closed) this.#take(message);
    return count;
  }

  #take(message: ParsedMessage): void {
    const by = { ours: message.port === this.#ownPort, port: message.port };
    switch (message.type) {
      case RTM.newLink: {
        const link = readLink(message.body);
        if (link !== undefined) this.#putLink(link);
        return;
      }
      case RTM.delLink: {
        const link = readLink(message.body);
        if (link !== undefined) this.#dropLink(link.index);
        return;
      }
      case RTM.newAddress: {
        const address = readInterfaceAddress(message.body);
        if (address !== undefined) this.#putAddress(address, by);
        return;
      }
      case RTM.delAddress: {
        const address = readInterfaceAddress(message.body);
        if (address !== undefined) this.#dropAddress(addressKey(address), by);
        return;
      }
      case RTM.delRoute: {
        const route = readRouteKey(message.body);
        if (route?.protocol !== RTPROT_KEEPALIVED) return;
        this.#tell({ type: "route-gone", key: route.key, by });
        return;
      }
      case RTM.delRule: {
        const rule = readRuleKey(message.body);
        if (rule?.protocol !== RTPROT_KEEPALIVED) return;
        this.#tell({ type: "rule-gone", key: rule.key, by });
        return;
      }
    }
  }

  #putLink(link: Link): void {
    const previous = this.#links.get(link.index);
    if (previous !== undefined) this.#forgetName(previous);
    this.#index(link);
    if (previous !== undefined && sameLink(previous, link)) return;
    this.#tell({ type: "link", link, previous });
  }

  #dropLink(index: number): void {
    const link = this.#links.get(index);
    if (link === undefined) return;
    this.#links.delete(index);
    this.#forgetName(link);
    this.#tell({ type: "link-gone", link });
  }

  #index(link: Link): void {
    this.#links.set(link.index, link);
    this.#linksByName.set(link.name, link);
  }

  /** Another link may have taken the name already: events of a rename come in the order of the changes. */
  #forgetName({ index, name }: Link): void {
    if (this.#linksByName.get(name)?.index === index) this.#linksByName.delete(name);
  }

  #putAddress(address: InterfaceAddress, by: AddressEvent["by"]): void {
    const key = addressKey(address);
    const previous = this.#addresses.get(key);
    this.#addresses.set(key, address);
    // A renewed lifetime is no news.
    if (previous?.flags === address.flags && previous.label === address.label) return;
    this.#tell({ type: "address", address, by });
  }

  #dropAddress(key: string, by: AddressEvent["by"]): void {
    const address = this.#addresses.get(key);
    if (address === undefined) return;
    this.#addresses.delete(key);
    this.#tell({ type: "address-gone", address, by });
  }

  #lost(reason: string): void {
    if (this.#closed || this.#resyncTimer !== undefined) return;
    const wait = this.#lastResync + RESYNC_PAUSE_MS - performance.now();
    this.#resyncTimer = setTimeout(
      () => {
        this.#resyncTimer = undefined;
        if (!this.#closed) this.#resyncNow(reason);
      },
      Math.max(0, wait),
    );
  }

  /** Reads the tables anew, tells the differences as events, then says why. */
  #resyncNow(reason: string): void {
    this.#lastResync = performance.now();
    try {
      const links = new Map<number, Link>();
      for (const message of dumpMessages(RTM.getLink)) {
        const link = readLink(message.body);
        if (link !== undefined) links.set(link.index, link);
      }
      const addresses = new Map<string, InterfaceAddress>();
      for (const message of dumpMessages(RTM.getAddress)) {
        const address = readInterfaceAddress(message.body);
        if (address !== undefined) addresses.set(addressKey(address), address);
      }
      const by = { ours: false, port: 0 };
      for (const key of [...this.#addresses.keys()]) {
        if (!addresses.has(key)) this.#dropAddress(key, by);
      }
      for (const index of [...this.#links.keys()]) if (!links.has(index)) this.#dropLink(index);
      for (const link of links.values()) this.#putLink(link);
      for (const address of addresses.values()) this.#putAddress(address, by);
    } catch (error) {
      this.#options.onError(wrapError("read links and addresses anew", error));
    }
    this.#tell({ type: "resync", reason });
  }

  #tell(event: NetworkEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        this.#options.onError(wrapError(`handle a ${event.type} event`, error));
      }
    }
  }
}

/** The package says `Request rejected: EADDRNOTAVAIL`, or that its time is over. */
function rejection(request: NetlinkRequest, error: unknown): SystemError | undefined {
  const text = error instanceof Error ? error.message : String(error);
  const code = /^Request rejected: (\w+)/.exec(text)?.[1];
  if (code !== undefined) {
    return request.fine.includes(code) ? undefined : new SystemError(request.what, code);
  }
  if (/imeout/.test(text)) return new SystemError(request.what, "ETIMEDOUT");
  return wrapError(request.what, error);
}
