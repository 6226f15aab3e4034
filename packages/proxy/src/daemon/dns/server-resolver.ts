import { formatAddress, type Micros, prefixContains, seconds } from "@ha/base";
import type { InetAddress, SocketAddress } from "../../core/config/address-model.ts";
import type { Config } from "../../core/config/model.ts";
import type { Resolvers } from "../../core/config/section-model.ts";
import type { ResolverUse, Server } from "../../core/config/server-model.ts";
import type { DnsRecord } from "../../core/dns/dns-message.ts";
import {
  keyOf,
  type Place,
  placesOfName,
  placesOfService,
  shareOut,
} from "../../core/dns/service-places.ts";
import type { World } from "../../core/sample/world.ts";
import type { LifeKeeper } from "../check/life-keeper.ts";
import { isServiceName, NameServers, type Outcome, questionTypes } from "./name-servers.ts";

/** One server that waits for a name. */
interface Member {
  readonly proxy: number;
  readonly index: number;
  readonly server: Server;
  readonly use: ResolverUse;
  /** `backend/server`. */
  readonly label: string;
  /** Its place by the last answer; undefined before the first, and when it lost it. */
  place: string | undefined;
}

/** Servers of one backend that share a name, and so its addresses. */
interface Group {
  readonly name: string;
  readonly servers: NameServers;
  readonly members: Member[];
  timer: NodeJS.Timeout | undefined;
  /** Of the last valid answer, by the ring's clock. */
  validAt: Micros | undefined;
}

export interface ServerResolverPorts {
  now(): Micros;
  /** The server is elsewhere now, in every thread. */
  move(proxy: number, server: number, address: SocketAddress): void;
  /** To the backend's logs. */
  say(proxy: number, text: string): void;
}

/**
 * Keeps the addresses of servers with `resolvers` up to date: asks again and again, shares the addresses of a name out
 * among its servers, and puts those without one into maintenance. In the first thread, beside the checks. HAProxy
 * configuration manual §5.3.
 */
export class ServerResolver {
  readonly #sections = new Map<string, NameServers>();
  readonly #groups = new Map<string, Group>();
  readonly #lives: LifeKeeper;
  readonly #ports: ServerResolverPorts;
  #isRunning = false;

  /** Reads /etc/resolv.conf where a section wants it: call it before a chroot hides it. */
  constructor(config: Config, world: World, lives: LifeKeeper, ports: ServerResolverPorts) {
    this.#lives = lives;
    this.#ports = ports;
    for (const [name, section] of config.resolvers) {
      this.#sections.set(name, new NameServers(section));
    }
    for (const { backend, index } of world.proxies) {
      if (backend === undefined || backend.disabled) continue;
      backend.servers.forEach((server, at) => {
        const { address, resolvers: use } = server;
        if (use === undefined || address.kind !== "inet" || address.host === undefined) return;
        const label = `${backend.name}/${server.name}`;
        this.#join(address.host, { proxy: index, index: at, server, use, label, place: undefined });
      });
    }
  }

  /** Sections with their counters, for `show resolvers`. */
  get sections(): ReadonlyMap<string, NameServers> {
    return this.#sections;
  }

  start(): void {
    this.#isRunning = true;
    for (const group of this.#groups.values()) this.#ask(group);
  }

  stop(): void {
    this.#isRunning = false;
    for (const group of this.#groups.values()) clearTimeout(group.timer);
    for (const section of this.#sections.values()) section.close();
  }

  /** `set server … fqdn`: false when its name is not resolved at run time. */
  rename(proxy: number, index: number, name: string): boolean {
    for (const [key, group] of this.#groups) {
      const at = group.members.findIndex(
        (member) => member.proxy === proxy && member.index === index,
      );
      const [member] = at < 0 ? [] : group.members.splice(at, 1);
      if (member === undefined) continue;
      if (group.members.length === 0) {
        clearTimeout(group.timer);
        this.#groups.delete(key);
      }
      const { address } = this.#lives.server(proxy, index);
      if (address.kind === "inet") this.#ports.move(proxy, index, { ...address, host: name });
      this.#ask(this.#join(name, { ...member, place: undefined }));
      return true;
    }
    return false;
  }

  #join(name: string, member: Member): Group {
    const { resolvers } = member.use;
    const key = `${member.proxy} ${resolvers} ${name.toLowerCase()}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      let servers = this.#sections.get(resolvers);
      if (servers === undefined) {
        servers = new NameServers(systemSection(resolvers));
        this.#sections.set(resolvers, servers);
      }
      group = { name, servers, members: [], timer: undefined, validAt: undefined };
      this.#groups.set(key, group);
    }
    group.members.push(member);
    return group;
  }

  #ask(group: Group): void {
    clearTimeout(group.timer);
    if (!this.#isRunning) return;
    const [first] = group.members;
    const types = questionTypes(group.name, first?.use.prefer ?? "ipv6");
    const next = (at: number): void => {
      const type = types[at];
      if (type === undefined) return;
      group.servers.ask(group.name, type, (outcome) => {
        const isEmpty =
          outcome.status !== "valid" || !outcome.records.some(({ name }) => isOf(group, name));
        if (isEmpty && at + 1 < types.length) next(at + 1);
        else this.#heard(group, outcome);
      });
    };
    next(0);
  }

  #heard(group: Group, outcome: Outcome): void {
    if (!this.#isRunning || group.members.length === 0) return;
    const { section } = group.servers;
    group.timer = setTimeout(
      () => this.#ask(group),
      Math.max(SHORTEST_PERIOD, section.timeoutResolve / 1_000),
    );
    group.timer.unref();
    const now = this.#ports.now();
    if (outcome.status !== "valid") {
      const since = group.validAt === undefined ? undefined : now - group.validAt;
      if (since !== undefined && since < section.hold[outcome.status]) return;
      for (const member of group.members) this.#place(member, undefined);
      return;
    }
    group.validAt = now;
    if (!isServiceName(group.name)) {
      this.#share(group, placesOfName(own(group, outcome.records)));
      return;
    }
    this.#resolveTargets(group, outcome.records, (records) =>
      this.#share(group, placesOfService(records)),
    );
  }

  /** Addresses of a service's targets that did not come with the answer. */
  #resolveTargets(
    group: Group,
    records: readonly DnsRecord[],
    done: (records: readonly DnsRecord[]) => void,
  ): void {
    const known = new Set(records.flatMap(({ type, name }) => (type === "address" ? [name] : [])));
    const missing = [
      ...new Set(
        records.flatMap((record) =>
          record.type === "service" && !known.has(record.target) ? [record.target] : [],
        ),
      ),
    ];
    const all = [...records];
    let left = missing.length;
    if (left === 0) {
      done(all);
      return;
    }
    const [first] = group.members;
    for (const target of missing) {
      const types = questionTypes(target, first?.use.prefer ?? "ipv6");
      const next = (at: number): void => {
        const type = types[at];
        if (type === undefined) {
          if (--left === 0) done(all);
          return;
        }
        group.servers.ask(target, type, (outcome) => {
          const found =
            outcome.status === "valid" ? outcome.records.filter(({ name }) => name === target) : [];
          all.push(...found);
          next(found.length > 0 ? types.length : at + 1);
        });
      };
      next(0);
    }
  }

  #share(group: Group, places: readonly Place[]): void {
    const [first] = group.members;
    if (first === undefined) return;
    const { use } = first;
    const current = group.members.map(({ place }) => place);
    // Before its first answer a server keeps the address that it started with, where the answer has it.
    group.members.forEach((member, i) => {
      current[i] ??= this.#placeNow(member, group);
    });
    const shared = shareOut(places, current, {
      prefer: use.prefer,
      allowDuplicates: use.allowDuplicateAddress,
      ignoreWeight: use.ignoreWeight,
      isPreferred: (address) => use.network.some((prefix) => prefixContains(prefix, address)),
    });
    for (const [i, member] of group.members.entries()) {
      if (this.#place(member, shared[i])) group.servers.countUpdate();
    }
  }

  #placeNow({ proxy, index }: Member, group: Group): string | undefined {
    const { address } = this.#lives.server(proxy, index);
    if (address.kind !== "inet" || address.address === undefined) return undefined;
    return keyOf({
      address: address.address,
      port: isServiceName(group.name) ? address.port : undefined,
    });
  }

  /** Gives a server its place, or takes it away. Whether that changed something. */
  #place(member: Member, place: Place | undefined): boolean {
    const { proxy, index, use, server } = member;
    const { address: old, state } = this.#lives.server(proxy, index);
    if (old.kind !== "inet") return false;
    member.place = place === undefined ? undefined : keyOf(place);
    if (place === undefined) {
      if (old.address === undefined) return false;
      this.#ports.move(proxy, index, { ...old, address: undefined, port: portOf(server) });
      this.#lives.apply(proxy, index, { type: "admin", state: "maint", at: this.#ports.now() });
      return true;
    }
    if (place.weight !== undefined && !use.ignoreWeight && place.weight !== state.weight) {
      const weight = Math.min(256, place.weight);
      this.#lives.apply(proxy, index, { type: "weight", weight, at: this.#ports.now() });
    }
    const port = place.port ?? portOf(server);
    if (old.address !== undefined && same(old, place, port)) return false;
    const before = old.address === undefined ? "" : formatAddress(old.address);
    const after = formatAddress(place.address);
    if (before !== "" && before !== after) {
      this.#ports.say(
        proxy,
        `${member.label} changed its IP from ${before} to ${after} by ${use.resolvers}/DNS.`,
      );
    }
    this.#ports.move(proxy, index, { ...old, address: place.address, port });
    return true;
  }
}

/** Milliseconds between two questions at least. */
const SHORTEST_PERIOD = 100;

function isOf(group: Group, name: string): boolean {
  return name === group.name.replace(/\.$/, "").toLowerCase();
}

function own(group: Group, records: readonly DnsRecord[]): DnsRecord[] {
  return records.filter(({ name }) => isOf(group, name));
}

function portOf({ address }: Server): number {
  return address.kind === "inet" ? address.port : 0;
}

function same(old: InetAddress, { address }: Place, port: number): boolean {
  return (
    old.port === port &&
    old.address !== undefined &&
    formatAddress(old.address) === formatAddress(address)
  );
}

/** `resolvers default`, which needs no section: the system's name servers. HAProxy configuration manual §5.3.2 */
function systemSection(name: string): Resolvers {
  return {
    at: { file: "", line: 0, column: 0 },
    name,
    nameservers: [],
    parseResolvConf: true,
    resolveRetries: 3,
    timeoutResolve: seconds(1),
    timeoutRetry: seconds(1),
    acceptedPayloadSize: 512,
    hold: {
      valid: seconds(10),
      nx: seconds(30),
      obsolete: seconds(0),
      other: seconds(30),
      refused: seconds(30),
      timeout: seconds(30),
    },
  };
}
