import {
  type Answer,
  Daemon,
  type DaemonKind,
  type Frame,
  Holders,
  type Host,
  Lan,
  now,
  Probe,
} from "@ha/lab/namespaces";

/** The two hosts of a pair. lb2 has the higher address. */
export type Side = "lb1" | "lb2";

export const VIRTUAL_ADDRESS = "10.77.0.100";
export const VIRTUAL_ADDRESS_6 = "fd77::100";
export const ADDRESSES = { lb1: "10.77.0.11", lb2: "10.77.0.12", client: "10.77.0.31" } as const;
/** Link-local, which VRRP over IPv6 speaks from. */
export const ADDRESSES_6 = { lb1: "fe80::11", lb2: "fe80::12" } as const;

export const other = (side: Side): Side => (side === "lb1" ? "lb2" : "lb1");

export interface PairOptions {
  /** A second network on eth1, for sync groups. */
  readonly secondNetwork?: boolean;
  /** What the client asks. */
  readonly address?: string;
  /** How often the client asks, in milliseconds. Default 5. */
  readonly probeEvery?: number;
}

/**
 * Two hosts and a client on a switch, with everything that observes them. Nothing runs on the hosts at first: see
 * `start`.
 */
export class Pair {
  readonly lan: Lan;
  readonly holders: Holders;
  readonly probe: Probe;
  readonly address: string;
  readonly #daemons = new Map<Side, Daemon>();
  /** Every daemon that ever ran here, for the report of a failure. */
  readonly #history: Daemon[] = [];

  private constructor(lan: Lan, holders: Holders, probe: Probe) {
    this.lan = lan;
    this.holders = holders;
    this.probe = probe;
    this.address = probe.address;
  }

  static async open({
    secondNetwork = false,
    address = VIRTUAL_ADDRESS,
    probeEvery = 5,
  }: PairOptions = {}): Promise<Pair> {
    const second = (index: number): { eth1?: string[] } =>
      secondNetwork ? { eth1: [`10.78.0.${index}/24`] } : {};
    const lan = await Lan.open([
      {
        name: "lb1",
        eth0: [`${ADDRESSES.lb1}/24`, `${ADDRESSES_6.lb1}/64`, "fd77::11/64"],
        ...second(11),
      },
      {
        name: "lb2",
        eth0: [`${ADDRESSES.lb2}/24`, `${ADDRESSES_6.lb2}/64`, "fd77::12/64"],
        ...second(12),
      },
      { name: "client", eth0: [`${ADDRESSES.client}/24`, "fd77::31/64"], ...second(31) },
    ]);
    try {
      const holders = await Holders.open([lan.host("lb1"), lan.host("lb2")]);
      return new Pair(lan, holders, Probe.start(lan, lan.host("client"), address, probeEvery));
    } catch (error) {
      await lan.close();
      throw error;
    }
  }

  host(side: Side): Host {
    return this.lan.host(side);
  }

  async start(side: Side, kind: DaemonKind, config: string): Promise<Daemon> {
    const daemon = await Daemon.start(kind, this.host(side), config);
    this.#daemons.set(side, daemon);
    this.#history.push(daemon);
    return daemon;
  }

  /**
   * Starts both and waits until lb1 is master. lb2 starts once lb1 is ready, so that lb1, which has the better priority
   * and with it the shorter skew, is the first master, however long each takes to start.
   */
  async startBoth(
    kinds: Readonly<Record<Side, DaemonKind>>,
    configs: Readonly<Record<Side, string>>,
  ): Promise<void> {
    const first = await this.start("lb1", kinds.lb1, configs.lb1);
    await first.waitForLog(/Entering \w+ STATE/, 10_000);
    await this.start("lb2", kinds.lb2, configs.lb2);
    await this.settle("lb1", 15_000);
  }

  daemon(side: Side): Daemon {
    const daemon = this.#daemons.get(side);
    if (daemon === undefined) throw new Error(`no daemon was started on ${side}`);
    return daemon;
  }

  /** Waits until `side` alone holds the address and the client is answered by it. */
  async settle(side: Side, limitMs = 12_000): Promise<void> {
    await this.holders.wait(this.address, [side], limitMs);
    await this.answeredBy(side, limitMs);
  }

  /** Waits for an answer to the client from this host. */
  async answeredBy(side: Side, limitMs: number, since = now()): Promise<Frame> {
    return this.lan.capture.wait(
      `the client to be answered by ${side}`,
      limitMs,
      ({ echo }) =>
        echo?.kind === "reply" &&
        echo.from === this.address &&
        this.lan.ownerOfTtl(echo.ttl) === side,
      since,
    );
  }

  /** Waits for the next advert of a host with this VRID, and returns it. The worst moment for a fault is right after. */
  nextAdvert(side: Side, { vrid = 51, limitMs = 5_000, since = now() } = {}): Promise<Frame> {
    return this.lan.capture.wait(
      `an advert of ${side}`,
      limitMs,
      (frame) => this.isAdvert(frame, side, vrid),
      since,
    );
  }

  adverts(side: Side, { vrid = 51, since = 0, end = Number.POSITIVE_INFINITY } = {}): Frame[] {
    return this.lan.capture.between(since, end).filter((frame) => this.isAdvert(frame, side, vrid));
  }

  isAdvert({ vrrp }: Frame, side: Side, vrid: number): boolean {
    return (
      vrrp !== undefined &&
      vrrp.vrid === vrid &&
      (vrrp.from === ADDRESSES[side] || vrrp.from === ADDRESSES_6[side])
    );
  }

  /** The host goes dark at once: cable and power. Returns when it was done. */
  async powerOff(side: Side): Promise<number> {
    const time = now();
    await this.lan.unplug(side);
    this.holders.powerOff(side);
    await this.host(side).killAll("KILL");
    return time;
  }

  /** What the client saw from `since` on. */
  answers(since: number, end?: number): Answer[] {
    return this.probe.answers(since, end);
  }

  /** The logs of all daemons, for the report of a failure. */
  logs(): string {
    return this.#history.map((daemon) => daemon.text()).join("\n---\n");
  }

  async close(): Promise<void> {
    this.probe.stop();
    this.holders.close();
    await this.lan.close();
  }
}
