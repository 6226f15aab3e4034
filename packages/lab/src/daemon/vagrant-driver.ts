import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Micros, micros, toMilliseconds } from "@ha/base";
import {
  type Applied,
  type Driver,
  durationOf,
  type Fault,
  haproxyConf,
  hostsOfRole,
  type Inventory,
  keepalivedConf,
  type Need,
  type Observation,
  type PairPlan,
  type ProbePlan,
  type Programs,
  type Running,
  STOPPED,
  stateInLog,
  timesOf,
} from "../core/index.ts";
import { allSettled } from "./all-settled.ts";
import { lineReader } from "./line-reader.ts";
import { now, sleep, until } from "./namespaces/wall-clock.ts";
import { followProbe, PROBE_CLIENT, probeArgument } from "./prober.ts";
import { SshMachine } from "./ssh-machine.ts";
import { applyVagrantFault } from "./vagrant-faults.ts";

/** Where the release's own Node.js is on a machine of the lab. */
const NODE = "/opt/release/node/bin/node";
const REMOTE_PROBE = "/var/tmp/lab-probe-client.mjs";

/** systemd's names of the services, by program. */
export const UNITS = {
  vrrpd: "vrrpd",
  keepalived: "keepalived",
  lbproxy: "lbproxy",
  haproxy: "haproxy",
} as const;

/** A lab of virtual machines that stand already: `vagrant up`, then this. Reached by ssh; virsh does what hosts cannot do to themselves. */
export class VagrantDriver implements Driver {
  readonly name = "vagrant";
  readonly inventory: Inventory;
  readonly #machines = new Map<string, SshMachine>();
  readonly #log: Observation[] = [];
  readonly #held = new Set<string>();
  readonly #hidden = new Set<string>();
  readonly #off = new Set<string>();
  readonly #followers = new Map<string, readonly ChildProcess[]>();
  #plan: PairPlan | undefined;
  #programs: Programs = { daemon: "vrrpd", proxy: "lbproxy" };
  #listener: ((seen: Observation) => void) | undefined;
  #tcpdump: ChildProcess | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), "ha-lab-"));

  private constructor(inventory: Inventory) {
    this.inventory = inventory;
    for (const [name, { exec }] of Object.entries(inventory.hosts)) {
      if (!("ssh" in exec)) throw new Error(`the inventory says not how to reach ${name} by ssh`);
      const { config, host } = exec.ssh;
      const known = [...this.#machines.values()].find((machine) => machine.name === host);
      // A web server without a machine of its own is played by another one.
      this.#machines.set(name, known ?? new SshMachine(host, { config, folder: this.#folder }));
    }
  }

  /** Connects to every machine, learns its clock, and copies the probe client to where probes start. */
  static async open(inventory: Inventory): Promise<VagrantDriver> {
    const driver = new VagrantDriver(inventory);
    await driver.syncClocks();
    const client = readFileSync(PROBE_CLIENT, "utf8");
    for (const name of hostsOfRole(inventory, "client"))
      await driver.machine(name).writeFile(REMOTE_PROBE, client);
    return driver;
  }

  /** Machines that cannot be reached keep what is known of their clocks. */
  async syncClocks(): Promise<void> {
    const reachable = [...this.#machines].filter(
      ([name]) => !this.#hidden.has(name) && !this.#off.has(name),
    );
    await Promise.all(
      [...new Set(reachable.map(([, machine]) => machine))].map((one) => one.syncClock()),
    );
  }

  machine(name: string): SshMachine {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new Error(`no machine is called '${name}'`);
    return machine;
  }

  domain(name: string): string {
    const domain = this.inventory.hosts[name]?.domain;
    if (domain === undefined) throw new Error(`the inventory knows no domain of ${name}`);
    return domain;
  }

  get programs(): Programs {
    return this.#programs;
  }

  now(): Micros {
    return micros(now());
  }

  wait(duration: Micros): Promise<void> {
    return sleep(toMilliseconds(duration));
  }

  lacks(need: Need, { daemon }: Programs): string | undefined {
    if (need === "guard" || need === "vrrpctl" || need === "supervised-proxy")
      return daemon === "vrrpd" ? undefined : `${daemon} has none`;
    if (need === "freeze-host" || need === "power" || need === "link") {
      const missing = this.#balancers().find(
        (name) => this.inventory.hosts[name]?.domain === undefined,
      );
      return missing === undefined ? undefined : `${missing} is no machine of libvirt`;
    }
    return undefined;
  }

  async prepare(plan: PairPlan, programs: Programs): Promise<PairPlan> {
    const inForce = this.#slowed(plan);
    this.#plan = inForce;
    this.#programs = programs;
    this.#log.length = 0;
    this.#startCapture();
    await allSettled(
      this.#balancers().map(async (name) => {
        const machine = this.machine(name);
        const { inventory } = this;
        await machine.run("systemctl stop vrrpd keepalived lbproxy haproxy 2>/dev/null; true");
        await machine.run(
          `ip address del ${inventory.address}/24 dev ${inventory.interface} 2>/dev/null; ` +
            "nft delete table inet lab 2>/dev/null; rm -f /run/vrrpd/*.json; " +
            "mkdir -p /etc/keepalived /etc/haproxy /run/haproxy; true",
        );
        await machine.writeFile(
          "/etc/keepalived/keepalived.conf",
          keepalivedConf(name, inForce, { inventory, programs }),
        );
        await machine.writeFile(
          "/etc/haproxy/haproxy.cfg",
          haproxyConf(name, { inventory, user: "haproxy" }),
        );
        const isSupervised = inForce.proxy === "supervised" && programs.daemon === "vrrpd";
        if (!isSupervised) await machine.run(`systemctl start ${UNITS[programs.proxy]}`);
        await machine.run(`systemctl start ${UNITS[programs.daemon]}`);
      }),
    );
    return inForce;
  }

  async follow(report: (seen: Observation) => void): Promise<Running> {
    this.#listener = report;
    await Promise.all(this.#balancers().map((name) => this.followMachine(name)));
    return {
      stop: async () => {
        this.#listener = undefined;
        for (const name of this.#balancers()) this.unfollow(name);
        this.#tcpdump?.kill("SIGTERM");
      },
    };
  }

  async probe(plan: ProbePlan, report: (seen: Observation) => void): Promise<Running> {
    if (this.#plan === undefined) throw new Error("nothing was prepared");
    const machine = this.machine(plan.from);
    const { inventory } = this;
    const argument = probeArgument(plan, { inventory, times: timesOf(this.#plan) });
    const child = machine.spawn(`exec ${NODE} ${REMOTE_PROBE} '${argument}'`);
    child.stderr.resume();
    return followProbe(child, plan, report, (time) => machine.toOurs(time));
  }

  async apply(fault: Fault): Promise<Applied> {
    // Emulated clocks drift by the minute, and the times that matter come now.
    await this.syncClocks();
    return applyVagrantFault(fault, this);
  }

  async keep(folder: string): Promise<void> {
    for (const name of this.#balancers()) {
      const lines = this.#log.flatMap((seen) =>
        seen.kind === "log" && seen.host === name
          ? [`${new Date(seen.at / 1000).toISOString()} ${seen.program}: ${seen.text}\n`]
          : [],
      );
      writeFileSync(join(folder, `${name}.log`), lines.join(""));
    }
    try {
      copyFileSync(this.#pcap, join(folder, "capture.pcap"));
    } catch {
      writeFileSync(
        join(folder, "capture.missing"),
        "tcpdump could not listen on the data network's bridge\n",
      );
    }
  }

  async close(): Promise<void> {
    this.#tcpdump?.kill("SIGTERM");
    for (const name of this.#balancers()) this.unfollow(name);
    for (const machine of new Set(this.#machines.values())) await machine.disconnect();
  }

  /** Follows holders, states and logs of a balancer until its connection ends. */
  async followMachine(name: string): Promise<void> {
    const machine = this.machine(name);
    const { address, interface: device } = this.inventory;
    const addresses = machine.spawn(
      `ip -o address show dev ${device} | grep -q ' ${address}/' && echo held || echo free; exec ip -ts -o monitor address`,
    );
    let listens = false;
    addresses.stdout.on(
      "data",
      lineReader((line) => {
        if (line === "held" || line === "free") {
          listens = true;
          this.noteHolder(name, line === "held", this.now());
          return;
        }
        const match = /^\[(\S+)\] (Deleted )?\d+: \S+\s+inet ([0-9.]+)/.exec(line);
        if (match?.[3] !== address) return;
        const [, stamp = "", deleted] = match;
        const time = Date.parse(`${stamp.slice(0, 23)}Z`) * 1000 + Number(stamp.slice(23));
        this.noteHolder(name, deleted === undefined, machine.toOurs(time));
      }),
    );
    const units = Object.values(UNITS)
      .map((unit) => `-u ${unit}`)
      .join(" ");
    // What was said since the start of the programs counts: who is master was decided then.
    const journal = machine.spawn(`exec journalctl -f -n 200 -o short-unix --no-hostname ${units}`);
    const since = this.now() - 60e6;
    journal.stdout.on(
      "data",
      lineReader((line) => {
        const match = /^(\d+\.\d+) ([\w.-]+)(?:\[\d+\])?: (.*)$/.exec(line);
        if (match === null) return;
        const at = machine.toOurs(Number(match[1]) * 1e6);
        if (at > since) this.noteLog(name, match[2] ?? "", match[3] ?? "", at);
      }),
    );
    for (const child of [addresses, journal]) {
      child.stderr.resume();
      child.stdin.on("error", () => {});
    }
    this.#followers.set(name, [addresses, journal]);
    await until(`the monitor of ${name}`, 60_000, () => listens);
  }

  unfollow(name: string): void {
    for (const child of this.#followers.get(name) ?? []) child.kill("SIGKILL");
    this.#followers.delete(name);
  }

  noteLog(host: string, program: string, text: string, at: Micros): void {
    this.#tell({ kind: "log", at, host, program, text });
    const state = stateInLog(text);
    if (state !== undefined) this.#tell({ kind: "state", at, host, state });
  }

  /** Power is off or on: while it is off, nobody waits for its clock. */
  notePower(host: string, isOn: boolean): void {
    if (isOn) this.#off.delete(host);
    else this.#off.add(host);
  }

  noteStopped(host: string, at: Micros): void {
    this.#tell({ kind: "state", at, host, state: STOPPED });
  }

  noteHolder(host: string, held: boolean, at: Micros): void {
    if (held) this.#held.add(host);
    else this.#held.delete(host);
    if (!this.#hidden.has(host)) this.#tell({ kind: "holder", at, host, held });
  }

  /** Nobody can reach what the host holds, from now on. */
  hide(host: string, at: Micros): void {
    if (this.#held.has(host)) this.#tell({ kind: "holder", at, host, held: false });
    this.#hidden.add(host);
  }

  show(host: string, at: Micros): void {
    this.#hidden.delete(host);
    if (this.#held.has(host)) this.#tell({ kind: "holder", at, host, held: true });
  }

  /** After a boot: a new connection, the clock of a new life, and followers. */
  async reconnect(name: string): Promise<void> {
    const machine = this.machine(name);
    this.unfollow(name);
    await machine.disconnect();
    await until(`${name} to answer by ssh`, 300_000, async () => {
      try {
        await machine.run("true");
        return true;
      } catch {
        await sleep(1000);
        return false;
      }
    });
    await machine.syncClock();
    await this.followMachine(name);
  }

  isBalancer(name: string): boolean {
    return this.#balancers().includes(name);
  }

  #balancers(): readonly string[] {
    return hostsOfRole(this.inventory, "lb");
  }

  /** Machines that are slow get no shorter adverts than they keep up with; version 2 knows whole seconds only. */
  #slowed(plan: PairPlan): PairPlan {
    const least = this.inventory.least_advert_s;
    const wanted = durationOf(plan.advert, timesOf(plan)) / 1e6;
    return wanted >= least ? plan : { ...plan, advert: [{ factor: least, unit: "s" }] };
  }

  get #pcap(): string {
    return join(this.#folder, "capture.pcap");
  }

  /** On the bridge of the data network, which stands in the network namespace of libvirtd, as we do. */
  #startCapture(): void {
    this.#tcpdump?.kill("SIGTERM");
    const filter = "not tcp or tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0";
    const options = ["-i", "any", "-U", "-n", "-s", "256", "-w", this.#pcap, filter];
    this.#tcpdump = spawn("tcpdump", options, { stdio: "ignore" });
    this.#tcpdump.on("error", () => {}); // Not installed: a drill without a capture is one all the same.
  }

  #tell(seen: Observation): void {
    if (seen.kind !== "holder") this.#log.push(seen);
    this.#listener?.(seen);
  }
}
