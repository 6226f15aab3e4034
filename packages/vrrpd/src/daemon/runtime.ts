import { setImmediate } from "node:timers/promises";
import {
  type Clock,
  formatAddress,
  type IpAddress,
  type Micros,
  micros,
  milliseconds,
  prefixContains,
  type Random,
  seconds,
  type Timer,
} from "@ha/base";
import type {
  Announcer,
  AnnouncerOptions,
  EchoListener,
  EchoListenerOptions,
  LinkBeat,
  NetworkEvent,
  NetworkState,
  VrrpTransport,
} from "@ha/linux";
import type { Config, Instance } from "../core/config/model.ts";
import type { Digests } from "../core/ports.ts";
import type { Report } from "../core/report.ts";
import { SyncGroup } from "../core/sync-group.ts";
import { type Tracker, type TrackerState, trackersInGroup } from "../core/tracking.ts";
import { Announcements } from "./announcements.ts";
import { Dispatch } from "./dispatch.ts";
import { ExtraAnnouncements } from "./extra-announcements.ts";
import { GroupRuntime } from "./group-runtime.ts";
import { HolderWatch } from "./holder-watch.ts";
import { InstanceFirewall } from "./instance-firewall.ts";
import { InstanceRuntime, type InstanceWorld, sameVirtualRouter } from "./instance-runtime.ts";
import { LinkWatch } from "./link-watch.ts";
import type { Log } from "./log.ts";
import { LogLimiter } from "./log-limiter.ts";
import { Narrator } from "./narrator.ts";
import type { NotifyContext } from "./notifier.ts";
import { spacingOf } from "./spacing.ts";
import { StaticEntries } from "./static-entries.ts";
import type { DaemonStatus, GroupStatus, InstanceStatus } from "./status.ts";
import { Trackers } from "./trackers.ts";
import { virtualAddresses } from "./virtual-addresses.ts";
import { VirtualLinks } from "./virtual-links.ts";
import { askWitness } from "./witness.ts";

export interface RuntimeOptions {
  readonly clock: Clock;
  readonly utc: () => Micros;
  readonly random: Random;
  readonly log: Log;
  readonly network: NetworkState;
  readonly transport: VrrpTransport;
  readonly openAnnouncer: (options: AnnouncerOptions) => Announcer;
  readonly openEchoListener: (options: EchoListenerOptions) => EchoListener;
  readonly openLinkBeat: () => LinkBeat;
  readonly digests: Digests;
  readonly notify: NotifyContext;
  /** Verdicts of scripts that a predecessor left. */
  readonly inheritedScripts: Readonly<Record<string, boolean>>;
  readonly hooks: RuntimeHooks;
  /** `-a`: every address that comes or goes is logged. */
  readonly logAddresses: boolean;
  /** How a proxy that is kept running stands. */
  readonly proxyState: (name: string) => TrackerState;
}

/** What stands outside of the protocol and wants to know: guard, beacon, resume record, control socket. */
export interface RuntimeHooks {
  readonly onReport: (instance: InstanceRuntime, report: Report) => void;
  readonly onHeld: (instance: InstanceRuntime, held: boolean) => void;
  readonly beforeTimer: InstanceWorld["beforeTimer"];
  readonly onSend: InstanceWorld["onSend"];
  /** Settings, priority or source of an instance may be others. */
  readonly onChanged: (instance: InstanceRuntime) => void;
  /** Whether addresses that are in place already are to stay there for now. */
  readonly isKept: (instance: InstanceRuntime) => boolean;
  /** Whether the instance was master a moment ago, and may go on. */
  readonly mayResume: (instance: InstanceRuntime) => boolean;
  readonly inMaintenance: InstanceWorld["inMaintenance"];
  readonly onPacket: InstanceWorld["onPacket"];
  /** Nothing is urgent: what the instance's takeover will need may be made ready. */
  readonly prepare: (instance: InstanceRuntime) => void;
  /** Trackers may have new results, which the instances are about to learn. */
  readonly beforeUpdate: () => void;
  /** Something came from the kernel. */
  readonly onKernel: (kind: "link" | "netlink", text: string) => void;
}

/** Everything that runs because of a configuration. */
export class Runtime {
  readonly links: LinkWatch;
  readonly dispatch: Dispatch;
  readonly announcements: Announcements;
  readonly #options: RuntimeOptions;
  readonly #world: InstanceWorld;
  readonly #limiter: LogLimiter;
  readonly #holders: HolderWatch;
  readonly #narrator: Narrator;
  readonly #statics: StaticEntries;
  readonly #virtualLinks: VirtualLinks;
  readonly #firewall: InstanceFirewall;
  readonly #extra: ExtraAnnouncements;
  readonly #stopListening: () => void;
  #instances = new Map<string, InstanceRuntime>();
  #groups = new Map<string, GroupRuntime>();
  #trackers: Trackers;
  #config: Config;
  #virtual = new Set<string>();
  #poll: Timer | undefined;
  #renewal: Timer | undefined;
  #checkSoon = false;
  #heldChanged = false;
  #preparing: Timer | undefined;
  #stopping = false;

  constructor(config: Config, options: RuntimeOptions) {
    this.#config = config;
    this.#options = options;
    const { clock, log, network, transport } = options;
    this.#limiter = new LogLimiter(clock, (message) => log.notice(message));
    this.links = new LinkWatch(
      network,
      clock,
      config.interface_up_down_delays,
      (name, state) => {
        const text =
          state === "missing" ? `Interface ${name} deleted` : `Netlink reports ${name} ${state}`;
        log.info(text);
        options.hooks.onKernel("link", text);
        this.#changed();
      },
      options.openLinkBeat,
    );
    this.links.setPolled(config);
    this.dispatch = new Dispatch({
      transport,
      findInterface: (name) => network.linkByName(name),
      log,
      limiter: this.#limiter,
      ...this.#reception(config),
    });
    this.announcements = new Announcements(clock, spacingOf(config), (announcement) =>
      this.#holders.send(announcement),
    );
    this.#statics = new StaticEntries({ network, clock, log, onChange: () => this.#changed() });
    this.#virtualLinks = new VirtualLinks(network, log);
    this.#firewall = new InstanceFirewall(network, log);
    this.#extra = new ExtraAnnouncements(clock);
    this.#narrator = new Narrator(log, this.#limiter, options.notify);
    this.#holders = new HolderWatch({
      clock,
      network,
      openAnnouncer: options.openAnnouncer,
      log,
      limiter: this.#limiter,
      instances: () => this.instances,
    });
    this.#world = {
      clock,
      utc: options.utc,
      network,
      links: this.links,
      dispatch: this.dispatch,
      announcements: this.announcements,
      digests: options.digests,
      log,
      isVirtual: (address) => this.#virtual.has(formatAddress(address)),
      trackersOf: (instance) => this.#trackersOf(instance),
      witness: (addresses, device, answer) => this.#askWitness(addresses, device, answer),
      onFarewell: ({ name }, from) =>
        this.#limiter.write(
          `${name} farewell ${formatAddress(from)}`,
          `(${name}) Backup received priority 0 advertisement`,
        ),
      onReport: (instance, report) => {
        if (report.type === "winner-heard") this.#firewall.silence(instance);
        if (report.type === "state" && report.to === "backup") this.#prepareSoon();
        options.hooks.onReport(instance, report);
        this.#narrator.report(instance, report, this.#groupOf(instance.config));
      },
      onHeld: (instance, held) => this.#onHeld(instance, held),
      inMaintenance: options.hooks.inMaintenance,
      lostGroup: (instance) => this.#statics.lostGroup(instance),
      onPacket: options.hooks.onPacket,
      beforeTimer: options.hooks.beforeTimer,
      onSend: options.hooks.onSend,
    };
    this.#trackers = this.#newTrackers(config);
    this.#stopListening = network.listen((event) => this.#event(event));
  }

  get config(): Config {
    return this.#config;
  }

  get instances(): readonly InstanceRuntime[] {
    return [...this.#instances.values()];
  }

  get trackers(): Trackers {
    return this.#trackers;
  }

  get groups(): readonly GroupRuntime[] {
    return [...this.#groups.values()];
  }

  /** Starts everything. What a former run left behind is removed first, unless it is resumed. */
  async start(): Promise<void> {
    const config = this.#config;
    this.#virtual = virtualAddresses(config);
    this.#statics.apply(config);
    await this.#virtualLinks.ensure(config);
    this.#firewall.update(config, this.instances);
    this.#makeGroups(config);
    for (const instance of config.instances) this.#make(instance);
    // Trackers come first, since an instance waits for the first result of a script without weight; but nobody waits
    // for a file.
    const trackersStarted = this.#trackers.start();
    for (const runtime of this.#instances.values()) {
      const resume = this.#options.hooks.mayResume(runtime);
      if (!resume && !this.#options.hooks.isKept(runtime)) runtime.held.removeStale();
      runtime.start({ resume });
    }
    await trackersStarted;
    this.#changed();
    this.#firewall.update(config, this.instances);
    this.#pollRejected();
    this.#renewLifetimes();
    this.#extra.start(this.instances);
    this.#holders.prepare();
  }

  /** A new configuration, already found good: applies the difference. */
  async reload(config: Config, notify: NotifyContext): Promise<void> {
    this.#narrator.context = notify;
    const before = this.#config;
    const oldTrackers = this.#trackers;
    this.#config = config;
    this.#virtual = virtualAddresses(config);
    this.links.setDelays(config.interface_up_down_delays);
    this.links.setPolled(config);
    this.announcements.spacing = spacingOf(config);
    this.dispatch.configure(this.#reception(config));
    this.#statics.apply(config);
    await this.#virtualLinks.ensure(config);
    this.#firewall.update(config, this.instances);

    this.#trackers = this.#newTrackers(config, oldTrackers);
    oldTrackers.stop();

    const old = this.#instances;
    this.#instances = new Map();
    this.#makeGroups(config);
    const remaining = new Set(old.values());
    const fresh: Instance[] = [];
    const kept: { readonly runtime: InstanceRuntime; readonly config: Instance }[] = [];
    for (const instance of config.instances) {
      const same = [...remaining].find(({ config: was }) => sameVirtualRouter(was, instance));
      if (same === undefined) {
        fresh.push(instance);
        continue;
      }
      remaining.delete(same);
      kept.push({ runtime: same, config: instance });
    }
    // What vanished lets go first, so that an address can move from one instance to another in one reload.
    for (const runtime of remaining) this.#drop(runtime);
    for (const { runtime, config: instance } of kept) {
      this.#instances.set(instance.name, runtime);
      this.#notifierOf(instance);
    }
    let turn = performance.now();
    for (const { runtime, config: instance } of kept) {
      runtime.reconfigure(instance, config.globals);
      this.#options.hooks.onChanged(runtime);
      // Hundreds of instances must not hold the adverts up.
      if (performance.now() - turn < RELOAD_TURN_MS) continue;
      await setImmediate();
      if (this.#stopping) return;
      turn = performance.now();
    }
    for (const instance of fresh) {
      const runtime = this.#make(instance);
      runtime.held.removeStale();
      runtime.start({ resume: false });
    }
    await this.#trackers.start();
    this.#changed();
    this.#firewall.update(config, this.instances);
    this.#holders.prepare();
    this.#holders.watch(this.#config.globals.vrrp_detect_split_brain);
    this.#extra.start(this.instances);
    if (config.globals.fifo_write_vrrp_states_on_reload) {
      for (const runtime of this.#instances.values()) this.#narrator.repeatState(runtime);
    }
    for (const { name } of before.instances) {
      if (!config.instances.some((instance) => instance.name === name)) {
        this.#narrator.forget("INSTANCE", name);
      }
    }
  }

  /**
   * Leaves mastership everywhere, and resolves when every instance has let go. STOP is told, and its scripts have had
   * their time, when this resolves.
   */
  async stop(options: { readonly keepAddresses: boolean; readonly limit: Micros }): Promise<void> {
    this.#stopping = true;
    this.#narrator.quiet = true;
    this.#trackers.stop();
    this.#poll?.cancel();
    this.#preparing?.cancel();
    this.#renewal?.cancel();
    this.#extra.stop();
    if (options.keepAddresses) for (const { held } of this.#instances.values()) held.keepForEver();
    for (const { router } of this.#instances.values()) router.handle({ type: "shutdown" });
    await this.#settled(options.limit);
    for (const runtime of this.#instances.values()) if (runtime.held.held) runtime.held.remove();
    this.#statics.clear();
    await Promise.all([...this.#instances.values()].map(({ held }) => held.idle()));
    await this.#statics.idle();
    this.#firewall.close();
    await this.#virtualLinks.clear();
    for (const instance of this.#instances.values()) {
      this.#narrator.of("INSTANCE", instance.name)?.state("STOP", instance.effectivePriority);
    }
    for (const group of this.#groups.values()) {
      this.#narrator.of("GROUP", group.name)?.state("STOP", 0);
    }
    await this.#narrator.finish(seconds(1));
  }

  close(): void {
    this.#stopListening();
    for (const runtime of this.#instances.values()) runtime.close();
    this.dispatch.close();
    this.announcements.close();
    this.links.close();
    this.#limiter.close();
    this.#holders.close();
  }

  status(): Pick<
    DaemonStatus,
    "config" | "instances" | "groups" | "scripts" | "files" | "processes" | "bfd"
  > {
    const instances: InstanceStatus[] = this.instances.map((instance) => instance.status());
    const groups: GroupStatus[] = this.groups.map((group) => group.status());
    const { scripts, files, processes, bfd } = this.#trackers;
    return { config: this.#config, instances, groups, scripts, files, processes, bfd };
  }

  /** Those that are known. */
  scriptVerdicts(): Record<string, boolean> {
    return Object.fromEntries(
      this.#trackers.scripts.flatMap(({ name, state }) =>
        state === "unknown" ? [] : [[name, state === "up"] as const],
      ),
    );
  }

  /** Something that counts for every instance, such as a maintenance, has changed. */
  recheck(): void {
    this.#update();
  }

  /** Asks a host on this device's network by ARP or neighbour discovery; undefined when it cannot be on it. */
  hostLives(address: IpAddress, device: string): Promise<boolean | undefined> {
    const { network } = this.#options;
    const link = network.linkByName(device);
    const near = network
      .addresses(link?.index ?? 0)
      .some((own) => prefixContains({ address: own.address, length: own.prefixLength }, address));
    if (link === undefined || !near) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#askWitness([address], device, resolve));
  }

  clearStatistics(): void {
    for (const { router } of this.#instances.values()) router.statistics.clear();
  }

  #reception({ globals }: Config): Parameters<Dispatch["configure"]>[0] {
    return {
      openEchoListener: globals.vrrp_replay_answer ? this.#options.openEchoListener : undefined,
      useFilter: globals.vrrp_packet_filter,
      logUnknown: globals.log_unknown_vrids,
    };
  }

  #make(instance: Instance): InstanceRuntime {
    const group = this.#groupOf(instance);
    const { globals } = this.#config;
    const runtime = new InstanceRuntime(instance, globals, this.#world, group?.core);
    this.#instances.set(instance.name, runtime);
    this.#notifierOf(instance);
    return runtime;
  }

  #makeGroups(config: Config): void {
    const old = this.#groups;
    this.#groups = new Map();
    for (const group of config.sync_groups) {
      const before = old.get(group.name);
      const runtime = new GroupRuntime(group, before?.core ?? new SyncGroup(group.name));
      this.#groups.set(group.name, runtime);
      this.#narrator.set({
        kind: "GROUP",
        name: group.name,
        notify: group.notify,
        smtpAlert: group.smtp_alert,
        priorityChanges: group.notify_priority_changes,
      });
    }
  }

  #notifierOf(instance: Instance): void {
    this.#narrator.set({
      kind: "INSTANCE",
      name: instance.name,
      notify: instance.notify,
      smtpAlert: instance.smtp_alert,
      priorityChanges: instance.notify_priority_changes,
    });
  }

  #groupOf({ sync_group }: Instance): GroupRuntime | undefined {
    return sync_group === undefined ? undefined : this.#groups.get(sync_group);
  }

  /** A reload took the instance out of the file. */
  #drop(runtime: InstanceRuntime): void {
    const notifier = this.#narrator.of("INSTANCE", runtime.name);
    runtime.router.handle({ type: "shutdown" });
    void this.#whenGone(runtime).then(() => {
      if (runtime.held.held) runtime.held.remove();
      runtime.close();
      const { send_deleted } = runtime.config.notify;
      notifier?.state(send_deleted ? "DELETED" : "FAULT", runtime.effectivePriority);
    });
  }

  async #whenGone(runtime: InstanceRuntime): Promise<void> {
    const end = this.#options.clock.now() + seconds(6);
    while (runtime.router.state.name !== "initialize" && this.#options.clock.now() < end) {
      await pause(5);
    }
  }

  async #settled(limit: Micros): Promise<void> {
    const end = this.#options.clock.now() + limit;
    const all = [...this.#instances.values()];
    while (all.some(({ router }) => router.state.name !== "initialize")) {
      if (this.#options.clock.now() >= end) return;
      await pause(2);
    }
  }

  #newTrackers(config: Config, before?: Trackers): Trackers {
    const { clock, random, log, network, proxyState } = this.#options;
    const options = {
      proxyState,
      clock,
      random,
      log,
      network,
      links: this.links,
      onChange: () => this.#update(),
    };
    const inherited = before === undefined ? this.#options.inheritedScripts : {};
    return new Trackers(config, { ...options, inherited }, before);
  }

  #trackersOf(instance: Instance): readonly Tracker[] {
    const own = this.#trackers.trackersOf(instance, instance.interface);
    const group = this.#groupOf(instance);
    if (group === undefined) return own;
    return trackersInGroup(own, {
      trackers: this.#trackers.trackersOf(group.config),
      trackingWeight: group.config.sync_group_tracking_weight,
      hasOwner: this.#config.instances.some(
        ({ sync_group, priority }) => sync_group === group.name && priority === 255,
      ),
    });
  }

  #event(event: NetworkEvent): void {
    switch (event.type) {
      case "link":
        this.links.check();
        if (event.previous === undefined || event.previous.name !== event.link.name) {
          this.#changed();
        }
        break;
      case "link-gone":
        this.#holders.linkGone(event.link.index);
        this.links.check();
        this.#changed();
        break;
      case "address-gone":
        if (!this.#stopping) {
          for (const { held } of this.#instances.values()) held.addressGone(event);
          this.#statics.addressGone(event);
        }
        this.#logAddress("Deassigned", "from", event.address.address, event.address.ifindex);
        this.#changed();
        break;
      case "address":
        this.#logAddress("Assigned", "for", event.address.address, event.address.ifindex);
        this.#changed();
        break;
      case "route-gone":
      case "rule-gone":
        if (this.#stopping) break;
        if (!event.by.ours) {
          for (const { held } of this.#instances.values()) held.entryGone(event);
          this.#statics.entryGone(event);
        }
        break;
      case "resync":
        this.#options.log.warning(`netlink events were lost (${event.reason}): tables read anew`);
        this.#options.hooks.onKernel("netlink", `events were lost (${event.reason})`);
        this.links.check();
        this.#changed();
        break;
    }
  }

  #logAddress(what: string, how: string, address: IpAddress, ifindex: number): void {
    const { hooks, log, logAddresses, network } = this.#options;
    if (!logAddresses && this.#virtual.has(formatAddress(address))) return;
    const device = network.linkByIndex(ifindex)?.name ?? String(ifindex);
    const line = `${what} address ${formatAddress(address)} ${how} interface ${device}`;
    const concerns = (runtime: InstanceRuntime): boolean =>
      [runtime.config.interface, runtime.advertDevice, runtime.addressDevice].includes(device);
    if (this.instances.some(concerns)) hooks.onKernel("netlink", line);
    if (logAddresses) log.info(line);
    else log.detail(line);
  }

  /** Interfaces or sources may be others: once a turn, after all events of it. */
  #changed(): void {
    if (this.#checkSoon) return;
    this.#checkSoon = true;
    queueMicrotask(() => {
      this.#checkSoon = false;
      if (this.#stopping) return;
      this.dispatch.refresh();
      this.#update();
    });
  }

  /** What takeovers will need is made ready in quiet moments, a little at a time. */
  #prepareSoon(): void {
    this.#preparing ??= this.#options.clock.after(QUIET, () => void this.#prepare());
  }

  async #prepare(): Promise<void> {
    this.#preparing = undefined;
    let turn = performance.now();
    for (const instance of this.instances) {
      if (instance.router.state.name !== "backup") continue;
      instance.router.prepareFirst();
      this.#options.hooks.prepare(instance);
      if (performance.now() - turn < PREPARE_TURN_MS) continue;
      await setImmediate();
      if (this.#stopping) return;
      turn = performance.now();
    }
  }

  #update(): void {
    if (this.#stopping) return;
    this.#prepareSoon();
    this.#options.hooks.beforeUpdate();
    for (const runtime of this.#instances.values()) {
      const source = runtime.router.standing.source;
      runtime.update();
      if (runtime.router.standing.source !== source) this.#options.hooks.onChanged(runtime);
    }
  }

  #onHeld(instance: InstanceRuntime, held: boolean): void {
    this.#options.hooks.onHeld(instance, held);
    void this.#firewall.lift(instance, held);
    // An address that is not to answer must not answer for a moment.
    if (held && !instance.config.accept) this.#firewall.update(this.#config, this.instances);
    this.#heldSoon();
  }

  /** What need not precede an address or its announcement, once for all that change hands together. */
  #heldSoon(): void {
    if (this.#heldChanged) return;
    this.#heldChanged = true;
    queueMicrotask(() => {
      this.#heldChanged = false;
      this.#firewall.update(this.#config, this.instances);
      this.#holders.watch(this.#config.globals.vrrp_detect_split_brain);
    });
  }

  #askWitness(
    addresses: readonly IpAddress[],
    device: string | undefined,
    answer: (reachable: boolean) => void,
  ): void {
    const { clock, network, openAnnouncer } = this.#options;
    const link = device === undefined ? undefined : network.linkByName(device);
    askWitness(addresses, { clock, network, openAnnouncer, link }, answer);
  }

  #pollRejected(): void {
    this.#poll = this.#options.clock.after(REJECTED_POLL, () => {
      this.dispatch.collectRejected();
      this.#pollRejected();
    });
  }

  #renewLifetimes(): void {
    const lifetime = this.#config.globals.vrrp_address_lifetime;
    const pause = lifetime === undefined ? seconds(1) : micros(lifetime / 4);
    this.#renewal = this.#options.clock.after(pause, () => {
      if (lifetime !== undefined) for (const { held } of this.#instances.values()) held.renew();
      this.#renewLifetimes();
    });
  }
}

/** How often the kernel's filter is asked for what it refused. */
const REJECTED_POLL = seconds(2);
/** From a change to the preparation for a takeover after it. */
const QUIET = milliseconds(20);
/** How long preparations may hold the loop at a stretch. */
const PREPARE_TURN_MS = 1;
/** How long a reload may hold the loop at a stretch. */
const RELOAD_TURN_MS = 5;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
