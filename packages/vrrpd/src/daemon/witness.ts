import { type Clock, type IpAddress, milliseconds, sameAddress, type Timer } from "@ha/base";
import type { Announcer, AnnouncerOptions, Link, NetworkState } from "@ha/linux";

/** How long a witness may take to answer. */
const WITNESS_LIMIT = milliseconds(300);

/**
 * Asks by ARP or neighbour discovery whether one of the witnesses (such as the gateway) is there. `vrrp_witness`, ours.
 */
export function askWitness(
  addresses: readonly IpAddress[],
  world: {
    readonly clock: Clock;
    readonly network: NetworkState;
    readonly openAnnouncer: (options: AnnouncerOptions) => Announcer;
    readonly link: Link | undefined;
  },
  answer: (reachable: boolean) => void,
): void {
  const { clock, network, openAnnouncer, link } = world;
  if (link === undefined) {
    answer(false);
    return;
  }
  let announcer: Announcer | undefined;
  let timer: Timer | undefined;
  let done = false;
  const finish = (reachable: boolean): void => {
    if (done) return;
    done = true;
    timer?.cancel();
    announcer?.close();
    answer(reachable);
  };
  const heard = (address: IpAddress): void => {
    if (addresses.some((witness) => sameAddress(witness, address))) finish(true);
  };
  try {
    announcer = openAnnouncer({
      interface: { name: link.name, index: link.index },
      addresses,
      onArp: ({ senderAddress }) => heard(senderAddress),
      onNeighbour: ({ target }) => heard(target),
      onError: () => {},
    });
  } catch {
    finish(false);
    return;
  }
  for (const address of addresses) {
    const source = network
      .addresses(link.index)
      .find((own) => own.address.family === address.family)?.address;
    if (source !== undefined) announcer.ask(address, { source, mac: link.mac });
  }
  timer = clock.after(WITNESS_LIMIT, () => finish(false));
}
