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

export interface LanOptions {
  /** What the captures hold, as pcap-filter(7) writes it. Default: every frame. */
  readonly filter?: string;
  /** What fits into /run and /tmp of a host, as tmpfs(5) writes it. */
  readonly room?: string;
}

/** Hosts on a switch, with cables that can be pulled and directions that can be cut. */
export class Lan {
  /** Frames of the network of `eth0`. */
  readonly capture: Capture;
  /** Frames of the network of `eth1`, where there is one. */
  readonly secondCapture: Capture | undefined;
  readonly #hosts: Map<string, Host>;
  readonly #plans: readonly HostPlan[];
  readonly #options: LanOptions;
  readonly #switch: Host;

  private constructor(
    hosts: readonly Host[],
    {
      plans,
      options,
      switchHost,
    }: { plans: readonly HostPlan[]; options: LanOptions; switchHost: Host },
    captures: readonly Capture[],
  ) {
    const [capture, secondCapture] = captures;
    if (capture === undefined) throw new Error("a LAN has at least one network");
    this.#hosts = new Map(hosts.map((host) => [host.name, host]));
    this.#plans = plans;
    this.#options = options;
    this.capture = capture;
    this.secondCapture = secondCapture;
    this.#switch = switchHost;
  }

  static async open(plans: readonly HostPlan[], options: LanOptions = {}): Promise<Lan> {
    const opened: Host[] = [];
    try {
      const names = ["switch", ...plans.map(({ name }) => name)];
      const starts = names.map((name, i) => Host.open(name, hostOptions(i, options)));
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
      const captures = await Promise.all(
        networks.map((n) => Capture.open(switchHost, `br${n}`, options.filter)),
      );
      return new Lan(hosts, { plans, options, switchHost }, captures);
    } catch (error) {
      await Promise.all(opened.map((host) => host.close()));
      throw error;
    }
  }

  /** By name. Hosts that are switched off are not among them. */
  get hosts(): ReadonlyMap<string, Host> {
    return this.#hosts;
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
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

  /** Drops what `from` sends to `to`, on both networks; carriers stay. Also what `to` sends back, when `both`. */
  async cut(from: string, to: string, { both = false } = {}): Promise<void> {
    await this.#switch.run("nft", [
      "add",
      "element",
      "bridge",
      "lab",
      "cut",
      pairs(from, to, both),
    ]);
  }

  async join(from: string, to: string, { both = false } = {}): Promise<void> {
    const elements = pairs(from, to, both);
    await this.#switch.run("nft", ["delete", "element", "bridge", "lab", "cut", elements]);
  }

  /** Drops everything from and to a host; its carrier stays. */
  async isolate(host: string): Promise<void> {
    await this.#switch.run("nft", ["add", "element", "bridge", "lab", "dark", ports(host)]);
  }

  async rejoin(host: string): Promise<void> {
    await this.#switch.run("nft", ["delete", "element", "bridge", "lab", "dark", ports(host)]);
  }

  /**
   * A host loses power: its processes, its network and what it had in memory are gone. Whoever follows it with a process
   * of his own (`Host.spawnBeside`) ends that first.
   */
  async powerOff(name: string): Promise<void> {
    const host = this.host(name);
    await this.unplug(name);
    this.#hosts.delete(name);
    await host.close();
  }

  /** A host that lost power boots: as it was when the LAN was opened. */
  async powerOn(name: string): Promise<Host> {
    const index = this.#plans.findIndex((plan) => plan.name === name);
    const plan = this.#plans[index];
    if (plan === undefined || this.#hosts.has(name))
      throw new Error(`'${name}' is not switched off`);
    const host = await Host.open(name, hostOptions(index + 1, this.#options));
    try {
      // The old cable goes with the old network, which the kernel takes down in its own time.
      const ports = (plan.eth1 === undefined ? [0] : [0, 1]).map((n) => `${name}-eth${n}`);
      for (const port of ports)
        await this.#switch.run("ip", ["link", "delete", port], { check: false });
      await this.#switch.ip(...cableCommands(host, index, plan));
      await host.ip(...addressCommands(plan));
    } catch (error) {
      await host.close();
      throw error;
    }
    this.#hosts.set(name, host);
    return host;
  }

  /** Why packets cannot be delayed or dropped by chance here; undefined: they can, on the switch's ports. */
  async lacksNetem(): Promise<string | undefined> {
    const tried = await this.#switch.run(
      "tc",
      ["qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"],
      { check: false },
    );
    if (tried.status !== 0) return "this kernel has no netem";
    await this.#switch.run("tc", ["qdisc", "delete", "dev", "lo", "root"]);
    return undefined;
  }

  /** Whose hardware sent the frame, going by its source address; undefined for virtual ones. */
  senderOf({ source }: Frame): string | undefined {
    const index = /^02:00:00:00:0[01]:(..)$/.exec(source)?.[1];
    return index === undefined ? undefined : this.#plans[Number.parseInt(index, 16) - 1]?.name;
  }

  /** Whose kernel chose the TTL of a packet. */
  ownerOfTtl(ttl: number): string | undefined {
    return ttl === FIRST_TTL ? "switch" : this.#plans[ttl - FIRST_TTL - 1]?.name;
  }

  async close(): Promise<void> {
    await Promise.all([this.capture.close(), this.secondCapture?.close()]);
    await Promise.all([...this.#hosts.values(), this.#switch].map((host) => host.close()));
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

/** What the host on the switch's port of this number starts with: the switch itself is 0. */
function hostOptions(index: number, { room }: LanOptions): { ttl: number; room?: string } {
  return { ttl: FIRST_TTL + index, ...(room === undefined ? {} : { room }) };
}

function ports(host: string): string {
  return `{ "${host}-eth0", "${host}-eth1" }`;
}

function pairs(from: string, to: string, both: boolean): string {
  const directions = both ? [[from, to] as const, [to, from] as const] : [[from, to] as const];
  const elements = directions.flatMap(([a, b]) =>
    ["eth0", "eth1"].map((device) => `"${a}-${device}" . "${b}-${device}"`),
  );
  return `{ ${elements.join(", ")} }`;
}

const RULESET = `table bridge lab {
  set cut { type ifname . ifname; }
  set dark { type ifname; }
  chain forward {
    type filter hook forward priority 0;
    iifname . oifname @cut drop
    iifname @dark drop
    oifname @dark drop
  }
}
`;
