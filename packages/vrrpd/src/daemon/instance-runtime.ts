import { uptime } from "node:os";
import {
  type Clock,
  formatAddress,
  type IpAddress,
  isLinkLocal,
  type Micros,
  sameAddress,
} from "@ha/base";
import {
  ADDRESS_FLAGS,
  type FilterRouter,
  type Link,
  type NetworkState,
  type RejectedSender,
} from "@ha/linux";
import type { Circumstances } from "../core/circumstances.ts";
import type { Globals, Instance } from "../core/config/model.ts";
import type { Digests, IncomingPacket, OutgoingPacket, Ports } from "../core/ports.ts";
import type { Report } from "../core/report.ts";
import type { FaultReason } from "../core/state.ts";
import { keepalivedStatistics, type RefusalReason } from "../core/statistics.ts";
import type { SyncGroup } from "../core/sync-group.ts";
import { type Tracker, trackingResult } from "../core/tracking.ts";
import { downTime } from "../core/transition.ts";
import { VirtualRouter } from "../core/virtual-router.ts";
import type { Announcements } from "./announcements.ts";
import type { Dispatch, Endpoint } from "./dispatch.ts";
import { HeldAddresses } from "./held-addresses.ts";
import type { LinkWatch } from "./link-watch.ts";
import type { Log } from "./log.ts";
import { filterOf } from "./packet-filter.ts";
import { routerOf } from "./router-settings.ts";
import type { InstanceStatus } from "./status.ts";
import { virtualLinkNames } from "./virtual-links.ts";

/** What every instance needs of the process. */
export interface InstanceWorld {
  readonly clock: Clock;
  readonly utc: () => Micros;
  readonly network: NetworkState;
  readonly links: LinkWatch;
  readonly dispatch: Dispatch;
  readonly announcements: Announcements;
  readonly digests: Digests;
  readonly log: Log;
  /** Whether an address is virtual, of any instance: it is no source for adverts. */
  readonly isVirtual: (address: IpAddress) => boolean;
  readonly trackersOf: (instance: Instance) => readonly Tracker[];
  readonly witness: (
    addresses: readonly IpAddress[],
    device: string | undefined,
    answer: (reachable: boolean) => void,
  ) => void;
  /** A `track_group` of the instance that has lost a static address, route or rule. */
  readonly lostGroup: (instance: string) => string | undefined;
  /** The operator wants this host out of service. */
  readonly inMaintenance: () => boolean;
  /** A packet has been judged: `router.statistics.latest` tells whose. */
  readonly onPacket: (instance: InstanceRuntime) => void;
  /** Priority 0 was heard as backup. */
  readonly onFarewell: (instance: InstanceRuntime, from: IpAddress) => void;
  readonly onReport: (instance: InstanceRuntime, report: Report) => void;
  /** The addresses are in place, or gone. */
  readonly onHeld: (instance: InstanceRuntime, held: boolean) => void;
  /** A timer or a packet is about to be judged: what others sent for us must be known. */
  readonly beforeTimer: (instance: InstanceRuntime) => void;
  /** An advert is about to go out; true when somebody else sends it. */
  readonly onSend: (instance: InstanceRuntime, packet: OutgoingPacket) => boolean;
}

/** One `vrrp_instance`: the protocol core with Linux around it. */
export class InstanceRuntime {
  readonly router: VirtualRouter;
  readonly held: HeldAddresses;
  readonly #world: InstanceWorld;
  readonly #endpoint: Endpoint;
  #config: Instance;
  #globals: Globals;
  #lastTransition = Date.now();

  constructor(config: Instance, globals: Globals, world: InstanceWorld, group?: SyncGroup) {
    this.#config = config;
    this.#globals = globals;
    this.#world = world;
    this.held = new HeldAddresses({
      name: config.name,
      network: world.network,
      announcements: world.announcements,
      log: world.log,
      wanted: () => ({
        version: this.#config,
        addresses: [...this.#config.virtual_ipaddress, ...this.#config.virtual_ipaddress_excluded],
        routes: this.#config.virtual_routes,
        rules: this.#config.virtual_rules,
        device: this.addressDevice,
        lifetime: this.#globals.vrrp_address_lifetime,
      }),
      onRemoved: (address) => this.router.handle({ type: "address-removed", address }),
      onHeld: (held) => world.onHeld(this, held),
    });
    this.#endpoint = {
      vrid: config.virtual_router_id,
      family: config.family,
      device: this.advertDevice,
      groups: this.#groups(),
      authenticationHeader: config.authentication?.type === "AH",
      receiveBufferBytes:
        config.kernel_rx_buf_size ??
        (typeof globals.vrrp_rx_bufs_policy === "number"
          ? globals.vrrp_rx_bufs_policy * globals.vrrp_rx_bufs_multiplier
          : undefined),
      filter: (): FilterRouter => filterOf(this.router.router),
      source: () => this.source(),
      receive: (packet) => this.#receive(packet),
      rejected: (sender, more) => this.#rejected(sender, more),
    };
    this.router = new VirtualRouter(
      routerOf(config, globals, uptime()),
      this.#ports(),
      this.#circumstances(),
      group === undefined ? {} : { group },
    );
  }

  get config(): Instance {
    return this.#config;
  }

  get name(): string {
    return this.#config.name;
  }

  /** Where adverts go out and come in. With `use_vmac` the macvlan, unless `vmac_xmit_base`. */
  get advertDevice(): string | undefined {
    const { use_vmac, use_ipvlan, vmac_xmit_base } = this.#config;
    const virtual = vmac_xmit_base ? undefined : (use_vmac?.name ?? use_ipvlan?.name);
    return virtual ?? this.#config.interface ?? this.#config.vrf;
  }

  /** Where addresses go that name no device. */
  get addressDevice(): string | undefined {
    const { use_vmac, use_ipvlan } = this.#config;
    return use_vmac?.name ?? use_ipvlan?.name ?? this.#config.interface;
  }

  /** Index of the device that adverts go out by; 0 as routing says. */
  advertIndex(): number {
    const name = this.advertDevice;
    return (name === undefined ? undefined : this.#world.network.linkByName(name)?.index) ?? 0;
  }

  /** The macvlans or the ipvlan that were made for this instance. */
  virtualLinks(): readonly Link[] {
    return virtualLinkNames(this.#config).flatMap(
      (name) => this.#world.network.linkByName(name) ?? [],
    );
  }

  /** The master that is followed as backup. */
  get master(): { readonly address: IpAddress; readonly priority: number } | undefined {
    const { state } = this.router;
    return state.name === "backup" && state.master !== undefined
      ? { address: state.master, priority: state.masterPriority }
      : undefined;
  }

  get effectivePriority(): number {
    return this.router.standing.priority;
  }

  /** What it tracks, the group's included, and how it stands. */
  get trackers(): readonly Tracker[] {
    return this.#world.trackersOf(this.#config);
  }

  /** Opens the sockets and begins, as backup or in fault, or as master again. */
  start(options: { readonly resume: boolean }): void {
    this.#world.dispatch.add(this.#endpoint);
    this.update();
    this.router.start(options);
  }

  /** Nothing is said: for an instance that has shut down. */
  close(): void {
    this.#world.dispatch.remove(this.#endpoint);
    this.router.abandon();
  }

  /** Links, addresses or trackers have changed. */
  update(): void {
    this.router.update(this.#circumstances());
  }

  /** New settings for the same virtual router. */
  reconfigure(config: Instance, globals: Globals): void {
    this.#config = config;
    this.#globals = globals;
    this.router.reconfigure(routerOf(config, globals, uptime()));
    this.held.reconfigure(config.garp_master_repeat);
    this.#world.dispatch.refresh();
    this.update();
  }

  /** The address that adverts come from; undefined while there is none. */
  source(): IpAddress | undefined {
    const { source, family } = this.#config;
    const { network, isVirtual } = this.#world;
    if (source !== undefined) {
      if (!this.#config.track_src_ip && this.#config.interface === undefined) return source;
      return network.hasAddress(source) || !this.#config.track_src_ip ? source : undefined;
    }
    // A macvlan of IPv4 has no address of its own: the base interface's is used.
    const own = family === 6 || this.#config.use_ipvlan !== undefined;
    const names = own ? [this.advertDevice, this.#config.interface] : [this.#config.interface];
    for (const name of names) {
      const link = name === undefined ? undefined : network.linkByName(name);
      if (link === undefined) continue;
      const found = network.addresses(link.index).find(
        ({ address, flags }) =>
          address.family === family &&
          // An address that is not checked yet, or was found twice, cannot be sent from.
          (flags & (ADDRESS_FLAGS.dadFailed | ADDRESS_FLAGS.tentative)) === 0 &&
          (family === 4 || isLinkLocal(address)) &&
          !isVirtual(address),
      );
      if (found !== undefined) return found.address;
    }
    return undefined;
  }

  status(): InstanceStatus {
    const { router } = this;
    const { state } = router;
    const masterInterval = state.name === "backup" ? state.masterInterval : router.router.interval;
    return {
      config: this.#config,
      state: state.name,
      leaving: state.name === "master" && state.leaving !== undefined,
      effectivePriority: this.effectivePriority,
      master: this.master,
      masterInterval,
      downTimer: downTime(router.router, this.effectivePriority, masterInterval),
      faults: router.faults,
      lastTransition: this.#lastTransition,
      source: this.source(),
      device: this.addressDevice,
      addressesSet: this.held.held,
      statistics: keepalivedStatistics(router.statistics),
      refused: [...router.statistics.peers()].flatMap((peer) =>
        [...peer.refused].map(([reason, count]) => ({ peer: peer.address, reason, count })),
      ),
    };
  }

  #ports(): Ports {
    const { clock, utc, digests, dispatch } = this.#world;
    return {
      clock: {
        now: () => clock.now(),
        after: (delay, callback) =>
          clock.after(delay, () => {
            this.#world.beforeTimer(this);
            callback();
          }),
      },
      utc,
      digests,
      send: (packet) => {
        if (this.#world.onSend(this, packet)) return;
        dispatch.send(this.#endpoint, packet);
      },
      addresses: this.held,
      drain: (then) => {
        dispatch.drain();
        then();
      },
      witness: (answer) =>
        this.#world.witness(this.#config.witness, this.#config.interface, answer),
      report: (report) => this.#report(report),
    };
  }

  #report(report: Report): void {
    if (report.type === "state") this.#lastTransition = Date.now();
    this.#world.onReport(this, report);
  }

  #circumstances(): Circumstances {
    const config = this.#config;
    const faults: FaultReason[] = [];
    let linkUp = true;
    const name = config.interface;
    if (name !== undefined) {
      const state = this.#world.links.state(name);
      linkUp = state === "up";
      if (state === "missing") faults.push({ type: "interface-missing", interface: name });
      else if (state === "down" && !config.dont_track_primary) {
        faults.push({ type: "interface-down", interface: name });
      }
    }
    const source = this.source();
    if (source === undefined && faults.length === 0) {
      faults.push({ type: "no-source-address", interface: this.#sourceName() });
    }
    if (config.unicast && config.unicast_peer.length === 0 && config.unicast_fault_no_peer) {
      faults.push({ type: "no-unicast-peer" });
    }
    const lost = this.#world.lostGroup(config.name);
    if (lost !== undefined) faults.push({ type: "tracker", tracker: `track_group ${lost}` });
    if (this.#world.inMaintenance()) faults.push({ type: "maintenance" });
    const tracking = trackingResult(config.priority, this.#world.trackersOf(config));
    return {
      priority: tracking.priority,
      source,
      faults: [...faults, ...tracking.faults],
      linkUp,
    };
  }

  /** The core has no report for a farewell heard as backup, and operators look for the line. */
  #receive(packet: IncomingPacket): void {
    this.#world.beforeTimer(this);
    const { statistics } = this.router;
    const before = statistics.get("priority-zero-received");
    this.router.receive(packet);
    this.#world.onPacket(this);
    if (
      statistics.get("priority-zero-received") !== before &&
      this.router.state.name === "backup"
    ) {
      this.#world.onFarewell(this, packet.from);
    }
  }

  #sourceName(): string {
    const { source } = this.#config;
    if (source !== undefined) return formatAddress(source);
    return this.advertDevice ?? "no interface";
  }

  #groups(): readonly IpAddress[] {
    const { destination } = routerOf(this.#config, this.#globals, 0);
    return destination.type === "multicast" ? [destination.group] : [];
  }

  /** The kernel's filter refused packets that the core would have refused: they count as if it had. */
  #rejected(sender: RejectedSender, more: number): void {
    const reason = REFUSALS[sender.reason];
    if (reason === undefined) return;
    for (let i = 0; i < Math.min(more, COUNT_LIMIT); i++) {
      this.router.statistics.refused(sender.source, reason);
    }
    this.router.handle({ type: "refused", from: sender.source, reason });
    this.#world.onReport(this, { type: "refused", reason, from: sender.source, first: true });
  }
}

/** Counting one by one is what the core offers; a flood is not worth more than this of the loop's time. */
const COUNT_LIMIT = 10_000;

const REFUSALS: Partial<Record<RejectedSender["reason"], RefusalReason>> = {
  "too-short": "too-short",
  "own-source": "own-echo",
  ttl: "bad-ttl",
  version: "bad-version",
  type: "bad-type",
  length: "bad-length",
  "auth-type": "auth-type-mismatch",
  "auth-data": "auth-failure",
  source: "not-a-peer",
  checksum: "bad-checksum",
};

/** Whether two configurations are of the same virtual router, whatever their names. observed: keepalived 2.4.3 */
export function sameVirtualRouter(a: Instance, b: Instance): boolean {
  return (
    a.virtual_router_id === b.virtual_router_id &&
    a.family === b.family &&
    a.interface === b.interface &&
    a.unicast === b.unicast &&
    a.use_vmac?.name === b.use_vmac?.name &&
    a.use_ipvlan?.name === b.use_ipvlan?.name &&
    a.vmac_xmit_base === b.vmac_xmit_base &&
    (a.authentication?.type === "AH") === (b.authentication?.type === "AH") &&
    sameOptional(a.source, b.source) &&
    sameOptional(a.mcast_dst_ip, b.mcast_dst_ip) &&
    a.sync_group === b.sync_group
  );
}

function sameOptional(a: IpAddress | undefined, b: IpAddress | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return sameAddress(a, b);
}
