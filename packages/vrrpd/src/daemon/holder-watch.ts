import {
  type Clock,
  formatAddress,
  formatMac,
  type IpAddress,
  ip,
  milliseconds,
  seconds,
  type Timer,
} from "@ha/base";
import type { Announcer, AnnouncerOptions, Link, NetworkState } from "@ha/linux";
import type { Announcement } from "./announcements.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import type { LogLimiter } from "./log-limiter.ts";

/** Between two questions who else has an address. A silent second holder is noticed within this. */
const ASK_INTERVAL = seconds(3);
/** Changes of this long are gathered: each costs a filter, and 255 instances may change at once. */
const GATHER = milliseconds(5);
const NOBODY = { 4: ip("0.0.0.0"), 6: ip("::") } as const;

export interface HolderWatchOptions {
  readonly clock: Clock;
  readonly network: NetworkState;
  readonly openAnnouncer: (options: AnnouncerOptions) => Announcer;
  readonly log: Log;
  readonly limiter: LogLimiter;
  readonly instances: () => readonly InstanceRuntime[];
}

/**
 * ARP and neighbour discovery on the interfaces of held addresses: announces them, and asks and hears whether somebody
 * else answers for them.
 */
export class HolderWatch {
  readonly #options: HolderWatchOptions;
  readonly #announcers = new Map<number, Announcer>();
  #gathering: Timer | undefined;
  #asking: Timer | undefined;

  constructor(options: HolderWatchOptions) {
    this.#options = options;
  }

  /** Opens the sockets for everything that may be held one day: at a takeover each millisecond is an outage. */
  prepare(): void {
    for (const { held } of this.#options.instances()) {
      for (const { ifindex } of held.holdings.addresses) this.#announcer(ifindex);
    }
  }

  send({ address, ifindex, device, mac }: Announcement): void {
    const { log, limiter, network } = this.#options;
    const announcer = this.#announcer(ifindex);
    if (announcer === undefined) return;
    const problem = announcer.announce(address, network.linkByIndex(ifindex)?.mac ?? mac);
    const what = address.family === 4 ? "gratuitous ARP" : "unsolicited Neighbour Advert";
    // Somebody waits for the frames, nobody for the lines: those come after the one that tells of the new state.
    queueMicrotask(() => log.detail(`Sending ${what} on ${device} for ${formatAddress(address)}`));
    if (problem !== undefined) {
      limiter.write(`announce ${device}`, `${what} on ${device}: ${problem.message}`);
    }
  }

  /** On: listens for others that answer for what is held by now, and goes on asking who does. */
  watch(on: boolean): void {
    const { clock } = this.#options;
    if (!on) {
      this.#gathering?.cancel();
      this.#asking?.cancel();
      this.#gathering = undefined;
      this.#asking = undefined;
      for (const announcer of this.#announcers.values()) if (!announcer.closed) announcer.watch([]);
      return;
    }
    this.#gathering ??= clock.after(GATHER, () => {
      this.#gathering = undefined;
      this.#refresh();
    });
    this.#asking ??= clock.after(ASK_INTERVAL, () => this.#ask());
  }

  #refresh(): void {
    const byIndex = new Map<number, IpAddress[]>();
    for (const { held } of this.#options.instances()) {
      if (!held.held) continue;
      for (const { ifindex, config } of held.holdings.addresses) {
        byIndex.set(ifindex, [...(byIndex.get(ifindex) ?? []), config.address]);
      }
    }
    for (const [ifindex, addresses] of byIndex) this.#announcer(ifindex)?.watch(addresses);
    for (const [ifindex, announcer] of this.#announcers) {
      if (!byIndex.has(ifindex) && !announcer.closed) announcer.watch([]);
    }
  }

  /** One address of each master stands for all: a probe, which changes nobody's neighbour cache. RFC 5227 §2.1.1. */
  #ask(): void {
    const { clock, instances, network, limiter } = this.#options;
    this.#asking = clock.after(ASK_INTERVAL, () => this.#ask());
    for (const { held, router } of instances()) {
      const first = held.holdings.addresses[0];
      if (!held.held || first === undefined || router.state.name !== "master") continue;
      const { address } = first.config;
      const mac = network.linkByIndex(first.ifindex)?.mac;
      if (mac === undefined) continue;
      const source = NOBODY[address.family];
      const problem = this.#announcer(first.ifindex)?.ask(address, { source, mac });
      if (problem !== undefined) limiter.write(`ask ${first.ifindex}`, problem.message);
    }
  }

  /** The interface is gone; one of the same name is another. */
  linkGone(ifindex: number): void {
    this.#announcers.get(ifindex)?.close();
    this.#announcers.delete(ifindex);
  }

  close(): void {
    this.#gathering?.cancel();
    this.#asking?.cancel();
    for (const announcer of this.#announcers.values()) announcer.close();
    this.#announcers.clear();
  }

  #announcer(ifindex: number): Announcer | undefined {
    const known = this.#announcers.get(ifindex);
    if (known !== undefined && !known.closed) return known;
    const { network, openAnnouncer, limiter } = this.#options;
    const link = network.linkByIndex(ifindex);
    if (link === undefined || link.loopback) return undefined;
    const { name } = link;
    try {
      const announcer = openAnnouncer({
        interface: { name, index: ifindex },
        addresses: [],
        onArp: ({ senderAddress, senderMac }) => this.#heard(ifindex, senderAddress, senderMac),
        onNeighbour: ({ target, mac }) => {
          if (mac !== undefined) this.#heard(ifindex, target, mac);
        },
        onError: (error) => limiter.write(`announcer ${name}`, error.message),
      });
      this.#announcers.set(ifindex, announcer);
      return announcer;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      limiter.write(`announcer ${name}`, `cannot announce on ${name}: ${why}`);
      return undefined;
    }
  }

  /** Somebody answers for an address: another holder, if it is not us. */
  #heard(ifindex: number, address: IpAddress, mac: Uint8Array): void {
    // Linux answers for an address on all of its interfaces, so a second one of ours in the same network is no other.
    const sender = formatMac(mac);
    const ours = (link: Link): boolean => link.mac !== undefined && formatMac(link.mac) === sender;
    if (this.#options.network.links().some(ours)) return;
    const text = formatAddress(address);
    for (const { held, router } of this.#options.instances()) {
      if (!held.held) continue;
      const concerned = held.holdings.addresses.some(
        (placed) => placed.ifindex === ifindex && formatAddress(placed.config.address) === text,
      );
      if (concerned) router.handle({ type: "address-conflict", address, mac });
    }
  }
}
