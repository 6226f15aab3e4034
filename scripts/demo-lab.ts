import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type HttpProbe, startHttpProbe, startWebServer } from "@ha/lab/drills";
import {
  type Answer,
  Daemon,
  type DaemonKind,
  Holders,
  Lan,
  now,
  Probe,
  sleep,
  until,
} from "@ha/lab/namespaces";

export type Side = "lb1" | "lb2";
export const SIDES: readonly Side[] = ["lb1", "lb2"];
export const VIRTUAL_ADDRESS = "192.168.1.100";

/** What serves HTTP on a balancer. */
export type ProxyKind = "haproxy" | "lbproxy";

/** The programs of a balancer. */
export interface Programs {
  readonly daemon: DaemonKind;
  readonly proxy: ProxyKind;
}

const LBPROXY = fileURLToPath(new URL("../../packages/proxy/bin/lbproxy.js", import.meta.url));

/** How often each of the two HTTP clients asks. */
export const HTTP_PACE_MS = 20;
/** After that a request of theirs has failed. */
export const HTTP_TIMEOUT_MS = 1_000;

/** How often the client asks: the finest outage that it can see. */
export const PACE_MS = 10;

/** The pair of the demo: two hosts with their files as they stand in `scripts/demo-files`, and a client. */
export class DemoLab {
  readonly programs: Readonly<Record<Side, Programs>>;
  readonly startedAt = now();
  readonly #lan: Lan;
  readonly #holders: Holders;
  readonly #probe: Probe;
  /** One opens a connection for each request, the other keeps it. */
  readonly #http: readonly HttpProbe[];
  readonly #daemons = new Map<Side, Daemon>();
  /** What overrides the state that a daemon logs: it is dead, or nobody can hear it. */
  readonly #marks = new Map<Side, string>();

  private constructor(lan: Lan, holders: Holders, programs: Readonly<Record<Side, Programs>>) {
    this.#lan = lan;
    this.#holders = holders;
    this.programs = programs;
    this.#http = [false, true].map((keepAlive) =>
      startHttpProbe(lan.host("client"), {
        address: VIRTUAL_ADDRESS,
        everyMs: HTTP_PACE_MS,
        timeoutMs: HTTP_TIMEOUT_MS,
        keepAlive,
      }),
    );
    this.#probe = Probe.start(lan, lan.host("client"), VIRTUAL_ADDRESS, PACE_MS);
  }

  static async open(programs: Readonly<Record<Side, Programs>>): Promise<DemoLab> {
    const lan = await Lan.open([
      { name: "lb1", eth0: ["172.16.0.2/24"] },
      { name: "lb2", eth0: ["172.16.0.3/24"] },
      { name: "web1", eth0: ["172.16.0.21/24"] },
      { name: "web2", eth0: ["172.16.0.22/24"] },
      { name: "client", eth0: ["172.16.0.9/24"], commands: ["route add 192.168.1.0/24 dev eth0"] },
    ]);
    const holders = await Holders.open([lan.host("lb1"), lan.host("lb2")]);
    await Promise.all([
      startWebServer(lan.host("web1"), "172.16.0.21"),
      startWebServer(lan.host("web2"), "172.16.0.22"),
    ]);
    return new DemoLab(lan, holders, programs);
  }

  async startDaemon(side: Side): Promise<void> {
    const file = demoFile(`${side}.conf`);
    this.#daemons.set(
      side,
      await Daemon.start(
        this.programs[side].daemon,
        this.#lan.host(side),
        readFileSync(file, "utf8"),
      ),
    );
    this.#marks.delete(side);
  }

  /** The proxy of the host, under the name that `killall -0 haproxy` looks for. Resolves when it listens. */
  async startProxy(side: Side): Promise<void> {
    const host = this.#lan.host(side);
    host.writeFile("/tmp/haproxy.cfg", readFileSync(demoFile("haproxy.cfg"), "utf8"));
    await host.shell(`ln -sf ${LBPROXY} /tmp/haproxy`);
    const command =
      this.programs[side].proxy === "haproxy" ? ["haproxy"] : [process.execPath, "/tmp/haproxy"];
    const [program = "", ...args] = [...command, "-db", "-f", "/tmp/haproxy.cfg"];
    const proxy = host.spawn(program, args);
    proxy.stdout.resume();
    proxy.stderr.resume();
    await until(`the proxy of ${side} to listen`, 15_000, async () => {
      return (await host.run("ss", ["-Hltn", "sport = :80"])).stdout !== "";
    });
  }

  async killProxy(side: Side): Promise<void> {
    await this.#lan.host(side).shell("killall -9 haproxy");
  }

  stopDaemon(side: Side): void {
    this.#marks.set(side, "stopped");
    this.#daemon(side).signal("SIGTERM");
  }

  /** The process that speaks VRRP, and not the one that started it or guards it. */
  killSpeaker(side: Side): void {
    process.kill(this.#daemon(side).speaker(), "SIGKILL");
  }

  async killDaemon(side: Side): Promise<void> {
    this.#marks.set(side, "dead");
    await this.#daemon(side).killAll();
  }

  async pullCable(side: Side): Promise<void> {
    this.#marks.set(side, "cut off");
    await this.#lan.unplug(side);
  }

  async plugCable(side: Side): Promise<void> {
    this.#marks.delete(side);
    await this.#lan.plug(side);
  }

  /** What the host says it is. */
  state(side: Side): string {
    const mark = this.#marks.get(side);
    if (mark !== undefined) return mark;
    const lines = this.#daemons.get(side)?.log ?? [];
    for (const { text } of [...lines].reverse()) {
      const name = /\(VI_1\) Entering (\w+) STATE/.exec(text)?.[1];
      if (name !== undefined)
        return name === "MASTER" || name === "FAULT" ? name : name.toLowerCase();
    }
    return this.#daemons.has(side) ? "starting" : "off";
  }

  answers(since: number, end?: number): Answer[] {
    return this.#probe.answers(since, end);
  }

  /** How many HTTP requests were sent from `since` to `end`, and how many of them failed, as far as is known now. */
  requests(since: number, end: number): { readonly sent: number; readonly failed: number } {
    const sent = this.#http
      .flatMap(({ answers }) => answers)
      .filter(({ at }) => at >= since && at < end);
    return {
      sent: sent.length,
      failed: sent.filter(({ failure }) => failure !== undefined).length,
    };
  }

  /** When the address was first held by `side` at or after `since`; undefined: not yet. */
  heldSince(side: Side, since: number): number | undefined {
    return this.#holders.changes.find(
      ({ host, address, held, time }) =>
        host === side && address === VIRTUAL_ADDRESS && held && time >= since,
    )?.time;
  }

  /** How long, in milliseconds, both hosts held the address at once. */
  heldByTwo(since: number, end: number): number {
    return this.#holders.heldBy(2, VIRTUAL_ADDRESS, since, end);
  }

  /** The last lines of both logs, for a step that did not go as it should. */
  logs(): string {
    return [...this.#daemons.values()].map((daemon) => daemon.text()).join("\n");
  }

  async close(): Promise<void> {
    this.#probe.stop();
    await Promise.all(this.#http.map((clients) => clients.stop()));
    this.#holders.close();
    await sleep(0);
    await this.#lan.close();
  }

  #daemon(side: Side): Daemon {
    const daemon = this.#daemons.get(side);
    if (daemon === undefined) throw new Error(`no daemon on ${side}`);
    return daemon;
  }
}

function demoFile(name: string): URL {
  return new URL(`../../scripts/demo-files/${name}`, import.meta.url);
}
