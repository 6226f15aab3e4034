import { readFileSync } from "node:fs";
import process from "node:process";
import {
  type Answer,
  Daemon,
  type DaemonKind,
  Holders,
  Lan,
  now,
  Probe,
  sleep,
} from "@ha/lab/namespaces";

export type Side = "lb1" | "lb2";
export const SIDES: readonly Side[] = ["lb1", "lb2"];
export const VIRTUAL_ADDRESS = "192.168.1.100";

/** How often the client asks: the finest outage that it can see. */
export const PACE_MS = 10;

/** The pair of the demo: two hosts with their files as they stand in `scripts/demo-files`, and a client. */
export class DemoLab {
  readonly kinds: Readonly<Record<Side, DaemonKind>>;
  readonly startedAt = now();
  readonly #lan: Lan;
  readonly #holders: Holders;
  readonly #probe: Probe;
  readonly #daemons = new Map<Side, Daemon>();
  /** What overrides the state that a daemon logs: it is dead, or nobody can hear it. */
  readonly #marks = new Map<Side, string>();

  private constructor(lan: Lan, holders: Holders, kinds: Readonly<Record<Side, DaemonKind>>) {
    this.#lan = lan;
    this.#holders = holders;
    this.kinds = kinds;
    this.#probe = Probe.start(lan, lan.host("client"), VIRTUAL_ADDRESS, PACE_MS);
  }

  static async open(kinds: Readonly<Record<Side, DaemonKind>>): Promise<DemoLab> {
    const lan = await Lan.open([
      { name: "lb1", eth0: ["172.16.0.2/24"] },
      { name: "lb2", eth0: ["172.16.0.3/24"] },
      { name: "client", eth0: ["172.16.0.9/24"], commands: ["route add 192.168.1.0/24 dev eth0"] },
    ]);
    const holders = await Holders.open([lan.host("lb1"), lan.host("lb2")]);
    return new DemoLab(lan, holders, kinds);
  }

  async startDaemon(side: Side): Promise<void> {
    const file = new URL(`../../scripts/demo-files/${side}.conf`, import.meta.url);
    this.#daemons.set(
      side,
      await Daemon.start(this.kinds[side], this.#lan.host(side), readFileSync(file, "utf8")),
    );
    this.#marks.delete(side);
  }

  /** A process of the name that `killall -0 haproxy` looks for. */
  async startProxy(side: Side): Promise<void> {
    const host = this.#lan.host(side);
    await host.shell("cp -f $(command -v sleep) /tmp/haproxy");
    host.spawn("/tmp/haproxy", ["infinity"]);
  }

  async stopProxy(side: Side): Promise<void> {
    await this.#lan.host(side).shell("killall haproxy");
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
