import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Micros, micros } from "@ha/base";
import {
  breakFile,
  type DaemonName,
  haproxyConf,
  type Inventory,
  keepalivedConf,
  type Observation,
  type PairPlan,
  type Programs,
  STOPPED,
  stateInLog,
} from "../core/index.ts";
import { lineReader } from "./line-reader.ts";
import { CONFIG_PATH, Daemon, kill, nameOf, processesOf } from "./namespaces/daemon.ts";
import type { Host, HostProcess } from "./namespaces/host.ts";
import { now, until } from "./namespaces/wall-clock.ts";

const LBPROXY = fileURLToPath(new URL("../../../proxy/bin/lbproxy.js", import.meta.url));
const VRRPCTL = fileURLToPath(new URL("../../../vrrpd/bin/vrrpctl.js", import.meta.url));
const PROXY_CONFIG = "/etc/haproxy/haproxy.cfg";

/** What a balancer is to run. */
export interface BalancerPlan {
  readonly inventory: Inventory;
  readonly plan: PairPlan;
  readonly programs: Programs;
}

/** The programs of one balancer that is made of namespaces. It lives as long as its host has power. */
export class Balancer {
  readonly host: Host;
  readonly #plan: BalancerPlan;
  readonly #report: (seen: Observation) => void;
  #kind: DaemonName;
  #daemon: Daemon | undefined;
  #proxy: HostProcess | undefined;

  constructor(host: Host, plan: BalancerPlan, report: (seen: Observation) => void) {
    this.host = host;
    this.#plan = plan;
    this.#report = report;
    this.#kind = plan.programs.daemon;
  }

  /** What a boot starts. */
  async start(): Promise<void> {
    const { plan, inventory } = this.#plan;
    await this.host.run("mkdir", ["-p", "/run/haproxy", "/run/lab"]);
    await this.host.run("ln", ["-sf", LBPROXY, "/run/lab/haproxy"]);
    this.host.writeFile(PROXY_CONFIG, haproxyConf(this.host.name, { inventory, user: undefined }));
    // A host that takes an address before anything listens there would answer with refusals.
    if (!(plan.proxy === "supervised" && this.#kind === "vrrpd")) await this.startProxy();
    await this.startDaemon();
  }

  async startDaemon(): Promise<void> {
    const { plan, inventory, programs } = this.#plan;
    const config = keepalivedConf(this.host.name, plan, {
      inventory,
      programs: { ...programs, daemon: this.#kind },
    });
    const program = this.#kind;
    this.#daemon = await Daemon.start(program, this.host, config, {
      onLine: (line) => this.#note(program, line.text, micros(line.time)),
    });
  }

  async startProxy(): Promise<void> {
    const { proxy } = this.#plan.programs;
    const [command, ...args] =
      proxy === "haproxy" ? ["haproxy"] : [process.execPath, "/run/lab/haproxy"];
    const wrapper = this.host.spawn(command ?? "", [...args, "-W", "-f", PROXY_CONFIG]);
    this.#proxy = wrapper;
    let said = "";
    this.#follow(wrapper, proxy, (text) => {
      said += `\n${text}`;
    });
    await until(`the proxy of ${this.host.name} to listen`, 30_000, async () => {
      if (wrapper.exitCode !== null) throw new Error(`${proxy} ended:${said}`);
      const { stdout } = await this.host.run("ss", ["-Hltn", "sport = :80"]);
      return stdout !== "";
    });
  }

  /** Processes of the daemon, of vrrpd's guard, or of the proxy, oldest first; none is no error. */
  processes(what: "daemon" | "guard" | "all" | "proxy"): number[] {
    if (what === "proxy")
      return processesOf(this.host.pid).filter((pid) => nameOf(pid) === "haproxy");
    if (what === "guard") return this.#all().filter((pid) => nameOf(pid) === "vrrpd-guard");
    if (what === "all") return this.#all();
    return this.#all().length === 0 ? [] : [this.#running().speaker()];
  }

  /** The same signal to all, each of them stopped before where it is SIGKILL, so that none sees another die. */
  signal(pids: readonly number[], name: NodeJS.Signals): Micros {
    if (name === "SIGKILL") this.#awaitEnd();
    if (name === "SIGKILL" && pids.length > 1) for (const pid of pids) kill(pid, "SIGSTOP");
    const time = micros(now());
    for (const pid of pids) kill(pid, name);
    if (name === "SIGKILL" || name === "SIGCONT") this.wake();
    return time;
  }

  /** A wrapper stops as its program stops, and must go on with it: it would never tell of its end. */
  wake(): void {
    this.#daemon?.wake();
    if (this.#proxy?.pid !== undefined) kill(this.#proxy.pid, "SIGCONT");
  }

  /** What its operator sends to the first process of a service. */
  signalService(what: "daemon" | "proxy", name: NodeJS.Signals): Micros {
    if (what === "daemon") {
      const time = micros(this.#running().signal(name));
      if (name === "SIGTERM") this.#awaitEnd();
      return time;
    }
    const [first] = this.processes("proxy");
    if (first === undefined) throw new Error(`no proxy runs on ${this.host.name}`);
    return this.signal([first], name);
  }

  /** Starts the service unless it runs. */
  async ensure(what: "daemon" | "proxy"): Promise<void> {
    if (what === "proxy") {
      if (this.#plan.plan.proxy === "supervised" && this.#kind === "vrrpd") return;
      if (this.processes("proxy").length === 0) await this.startProxy();
    } else if (this.#all().length === 0) {
      await this.startDaemon();
    }
  }

  /** Waits until a stopped service has gone, and starts it. */
  async startAfterStop(what: "daemon" | "proxy"): Promise<void> {
    await until(
      `the ${what} of ${this.host.name} to end`,
      15_000,
      () => (what === "daemon" ? this.#all() : this.processes("proxy")).length === 0,
    );
    await (what === "daemon" ? this.startDaemon() : this.startProxy());
  }

  async reload(what: "daemon" | "proxy", file: "same" | "broken" | "good"): Promise<Micros> {
    const path = what === "daemon" ? CONFIG_PATH : PROXY_CONFIG;
    const text = this.host.readFile(path);
    if (file === "broken") {
      this.host.writeFile(`${path}.good`, text);
      this.host.writeFile(path, breakFile(what, text));
    }
    if (file === "good") this.host.writeFile(path, this.host.readFile(`${path}.good`));
    if (this.processes(what === "daemon" ? "all" : "proxy").length === 0) {
      // A broken file may have ended it.
      await this.ensure(what);
      return micros(now());
    }
    return this.signalService(what, what === "daemon" ? "SIGHUP" : "SIGUSR2");
  }

  /** Another daemon with the same file, as after an upgrade: the old one is stopped first. */
  async replaceDaemon(kind: DaemonName): Promise<Micros> {
    const time = this.signalService("daemon", "SIGTERM");
    await until(`the daemon of ${this.host.name} to end`, 15_000, () => this.#all().length === 0);
    this.#report({ kind: "state", at: micros(now()), host: this.host.name, state: STOPPED });
    this.#kind = kind;
    await this.startDaemon();
    return time;
  }

  get kind(): DaemonName {
    return this.#kind;
  }

  async vrrpctl(...args: readonly string[]): Promise<Micros> {
    const time = micros(now());
    await this.host.run(process.execPath, [VRRPCTL, ...args]);
    return time;
  }

  /** Tells when nothing of the daemon is left; when it is not going to end, it tells nothing. */
  #awaitEnd(): void {
    const daemon = this.#daemon;
    void daemon?.waitForEnd(10_000).then(
      () =>
        this.#report({ kind: "state", at: micros(now()), host: this.host.name, state: STOPPED }),
      () => {},
    );
  }

  #all(): number[] {
    return this.#daemon?.processes() ?? [];
  }

  #running(): Daemon {
    if (this.#daemon === undefined) throw new Error(`no daemon was started on ${this.host.name}`);
    return this.#daemon;
  }

  #follow(wrapper: HostProcess, program: string, also: (text: string) => void): void {
    const note = lineReader((text) => {
      also(text);
      this.#note(program, text, micros(now()));
    });
    wrapper.stdout.on("data", note);
    wrapper.stderr.on("data", note);
  }

  #note(program: string, text: string, at: Micros): void {
    const host = this.host.name;
    this.#report({ kind: "log", at, host, program, text });
    const state = stateInLog(text);
    if (state !== undefined) this.#report({ kind: "state", at, host, state });
  }
}
