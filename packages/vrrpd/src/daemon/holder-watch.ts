import { formatAddress, formatMac, type IpAddress } from "@ha/base";
import type { Announcer, AnnouncerOptions, NetworkState } from "@ha/linux";
import type { Announcement } from "./announcements.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import type { LogLimiter } from "./log-limiter.ts";

export interface HolderWatchOptions {
  readonly network: NetworkState;
  readonly openAnnouncer: (options: AnnouncerOptions) => Announcer;
  readonly log: Log;
  readonly limiter: LogLimiter;
  readonly instances: () => readonly InstanceRuntime[];
}

/**
 * ARP and neighbour discovery on the interfaces of held addresses: announces them, and hears whether somebody else
 * answers for them.
 */
export class HolderWatch {
  readonly #options: HolderWatchOptions;
  readonly #announcers = new Map<number, Announcer>();

  constructor(options: HolderWatchOptions) {
    this.#options = options;
  }

  send({ address, ifindex, device, mac }: Announcement): void {
    const { log, limiter, network } = this.#options;
    const announcer = this.#announcer(ifindex);
    if (announcer === undefined) return;
    const what = address.family === 4 ? "gratuitous ARP" : "unsolicited Neighbour Advert";
    log.detail(`Sending ${what} on ${device} for ${formatAddress(address)}`);
    const problem = announcer.announce(address, network.linkByIndex(ifindex)?.mac ?? mac);
    if (problem !== undefined) {
      limiter.write(`announce ${device}`, `${what} on ${device}: ${problem.message}`);
    }
  }

  /** Listens for others that answer for what is held now. */
  listen(): void {
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

  /** The interface is gone; one of the same name is another. */
  linkGone(ifindex: number): void {
    this.#announcers.get(ifindex)?.close();
    this.#announcers.delete(ifindex);
  }

  close(): void {
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
    const own = this.#options.network.linkByIndex(ifindex)?.mac;
    if (own === undefined || formatMac(own) === formatMac(mac)) return;
    const text = formatAddress(address);
    for (const { held, router } of this.#options.instances()) {
      if (!held.held) continue;
      const ours = held.holdings.addresses.some(
        (placed) => placed.ifindex === ifindex && formatAddress(placed.config.address) === text,
      );
      if (ours) router.handle({ type: "address-conflict", address, mac });
    }
  }
}
