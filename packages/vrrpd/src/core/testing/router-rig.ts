import { type IpAddress, ip, type Micros, micros, seconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { AUTH_TYPES, padded } from "../admission.ts";
import { encodeAdvert } from "../advert.ts";
import type { Circumstances } from "../circumstances.ts";
import type { IncomingPacket, OutgoingPacket, Ports } from "../ports.ts";
import type { Report } from "../report.ts";
import { DEFAULT_ANNOUNCE, NO_AUTHENTICATION, OUR_CONDUCT, type Router } from "../router.ts";
import type { SyncGroup } from "../sync-group.ts";
import { VirtualRouter } from "../virtual-router.ts";
import { SIM_DIGESTS } from "./sim-digests.ts";

/** keepalived's defaults: version 2, one second, priority 100, multicast, one address. */
export const PLAIN_ROUTER: Router = {
  name: "VI_1",
  vrid: 51,
  family: 4,
  version: 2,
  priority: 100,
  interval: seconds(1),
  preempt: true,
  preemptDelay: micros(0),
  startupDelay: micros(0),
  downTimerAdverts: 3,
  timerExpiredBackup: undefined,
  lowerPriorityNoAdvert: false,
  higherPrioritySendAdvert: false,
  ownerIgnoreAdverts: false,
  skipCheckAddresses: false,
  addresses: [ip("192.0.2.100")],
  authentication: NO_AUTHENTICATION,
  hmac: undefined,
  checksumAsV2: false,
  destination: { type: "multicast", group: ip("224.0.0.18") },
  announce: DEFAULT_ANNOUNCE,
  conduct: OUR_CONDUCT,
};

/** A packet as a router with these settings would send it. */
export function advertFrom(
  settings: Router,
  { from, priority, to }: { from: IpAddress; priority: number; to?: IpAddress },
): IncomingPacket {
  const { destination, authentication, version, vrid, interval, addresses } = settings;
  const target = to ?? (destination.type === "multicast" ? destination.group : RIG_SOURCE);
  const v2 = version === 2;
  const password = authentication.type === "pass" ? authentication.password : NOTHING;
  const advert = {
    vrid,
    priority,
    interval,
    addresses,
    authType: v2 ? AUTH_TYPES[authentication.type] : 0,
    authData: v2 ? padded(password) : NOTHING,
  };
  const bytes = encodeAdvert(advert, settings, { from, to: target });
  return { protocol: 112, from, to: target, ttl: 255, identification: undefined, bytes };
}

/** One router alone on virtual time, with its world written down: for tests that tell what follows from what. */
export class RouterRig {
  readonly clock: SimClock;
  readonly router: VirtualRouter;
  /** `1.500 s: advert 100`, in order; times since the rig was made. */
  readonly log: string[] = [];
  readonly reports: Report[] = [];
  readonly sent: OutgoingPacket[] = [];
  holds = false;
  /** Arrived and not yet read: `drain` hands them over. */
  unread: IncomingPacket[] = [];
  /** What the witness answers; undefined: nothing. */
  witness: boolean | undefined;

  constructor(
    settings: Partial<Router> = {},
    {
      clock = new SimClock(),
      group,
      circumstances = {},
    }: { clock?: SimClock; group?: SyncGroup; circumstances?: Partial<Circumstances> } = {},
  ) {
    this.clock = clock;
    const router = { ...PLAIN_ROUTER, ...settings };
    this.#circumstances = {
      priority: router.priority,
      source: RIG_SOURCE,
      faults: [],
      linkUp: true,
      ...circumstances,
    };
    this.router = new VirtualRouter(router, this.#ports(), this.#circumstances, { group });
  }

  #circumstances: Circumstances;

  get state(): string {
    const { state } = this.router;
    return state.name === "master" && state.leaving !== undefined ? "leaving" : state.name;
  }

  run(time: Micros): void {
    this.clock.run(time);
  }

  /** Another router's advert, with our settings but for what is given. */
  hear(
    priority: number,
    { from = RIG_PEER, ...change }: Partial<Router> & { from?: IpAddress } = {},
  ): void {
    this.router.receive(advertFrom({ ...this.router.router, ...change }, { from, priority }));
  }

  update(change: Partial<Circumstances>): void {
    this.#circumstances = { ...this.#circumstances, ...change };
    this.router.update(this.#circumstances);
  }

  /** What was written down since this was last asked for. */
  take(): string[] {
    return this.log.splice(0);
  }

  /** The moment of the first entry that begins so, in seconds. */
  whenFirst(text: string): number | undefined {
    const entry = this.log.find((line) => line.includes(`: ${text}`));
    return entry === undefined ? undefined : Number.parseFloat(entry);
  }

  #write(what: string): void {
    this.log.push(`${(this.clock.now() / 1e6).toFixed(3)} s: ${what}`);
  }

  #ports(): Ports {
    return {
      clock: this.clock,
      utc: () => micros(1_800_000_000_000_000 + this.clock.now()),
      send: (packet) => {
        this.sent.push(packet);
        this.#write(`advert ${packet.bytes[2]}`);
      },
      addresses: {
        add: () => {
          if (!this.holds) this.#write("addresses added");
          this.holds = true;
        },
        remove: () => {
          if (this.holds) this.#write("addresses removed");
          this.holds = false;
        },
        announce: (repeat) => this.#write(`announced ×${repeat}`),
        stopAnnouncing: () => undefined,
      },
      drain: (then) => {
        for (const packet of this.unread.splice(0)) this.router.receive(packet);
        then();
      },
      witness: (answer) => {
        const { witness } = this;
        if (witness !== undefined) answer(witness);
      },
      digests: SIM_DIGESTS,
      report: (report) => {
        this.reports.push(report);
        if (report.type === "state") this.#write(`${report.to} (${report.why})`);
        else if (report.type !== "master-changed" && report.type !== "refused") {
          this.#write(report.type);
        }
      },
    };
  }
}

export const RIG_SOURCE = ip("192.0.2.1");
/** Higher than ours. */
export const RIG_PEER = ip("192.0.2.2");
const NOTHING = new Uint8Array(0);
