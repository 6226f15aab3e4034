import { ip, type Micros, micros, milliseconds, type Random, seconds } from "@ha/base";
import { encodeAdvert } from "../advert.ts";
import type { step } from "../machine.ts";
import type { IncomingPacket } from "../ports.ts";
import {
  DEFAULT_ANNOUNCE,
  KEEPALIVED_CONDUCT,
  OUR_CONDUCT,
  PRIORITY_LEAVING,
  type Router,
} from "../router.ts";
import { skewTime } from "../transition.ts";
import type { SimHost } from "./sim-host.ts";
import { CALM, SimLan } from "./sim-lan.ts";

export interface ScenarioOptions {
  readonly seed: number;
  readonly duration: Micros;
  readonly keepTrace?: boolean;
  /** A bug planted on purpose, into the hosts that are ours. */
  readonly machine?: typeof step;
}

export interface ScenarioResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly traceHash: string;
  readonly faults: number;
  readonly packets: number;
  /** How often each property was judged. */
  readonly judged: ReadonlyMap<number, number>;
  readonly trace: readonly string[] | undefined;
}

/** One run: hosts, settings, weather and faults all follow from the seed. */
export function runScenario({
  seed,
  duration,
  keepTrace = false,
  machine,
}: ScenarioOptions): ScenarioResult {
  const lan = new SimLan({ seed, keepTrace });
  const { random } = lan;
  addHosts(lan, machine);
  for (const host of lan.hosts)
    lan.clock.after(micros(random.between(0, 3_000_000)), () => start(lan, host));

  let faults = 0;
  // Ten milliseconds make a hundred times the adverts: an hour of them would cost as much as all the rest.
  const fast = lan.hosts.some(({ seats }) =>
    seats.some(({ settings }) => settings.interval < milliseconds(50)),
  );
  const length = fast ? micros(duration / 12) : duration;
  const end = length - seconds(120);
  const next = () => {
    const pause = seconds(random.next() < 0.3 ? random.between(1, 8) : random.between(15, 120));
    lan.clock.after(pause, () => {
      if (lan.clock.now() > end) return;
      faults++;
      pick(random, FAULTS)(lan);
      next();
    });
  };
  next();
  lan.run(length);
  shutDown(lan);
  const { violations, traceHash, packets, trace, checks } = lan;
  return { seed, violations, traceHash, faults, packets, judged: checks.judged, trace };
}

/** Everything ends in order, and nothing is left. */
function shutDown(lan: SimLan): void {
  lan.weather = CALM;
  lan.heal();
  lan.run(seconds(30));
  for (const host of lan.hosts) {
    lan.disturb("end");
    host.stop();
  }
  lan.run(seconds(200));
  // What was killed and never started again holds what it held; an orderly stop cannot see to that.
  for (const host of lan.hosts) if (!host.alive && host.orphaned) host.powerOff();
  lan.checks.finish();
}

function addHosts(lan: SimLan, machine: typeof step | undefined): void {
  const { random } = lan;
  const count = random.between(3, 5);
  const group = random.next() < 0.15;
  const version = random.next() < 0.5 ? 2 : 3;
  const family = version === 3 && random.next() < 0.3 ? 6 : 4;
  const interval =
    version === 2
      ? seconds(1)
      : milliseconds(
          pick(random, [
            1000,
            1000,
            1000,
            1000,
            2000,
            2000,
            500,
            100,
            random.next() < 0.2 ? 10 : 1000,
          ]),
        );
  const unicast = random.next() < 0.25;
  const hmac = random.next() < 0.1;
  const ah = version === 2 && !hmac && random.next() < 0.1;
  const nopreempt = random.next() < 0.25;
  const preemptDelay =
    !nopreempt && random.next() < 0.15 ? seconds(random.between(1, 10)) : micros(0);
  const onlyOurs = hmac || random.next() < 0.5;
  const ties = random.next() < 0.2;
  // Where the gateway is: it answers for whoever hears the host that is plugged in beside it.
  lan.gateway = onlyOurs && !group && random.next() < 0.15 ? 0 : undefined;
  const expiredBackup = nopreempt && onlyOurs && random.next() < 0.3 ? 3 : undefined;
  const source = (network: number, index: number) =>
    ip(family === 4 ? `192.0.${2 + network}.${index + 1}` : `fe80::${network}:${index + 1}`);
  for (let index = 0; index < count; index++) {
    const kind = onlyOurs || random.next() < 0.6 ? "ours" : "keepalived";
    // At 10 ms a high priority has less skew than its words are under way.
    const highest = interval < milliseconds(50) ? 180 : 254;
    const owner = highest === 254 && random.next() < 0.05;
    const priority = ties ? 100 : owner ? 255 : random.between(1, highest);
    const settings: Router = {
      name: "VI_1",
      vrid: 51,
      family,
      version,
      priority,
      interval,
      preempt: !nopreempt || priority === 255,
      preemptDelay: priority === 255 ? micros(0) : preemptDelay,
      startupDelay: random.next() < 0.1 ? seconds(random.between(1, 5)) : micros(0),
      downTimerAdverts: 3,
      timerExpiredBackup: expiredBackup,
      lowerPriorityNoAdvert: kind === "ours" && onlyOurs && random.next() < 0.1,
      higherPrioritySendAdvert: random.next() < 0.1,
      ownerIgnoreAdverts: false,
      skipCheckAddresses: false,
      addresses: [ip(family === 4 ? "192.0.2.100" : "2001:db8::100")],
      authentication:
        version === 3 || hmac
          ? { type: "none" }
          : ah
            ? { type: "ah", key: new Uint8Array([5, 6, 7]) }
            : { type: "pass", password: new Uint8Array([1, 2, 3, 4]) },
      hmac: hmac
        ? {
            keys: new Map([[1, new Uint8Array(32).fill(7)]]),
            activeKey: 1,
            antiReplay: "monotonic",
            timeWindow: seconds(5),
            mode: "enforce",
          }
        : undefined,
      checksumAsV2: false,
      destination: { type: "multicast", group: ip(family === 4 ? "224.0.0.18" : "ff02::12") },
      announce: DEFAULT_ANNOUNCE,
      conduct:
        kind === "keepalived"
          ? { ...KEEPALIVED_CONDUCT, ignoreReflected: true, acceptDifferingAddresses: true }
          : { ...OUR_CONDUCT, witness: lan.gateway !== undefined },
    };
    const destination = (network: number): Router["destination"] =>
      unicast
        ? {
            type: "unicast",
            peers: Array.from({ length: count }, (_, peer) => peer)
              .filter((peer) => peer !== index)
              .map((peer) => ({ address: source(network, peer), minTtl: 255 })),
            checkSource: true,
            ttl: 255,
            oldChecksum: "never",
          }
        : settings.destination;
    const networks = group ? [0, 1] : [0];
    lan.add({
      index,
      kind,
      guard: kind === "ours" && random.next() < 0.8,
      routers: networks.map((network) => ({
        settings: {
          ...settings,
          name: `VI_${network}`,
          vrid: 51 + network,
          destination: destination(network),
        },
        source: source(network, index),
      })),
      ...(machine === undefined || kind !== "ours" ? {} : { machine }),
    });
  }
}

type FaultOf = (lan: SimLan) => void;

/** One entry a kind of fault; more entries, more often. */
const FAULTS: readonly FaultOf[] = [
  crash,
  crash,
  stopAndStart,
  stopAndStart,
  pauseProcess,
  freezeHost,
  powerCycle,
  linkFlap,
  linkFlap,
  scriptFault,
  scriptFault,
  scriptWeight,
  scriptWeight,
  partition,
  partition,
  oneWayCut,
  storm,
  reload,
  reloadTiming,
  reloadPriority,
  switchover,
  badPackets,
  badPackets,
  replayFarewell,
  removeAddress,
  addressConflict,
  clockJump,
];

function crash(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  if (host.options.kind === "keepalived") {
    stopAndStart(lan);
    return;
  }
  touch(lan, host, "crash");
  const wait =
    lan.random.next() < 0.6
      ? milliseconds(lan.random.between(50, 600))
      : seconds(lan.random.between(1, 12));
  host.crash(wait);
}

function stopAndStart(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  touch(lan, host, "stop");
  host.stop();
  lan.clock.after(seconds(lan.random.between(7, 30)), () => start(lan, host));
}

function powerCycle(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  touch(lan, host, "power off");
  host.powerOff();
  lan.clock.after(seconds(lan.random.between(5, 40)), () => start(lan, host));
}

function pauseProcess(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  touch(lan, host, "pause");
  host.pauseProcess(milliseconds(lan.random.between(50, 12_000)));
}

function freezeHost(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  touch(lan, host, "freeze");
  host.freeze(milliseconds(lan.random.between(200, 15_000)));
}

function linkFlap(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  const index = lan.random.between(0, host.seats.length - 1);
  touch(lan, host, "link down");
  lan.checks.networkDisturbed();
  host.setLink(index, false);
  lan.clock.after(milliseconds(lan.random.between(10, 20_000)), () => {
    touch(lan, host, "link up");
    lan.checks.networkDisturbed();
    host.setLink(index, true);
  });
}

function scriptFault(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  touch(lan, host, "script fails");
  host.setTrackerFault(true);
  lan.clock.after(milliseconds(lan.random.between(5, 20_000)), () => {
    touch(lan, host, "script recovers");
    host.setTrackerFault(false);
  });
}

function scriptWeight(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  touch(lan, host, "weight");
  host.setPriorityChange(lan.random.between(-60, 20));
  lan.clock.after(milliseconds(lan.random.between(5, 30_000)), () => {
    touch(lan, host, "weight back");
    host.setPriorityChange(0);
  });
}

function partition(lan: SimLan): void {
  const side = lan.hosts.map(() => lan.random.next() < 0.5);
  for (const a of lan.hosts) {
    for (const b of lan.hosts) {
      if (side[a.index] !== side[b.index]) lan.setCut(a, b, true);
    }
  }
  lan.checks.networkDisturbed();
  lan.clock.after(seconds(lan.random.between(1, 60)), () => heal(lan));
}

function oneWayCut(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  const deaf = lan.random.next() < 0.5;
  for (const other of lan.hosts) {
    if (other === host) continue;
    if (deaf) lan.setCut(other, host, true);
    else lan.setCut(host, other, true);
  }
  lan.checks.networkDisturbed();
  lan.clock.after(seconds(lan.random.between(5, 90)), () => heal(lan));
}

function heal(lan: SimLan): void {
  lan.heal();
  lan.checks.networkDisturbed();
}

function storm(lan: SimLan): void {
  const { random } = lan;
  lan.weather = {
    loss: random.next() * 0.4,
    duplication: random.next() * 0.3,
    minDelay: micros(50),
    maxDelay: milliseconds(random.between(1, 80)),
  };
  lan.checks.networkDisturbed();
  lan.clock.after(seconds(random.between(5, 60)), () => {
    lan.weather = CALM;
    lan.checks.networkDisturbed();
  });
}

/** A → B → A: what the second has changed the third undoes, and nobody has moved. */
function reload(lan: SimLan): void {
  const { random } = lan;
  const host = pick(random, lan.hosts);
  if (!host.running) return;
  const [seat] = host.seats;
  if (seat === undefined) return;
  const { announce, higherPrioritySendAdvert, addresses } = seat.settings;
  lan.disturb("reload");
  lan.checks.aroundReload(host, () =>
    host.reload({
      announce: { ...announce, refresh: seconds(7), repeat: 2 },
      higherPrioritySendAdvert: !higherPrioritySendAdvert,
      addresses: [...addresses, ip(seat.settings.family === 4 ? "192.0.2.101" : "2001:db8::101")],
    }),
  );
  lan.clock.after(seconds(random.between(1, 20)), () => {
    lan.disturb("reload back");
    lan.checks.aroundReload(host, () =>
      host.reload({ announce, higherPrioritySendAdvert, addresses }),
    );
  });
}

/** Another advertisement interval, first on one host and then on the others, and back again. */
function reloadTiming(lan: SimLan): void {
  const { random } = lan;
  const [first] = lan.hosts;
  const interval = first?.seats[0]?.settings.interval;
  if (
    interval === undefined ||
    interval < milliseconds(50) ||
    first?.seats[0]?.settings.version === 2
  )
    return;
  const factor = pick(random, [2, 3]);
  const all = (to: Micros, after: number) =>
    lan.hosts.forEach((host, i) => {
      lan.clock.after(milliseconds(after + i * random.between(10, 500)), () => {
        // What was timed by the old one is timed anew.
        lan.disturb("reload of the interval");
        for (const other of lan.hosts) lan.checks.hostDisturbed(other);
        host.reload({ interval: to });
      });
    });
  all(micros(interval * factor), 0);
  all(interval, random.between(20_000, 60_000));
}

/** Another priority for one host, and back again. */
function reloadPriority(lan: SimLan): void {
  const { random } = lan;
  const host = pick(random, lan.hosts);
  const before = host.seats[0]?.settings.priority ?? 100;
  if (before === 255) return;
  touch(lan, host, "reload of the priority");
  host.reload({ priority: random.between(1, 180) });
  lan.clock.after(seconds(random.between(5, 40)), () => {
    touch(lan, host, "reload of the priority back");
    host.reload({ priority: before });
  });
}

/** Somebody else answers for an address of the master: it is told of, and nothing follows. */
function addressConflict(lan: SimLan): void {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 99);
  for (const host of lan.hosts) {
    if (!host.running) continue;
    for (const { router, settings } of host.seats) {
      const [address] = settings.addresses;
      if (router?.state.name !== "master" || address === undefined) continue;
      router.handle({ type: "address-conflict", address, mac });
    }
  }
}

function switchover(lan: SimLan): void {
  const host = lan.hosts.find(({ options, seats }) => {
    return options.kind === "ours" && seats.every(({ router }) => router?.state.name === "master");
  });
  if (host === undefined) return;
  touch(lan, host, "switchover");
  host.switchover();
  lan.clock.after(seconds(lan.random.between(10, 40)), () => {
    touch(lan, host, "switchover back");
    host.switchoverBack();
  });
}

function removeAddress(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  touch(lan, host, "address removed");
  host.removeAddress();
}

function clockJump(lan: SimLan): void {
  const host = pick(lan.random, lan.hosts);
  // Forwards only where sequences hang on it: a clock set back cannot be told from a replay.
  const forwards = lan.random.between(0, 7200);
  const jump = host.seats[0]?.settings.hmac === undefined ? forwards - 3600 : forwards;
  host.utcOffset = micros(host.utcOffset + seconds(jump));
}

/** Twice a second for some seconds, of every kind, at everybody: nothing may follow from them. */
function badPackets(lan: SimLan): void {
  const { random } = lan;
  const mixed = lan.hosts.some(({ options }) => options.kind === "keepalived");
  const sender = pick(random, lan.hosts);
  for (let i = 0; i < random.between(4, 24); i++) {
    lan.clock.after(milliseconds(i * 500), () => {
      // It silences keepalived, whose fall is then no surprise.
      if (mixed) {
        lan.disturb("bad packet");
        for (const host of lan.hosts) lan.checks.hostDisturbed(host);
      }
      for (const host of lan.hosts) {
        for (const seat of host.seats) {
          const packet = badPacket(
            random,
            sender === host ? pick(random, lan.hosts) : sender,
            host,
            seat.index,
          );
          if (packet === undefined) continue;
          lan.checks.badPackets.add(packet);
          lan.inject(host, seat.index, packet);
        }
      }
    });
  }
}

function badPacket(
  random: Random,
  sender: SimHost,
  target: SimHost,
  index: number,
): IncomingPacket | undefined {
  const settings = sender.seats[index]?.settings;
  const seat = target.seats[index];
  const from = sender.seats[index]?.source;
  if (settings === undefined || seat === undefined || from === undefined || sender === target)
    return undefined;
  const good = genuine(settings, { priority: random.between(0, 255), from, to: seat.source });
  const kind = random.between(0, 5);
  switch (kind) {
    case 0: {
      const bytes = good.bytes.slice();
      const bit = random.between(0, bytes.length * 8 - 1);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return { ...good, bytes };
    }
    case 1:
      return { ...good, ttl: random.between(0, 254) };
    case 2:
      return { ...good, bytes: good.bytes.slice(0, random.between(0, good.bytes.length - 1)) };
    case 3:
      return {
        ...good,
        bytes: Uint8Array.from({ length: random.between(0, 60) }, () => random.between(0, 255)),
      };
    case 4:
      return genuine(
        { ...settings, vrid: settings.vrid + 10 },
        { priority: 255, from, to: seat.source },
      );
    default:
      if (settings.version === 3 || settings.authentication.type !== "pass")
        return { ...good, ttl: 1 };
      return genuine(
        { ...settings, authentication: { type: "pass", password: new Uint8Array([9]) } },
        { priority: 255, from, to: seat.source },
      );
  }
}

/** A genuine farewell of the master, played again by a stranger. */
function replayFarewell(lan: SimLan): void {
  const host = lan.hosts.find(({ seats }) =>
    seats.some(({ router }) => router?.state.name === "master"),
  );
  const [seat] = host?.seats ?? [];
  if (host === undefined || seat === undefined || seat.settings.hmac !== undefined) return;
  if (seat.settings.authentication.type === "ah") return;
  lan.checks.attackedAt = lan.clock.now();
  // Who has less skew than the answer is under way cannot wait for it.
  const hasty = lan.hosts.some(
    (other) => skewTime(seat.settings, other.priority, seat.settings.interval) < milliseconds(2),
  );
  if (hasty || host.options.kind === "keepalived" || !host.running) {
    lan.disturb("replay");
    lan.checks.hostDisturbed(host);
  }
  for (const to of lan.hosts) {
    const end = to.seats[0]?.source ?? seat.source;
    lan.inject(
      to,
      0,
      genuine(seat.settings, { priority: PRIORITY_LEAVING, from: seat.source, to: end }),
    );
  }
}

function genuine(
  settings: Router,
  {
    priority,
    from,
    to: end,
  }: { priority: number; from: IncomingPacket["from"]; to: IncomingPacket["from"] },
): IncomingPacket {
  const { destination, authentication } = settings;
  const to = destination.type === "multicast" ? destination.group : end;
  const authData = new Uint8Array(settings.version === 2 ? 8 : 0);
  if (settings.version === 2 && authentication.type === "pass")
    authData.set(authentication.password);
  const { vrid, interval, addresses } = settings;
  const authType = settings.version === 2 && authentication.type === "pass" ? 1 : 0;
  const bytes = encodeAdvert(
    { vrid, priority, interval, addresses, authType, authData },
    settings,
    { from, to },
  );
  return { protocol: 112, from, to, ttl: 255, identification: undefined, bytes };
}

function start(lan: SimLan, host: SimHost): void {
  lan.disturb("start");
  host.start();
}

function touch(lan: SimLan, host: SimHost, what: string): void {
  lan.disturb(what);
  lan.checks.hostDisturbed(host);
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.between(0, from.length - 1)] as T;
}
