import { Capture } from "./capture.ts";
import type { Frame } from "./frame.ts";
import { Host } from "./host.ts";

/** What a host is on the LAN: its addresses by interface, `eth0` on the first network, `eth1` on the second. */
export interface HostPlan {
  readonly name: string;
  readonly eth0: readonly string[];
  readonly eth1?: readonly string[];
  /** More `ip` commands, for routes. */
  readonly commands?: readonly string[];
}

/** Hosts on a switch, with cables that can be pulled and directions that can be cut. */
export class Lan {
  readonly hosts: ReadonlyMap<string, Host>;
  /** Frames of the network of `eth0`. */
  readonly capture: Capture;
  /** Frames of the network of `eth1`, where there is one. */
  readonly secondCapture: Capture | undefined;
  readonly #switch: Host;
  readonly #ttl: ReadonlyMap<number, string>;

  private constructor(
    hosts: ReadonlyMap<string, Host>,
    switchHost: Host,
    ttl: ReadonlyMap<number, string>,
    captures: readonly Capture[],
  ) {
    const [capture, secondCapture] = captures;
    if (capture === undefined) throw new Error("a LAN has at least one network");
    this.hosts = hosts;
    this.capture = capture;
    this.secondCapture = secondCapture;
    this.#switch = switchHost;
    this.#ttl = ttl;
  }

  static async open(plans: readonly HostPlan[]): Promise<Lan> {
    const opened: Host[] = [];
    try {
      const names = ["switch", ...plans.map(({ name }) => name)];
      const starts = names.map((name, i) => Host.open(name, { ttl: FIRST_TTL + i }));
      const settled = await Promise.allSettled(starts);
      for (const start of settled) if (start.status === "fulfilled") opened.push(start.value);
      for (const start of settled) if (start.status === "rejected") throw start.reason;
      const [switchHost, ...hosts] = opened;
      if (switchHost === undefined) throw new Error("no switch");
      const networks = plans.some(({ eth1 }) => eth1 !== undefined) ? [0, 1] : [0];
      await switchHost.ip(
        ...networks.flatMap(bridgeCommands),
        ...hosts.flatMap((host, i) => cableCommands(host, i, plans[i])),
      );
      await switchHost.run("nft", ["-f", "-"], { input: RULESET });
      await Promise.all(hosts.map((host, i) => host.ip(...addressCommands(plans[i]))));
      const captures = await Promise.all(networks.map((n) => Capture.open(switchHost, `br${n}`)));
      const ttl = new Map(names.map((name, i) => [FIRST_TTL + i, name]));
      return new Lan(new Map(hosts.map((host) => [host.name, host])), switchHost, ttl, captures);
    } catch (error) {
      await Promise.all(opened.map((host) => host.close()));
      throw error;
    }
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`no host '${name}' on this LAN`);
    return host;
  }

  /** Pulls the cable: the host loses its carrier. */
  async unplug(host: string, port = "eth0"): Promise<void> {
    await this.#switch.ip(`link set ${host}-${port} down`);
  }

  async plug(host: string, port = "eth0"): Promise<void> {
    await this.#switch.ip(`link set ${host}-${port} up`);
  }

  /** Drops what `from` sends to `to`, on both networks; carriers stay. */
  async cut(from: string, to: string): Promise<void> {
    await this.#switch.run("nft", ["add", "element", "bridge", "lab", "cut", pairs(from, to)]);
  }

  async join(from: string, to: string): Promise<void> {
    await this.#switch.run("nft", ["delete", "element", "bridge", "lab", "cut", pairs(from, to)]);
  }

  /** Whose hardware sent the frame, going by its source address; undefined for virtual ones. */
  senderOf({ source }: Frame): string | undefined {
    const index = /^02:00:00:00:0[01]:(..)$/.exec(source)?.[1];
    return index === undefined ? undefined : [...this.hosts.keys()][Number.parseInt(index, 16) - 1];
  }

  /** Whose kernel chose the TTL of a packet. */
  ownerOfTtl(ttl: number): string | undefined {
    return this.#ttl.get(ttl);
  }

  async close(): Promise<void> {
    await Promise.all([this.capture.close(), this.secondCapture?.close()]);
    await Promise.all([...this.hosts.values(), this.#switch].map((host) => host.close()));
  }
}

/** No kernel's own default, and far from 255. */
const FIRST_TTL = 101;

/** The hardware address of a host's interface; hosts count from 0. */
const hardware = (network: number, index: number): string =>
  `02:00:00:00:0${network}:${(index + 1).toString(16).padStart(2, "0")}`;

function bridgeCommands(network: number): string[] {
  return [
    `link add br${network} type bridge mcast_snooping 0 forward_delay 0 stp_state 0`,
    `link set br${network} up`,
  ];
}

function cableCommands(host: Host, index: number, plan: HostPlan | undefined): string[] {
  const networks = plan?.eth1 === undefined ? [0] : [0, 1];
  return networks.flatMap((n) => {
    const port = `${host.name}-eth${n}`;
    return [
      `link add ${port} type veth peer name eth${n} address ${hardware(n, index)} netns ${host.pid}`,
      `link set ${port} master br${n} up`,
    ];
  });
}

function addressCommands(plan: HostPlan | undefined): string[] {
  if (plan === undefined) return [];
  const commands: string[] = [];
  for (const [device, addresses] of [
    ["eth0", plan.eth0],
    ["eth1", plan.eth1],
  ] as const) {
    if (addresses === undefined) continue;
    commands.push(`link set ${device} up`);
    for (const address of addresses) {
      commands.push(`addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`);
    }
  }
  return [...commands, ...(plan.commands ?? [])];
}

function pairs(from: string, to: string): string {
  return `{ "${from}-eth0" . "${to}-eth0", "${from}-eth1" . "${to}-eth1" }`;
}

const RULESET = `table bridge lab {
  set cut { type ifname . ifname; }
  chain forward {
    type filter hook forward priority 0;
    iifname . oifname @cut drop
  }
}
`;
