import { formatAddress, type IpAddress, type Micros, toSeconds } from "@ha/base";
import type { RefusalReason } from "../core/statistics.ts";
import { downTime } from "../core/transition.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";

/** `vrrpctl check-peers --json`. */
export interface InstanceCheck {
  readonly instance: string;
  /** What both sides must have alike: `vrid 51, IPv4, version 2, interval 1 s, …`. */
  readonly settings: string;
  readonly peers: readonly PeerCheck[];
  /** About no peer in particular. */
  readonly findings: readonly Finding[];
}

export interface PeerCheck {
  readonly address: string;
  /** Whether its host answered ARP or neighbour discovery just now; undefined: it is on no network of ours. */
  readonly lives: boolean | undefined;
  readonly findings: readonly Finding[];
}

export interface Finding {
  readonly good: boolean;
  readonly text: string;
}

/** Asks whether a host on this device's network lives; undefined: it cannot be asked there. */
export type AskHost = (address: IpAddress, device: string) => Promise<boolean | undefined>;

/**
 * Whether each peer can be heard and agrees with us. What can be known: a master tells everything with each advert; a
 * backup is silent by protocol, so that of its host only life can be seen, and of its VRRP nothing.
 */
export async function checkPeers(
  instance: InstanceRuntime,
  now: Micros,
  ask: AskHost,
): Promise<InstanceCheck> {
  const { config, router, name } = instance;
  const { statistics } = router;
  const known = new Map<string, IpAddress>();
  for (const { address } of config.unicast_peer) known.set(formatAddress(address), address);
  for (const { address, lastHeard, refused } of statistics.peers()) {
    // An echo of ourselves is no peer.
    if (lastHeard === undefined && [...refused.keys()].every((why) => why === "own-echo")) continue;
    known.set(formatAddress(address), address);
  }
  const device = instance.config.interface;
  const peers = await Promise.all(
    [...known].slice(0, ASKED).map(async ([text, address]): Promise<PeerCheck> => {
      const lives = device === undefined ? undefined : await ask(address, device);
      return { address: text, lives, findings: findingsOf(instance, address, lives, now) };
    }),
  );
  return {
    instance: name,
    settings: settingsOf(instance),
    peers,
    findings: ownFindings(instance, peers),
  };
}

function findingsOf(
  instance: InstanceRuntime,
  address: IpAddress,
  lives: boolean | undefined,
  now: Micros,
): Finding[] {
  const { router } = instance;
  const text = formatAddress(address);
  const peer = [...router.statistics.peers()].find((it) => formatAddress(it.address) === text);
  const wait = downTime(router.router, instance.effectivePriority, router.router.interval);
  const findings: Finding[] = [];
  const heard = peer?.lastHeard;
  const speaks = heard !== undefined && now - heard <= wait;
  if (speaks && peer?.lastPriority === 0) {
    findings.push({ good: true, text: "has just left with priority 0" });
  } else if (speaks) {
    findings.push({
      good: true,
      text: `is heard, with priority ${peer?.lastPriority}: version, vrid, interval and authentication agree`,
    });
  }
  for (const [reason, count] of peer?.refused ?? []) {
    // A mistake that was put right leaves its count behind.
    const text = `of its packets were refused${speaks ? " at some time" : ""}: ${adviceOn(reason)}`;
    findings.push({ good: speaks, text: `${count} ${text}` });
  }
  if (!speaks && (peer?.refused.size ?? 0) === 0) {
    findings.push(silence(instance, lives, heard === undefined ? undefined : now - heard));
  }
  return findings;
}

function silence(
  { router }: InstanceRuntime,
  lives: boolean | undefined,
  age: number | undefined,
): Finding {
  const last =
    age === undefined ? "was never heard" : `was last heard ${Math.round(age / 1e6)} s ago`;
  const state =
    router.state.name === "master" ? "a backup is silent by protocol" : "we are no master";
  if (lives === false)
    return { good: false, text: `${last}, and its host does not answer ARP: it is away` };
  const host =
    lives === undefined
      ? "its host is on no network of ours and cannot be asked"
      : "its host lives";
  if (router.state.name === "master") {
    return {
      good: true,
      text: `${last} (${state}); ${host}; whether VRRP runs there cannot be seen`,
    };
  }
  return { good: true, text: `${last}; ${host}` };
}

function ownFindings({ router, config }: InstanceRuntime, peers: readonly PeerCheck[]): Finding[] {
  const findings: Finding[] = [];
  if (router.statistics.get("addresses-differ") > 0) {
    findings.push({
      good: false,
      text: "an advert listed other addresses than ours: the virtual_ipaddress blocks differ",
    });
  }
  if (router.state.name === "backup" && router.state.masterInterval !== router.router.interval) {
    const seconds = toSeconds(router.state.masterInterval);
    findings.push({
      good: false,
      text: `the master's advert_int is ${seconds} s, ours is not: adopted`,
    });
  }
  if (peers.length === 0) {
    findings.push({
      good: true,
      text: config.unicast
        ? "no unicast_peer"
        : `nobody was ever heard, and multicast names no peers${router.state.name === "master" ? ": a backup is silent by protocol" : ""}`,
    });
  }
  return findings;
}

function settingsOf({ router: { router } }: InstanceRuntime): string {
  const { vrid, family, version, interval, authentication, hmac, addresses, destination } = router;
  const how =
    destination.type === "unicast" ? "unicast" : `multicast to ${formatAddress(destination.group)}`;
  const secret = hmac === undefined ? AUTHENTICATION[authentication.type] : "auth_hmac";
  return (
    `vrid ${vrid}, IPv${family}, version ${version}, advert_int ${toSeconds(interval)} s, ${secret}, ${how}, ` +
    `addresses ${addresses.map(formatAddress).join(" ")}`
  );
}

const AUTHENTICATION = {
  none: "no authentication",
  pass: "auth_type PASS",
  ah: "auth_type AH",
} as const;

/** What to look at. Reasons without a word here are the sender's mistakes, or noise. */
function adviceOn(reason: RefusalReason): string {
  const advice = ADVICE[reason];
  return advice === undefined ? reason : `${reason} (${advice})`;
}

const ADVICE: Partial<Record<RefusalReason, string>> = {
  "bad-version": "it speaks another version: compare vrrp_version and version",
  "interval-mismatch": "compare advert_int",
  "bad-interval": "compare advert_int",
  "auth-type-mismatch": "compare auth_type",
  "auth-failure": "compare auth_pass",
  "ah-mismatch": "compare auth_pass",
  "hmac-missing": "it sends no trailer: compare auth_hmac",
  "hmac-unknown-key": "compare the keys of auth_hmac",
  "hmac-mismatch": "compare the keys of auth_hmac",
  "hmac-clock": "its clock is not ours: look at NTP on both",
  "addresses-refused": "compare virtual_ipaddress",
  "bad-checksum": "compare vrrp_version, and v3_checksum_as_v2",
  "bad-ttl": "it came over a router, or ttl limits differ",
  "not-a-peer": "it is no unicast_peer of ours",
};

/** Hosts asked at a time. */
const ASKED = 16;
