import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Micros, micros, toMilliseconds } from "@ha/base";
import {
  type Applied,
  type Driver,
  type Fault,
  type Inventory,
  type Need,
  type Observation,
  type PairPlan,
  type ProbePlan,
  type Programs,
  type Running,
  STOPPED,
  timesOf,
} from "../core/index.ts";
import { allSettled } from "./all-settled.ts";
import { Balancer, type BalancerPlan } from "./balancer.ts";
import { Holders } from "./namespaces/holders.ts";
import { Lan } from "./namespaces/lan.ts";
import { isInstalled } from "./namespaces/requirements.ts";
import { now, sleep } from "./namespaces/wall-clock.ts";
import { applyNetnsFault } from "./netns-faults.ts";
import { followProbe, PROBE_CLIENT, probeArgument } from "./prober.ts";
import { startWebServer } from "./start-web-server.ts";

const ADDRESS = "10.77.0.100";
const ADDRESSES = {
  lb1: "10.77.0.11",
  lb2: "10.77.0.12",
  web1: "10.77.0.21",
  web2: "10.77.0.22",
  client: "10.77.0.31",
} as const;
const ROLES = { lb1: "lb", lb2: "lb", web1: "web", web2: "web", client: "client" } as const;
const NAMES = ["lb1", "lb2", "web1", "web2", "client"] as const;

/** What says who speaks and who connects, without the bodies. */
const CAPTURED = "not tcp or tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0";
/** What /run and /tmp of a host hold: small, so that it can be filled. */
const ROOM = "32m";

/** The lab made of namespaces of this machine. It ends with this process. */
export class NetnsDriver implements Driver {
  readonly name = "netns";
  readonly #lan: Lan;
  readonly #holders: Holders;
  readonly #netem: string | undefined;
  readonly #balancers = new Map<string, Balancer>();
  /** Who holds the address, reachable or not. */
  readonly #held = new Set<string>();
  /** Hosts that nobody can reach: what they hold does not count. */
  readonly #hidden = new Set<string>();
  readonly #log: Observation[] = [];
  #plan: BalancerPlan | undefined;
  #listener: ((seen: Observation) => void) | undefined;

  private constructor(lan: Lan, netem: string | undefined, open: (driver: NetnsDriver) => Holders) {
    this.#lan = lan;
    this.#netem = netem;
    this.#holders = open(this);
  }

  static async open(): Promise<NetnsDriver> {
    const lan = await Lan.open(
      NAMES.map((name) => ({ name, eth0: [`${ADDRESSES[name]}/24`] })),
      { filter: CAPTURED, room: ROOM },
    );
    try {
      const driver = new NetnsDriver(lan, await lan.lacksNetem(), (self) =>
        Holders.following(({ time, host, address, held }) => {
          if (address === ADDRESS) self.#noteHolder(host, held, micros(time));
        }),
      );
      await Promise.all([...balancerNames].map((name) => driver.#holders.watch(lan.host(name))));
      await Promise.all([driver.startWeb("web1"), driver.startWeb("web2")]);
      return driver;
    } catch (error) {
      await lan.close();
      throw error;
    }
  }

  get inventory(): Inventory {
    return {
      driver: "netns",
      slack: { time_factor: 1, floor_s: 0.3 },
      interface: "eth0",
      address: ADDRESS,
      least_advert_s: 0.01,
      least_probe_every_s: 0.001,
      least_probe_timeout_s: 0.01,
      baseline_s: 0.7,
      hosts: Object.fromEntries(
        NAMES.map((name) => [
          name,
          {
            role: ROLES[name],
            addr: ADDRESSES[name],
            exec: { netns: { pid: this.#lan.hosts.get(name)?.pid ?? 1 } },
          },
        ]),
      ),
    };
  }

  get lan(): Lan {
    return this.#lan;
  }

  now(): Micros {
    return micros(now());
  }

  wait(duration: Micros): Promise<void> {
    return sleep(toMilliseconds(duration));
  }

  lacks(need: Need, { daemon }: Programs): string | undefined {
    switch (need) {
      case "netem":
        return this.#netem;
      case "clock":
        return "namespaces share the wall clock of their machine";
      case "keepalived":
        return isInstalled("keepalived") ? undefined : "keepalived is not installed";
      case "guard":
      case "vrrpctl":
      case "supervised-proxy":
        return daemon === "vrrpd" ? undefined : `${daemon} has none`;
      case "freeze-host":
      case "power":
      case "link":
      case "partition":
      case "small-disk":
      case "cpu-load":
        return undefined;
    }
  }

  async prepare(plan: PairPlan, programs: Programs): Promise<PairPlan> {
    const isFirst = this.#plan === undefined;
    this.#plan = { inventory: this.inventory, plan, programs };
    this.#log.length = 0;
    this.#lan.capture.forget(now());
    // New hosts have nothing left of an earlier drill, whatever it did to them.
    await allSettled(
      balancerNames.map(async (name) => {
        if (!isFirst) {
          await this.powerOff(name);
          await this.#boot(name);
        }
        await this.#startPrograms(name);
      }),
    );
    return plan;
  }

  async follow(report: (seen: Observation) => void): Promise<Running> {
    for (const seen of this.#log) report(seen);
    for (const host of balancerNames)
      report({ kind: "holder", at: this.now(), host, held: this.#counts(host) });
    this.#listener = report;
    return {
      stop: async () => {
        this.#listener = undefined;
      },
    };
  }

  async probe(plan: ProbePlan, report: (seen: Observation) => void): Promise<Running> {
    if (this.#plan === undefined) throw new Error("nothing was prepared");
    const argument = probeArgument(plan, {
      inventory: this.inventory,
      times: timesOf(this.#plan.plan),
    });
    const client = this.#lan.host(plan.from);
    return followProbe(
      client.spawnBeside(process.execPath, [PROBE_CLIENT, argument]),
      plan,
      report,
    );
  }

  apply(fault: Fault): Promise<Applied> {
    return applyNetnsFault(fault, this);
  }

  async keep(folder: string): Promise<void> {
    this.#lan.capture.save(join(folder, "capture.pcap"));
    for (const name of balancerNames) {
      const lines = this.#log.flatMap((seen) =>
        seen.kind === "log" && seen.host === name
          ? [`${new Date(seen.at / 1000).toISOString()} ${seen.program}: ${seen.text}`]
          : [],
      );
      writeFileSync(join(folder, `${name}.log`), lines.map((line) => `${line}\n`).join(""));
    }
  }

  async close(): Promise<void> {
    this.#holders.close();
    await this.#lan.close();
    for (const balancer of this.#balancers.values()) balancer.wake();
  }

  balancer(name: string): Balancer {
    const balancer = this.#balancers.get(name);
    if (balancer === undefined) throw new Error(`'${name}' is no balancer that runs`);
    return balancer;
  }

  isBalancer(name: string): boolean {
    return balancerNames.some((one) => one === name);
  }

  async startWeb(name: string): Promise<void> {
    const host = this.#lan.host(name);
    const address = Object.entries(ADDRESSES).find(([one]) => one === name)?.[1] ?? "";
    await startWebServer(host, address);
  }

  /** Power is cut. */
  async powerOff(name: string): Promise<Micros> {
    const time = this.now();
    const balancer = this.#balancers.get(name);
    this.#balancers.delete(name);
    this.#noteHolder(name, false, time);
    if (this.isBalancer(name)) this.#tell({ kind: "state", at: time, host: name, state: STOPPED });
    this.#hidden.delete(name);
    this.#holders.unwatch(name);
    await this.#lan.powerOff(name);
    balancer?.wake();
    return time;
  }

  /** Power is back: the host starts as it always does. */
  async powerOn(name: string): Promise<Micros> {
    await this.#boot(name);
    const time = this.now();
    if (this.isBalancer(name)) await this.#startPrograms(name);
    else await this.startWeb(name);
    return time;
  }

  /** From now on nobody can reach what the host holds. */
  hide(name: string, at: Micros): void {
    if (this.#counts(name)) this.#tell({ kind: "holder", at, host: name, held: false });
    this.#hidden.add(name);
  }

  show(name: string, at: Micros): void {
    this.#hidden.delete(name);
    if (this.#counts(name)) this.#tell({ kind: "holder", at, host: name, held: true });
  }

  async #boot(name: string): Promise<void> {
    const host = await this.#lan.powerOn(name);
    if (this.isBalancer(name)) await this.#holders.watch(host);
  }

  async #startPrograms(name: string): Promise<void> {
    if (this.#plan === undefined) throw new Error("nothing was prepared");
    const balancer = new Balancer(this.#lan.host(name), this.#plan, (seen) => this.#tell(seen));
    this.#balancers.set(name, balancer);
    await balancer.start();
  }

  #counts(host: string): boolean {
    return this.#held.has(host) && !this.#hidden.has(host);
  }

  #noteHolder(host: string, held: boolean, at: Micros): void {
    if (this.#held.has(host) === held) return;
    if (held) this.#held.add(host);
    else this.#held.delete(host);
    if (!this.#hidden.has(host)) this.#tell({ kind: "holder", at, host, held });
  }

  #tell(seen: Observation): void {
    if (seen.kind !== "holder") this.#log.push(seen);
    this.#listener?.(seen);
  }
}

const balancerNames = NAMES.filter((name) => ROLES[name] === "lb");
