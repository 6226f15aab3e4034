import type { Micros } from "@ha/base";
import type { PreparedAdvert, PreparedPacket } from "./beacon.ts";
import type { NetlinkRequest } from "./network-state.ts";
import type { SystemError } from "./system-error.ts";

/** What the guard must know to keep, or to give up, what one virtual router holds. */
export interface GuardedRouter {
  /** Chosen by the daemon, 0–65535, once among what is held. */
  readonly id: number;
  readonly interval: Micros;
  /** How long after `hold` (or `renew`) the next advert is due; one interval. */
  readonly nextAfter?: Micros;
  /** What to send while the daemon is away: one for each interval. The last one is repeated if `repeat`. */
  readonly adverts: readonly PreparedAdvert[];
  readonly repeat: boolean;
  /** The priority-0 advert, sent twice when leaving. Two entries where each must differ (HMAC). */
  readonly farewell: readonly PreparedAdvert[];
  /** Removal, in order: rules, routes, addresses, macvlans. */
  readonly removals: readonly NetlinkRequest[];
  /** Recognises the winner's advert; see `winnerFilter`. */
  readonly winners: readonly WinnerFilter[];
  /** From the farewell to removal when nobody is heard: the longest skew a peer can have + 300 ms, at most 5 s. */
  readonly leaveAfter: Micros;
  /** From the winner's first advert to removal; 10 ms. */
  readonly yieldAfter?: Micros;
  /** Silence allowed from the daemon's death until its successor has taken over: two intervals. */
  readonly graceAfter?: Micros;
  /** Handed to the successor as it is, at most 4,096 bytes: what it needs to resume as master. */
  readonly resume: Uint8Array;
}

/** A classic BPF program over packets from their IP header on, and where to listen. 0: every interface. */
export interface WinnerFilter {
  readonly ifindex: number;
  readonly family: 4 | 6;
  readonly program: Uint8Array;
}

export interface GuardOptions {
  /** How to start the daemon again: program and arguments. Empty: never, leave at once (`-R`). */
  readonly command: readonly string[];
  /** Environment of the new daemon, besides `VRRPD_GUARD_FD`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly folder?: string;
  /** A daemon that has not beaten for so long is killed: well within the peers' down timer. */
  readonly heartbeatTimeout: Micros;
  /** A second death within this much of a restart means leaving; 60 s. */
  readonly crashWindow?: Micros;
  /** mlockall for the guard, which is what `vrrp_no_swap` can mean for us. True. */
  readonly lockMemory?: boolean;
  /** SCHED_RR priority, 1–99; none. */
  readonly realtimePriority?: number;
  /** Pass TERM, INT, HUP, USR1, USR2 and the real-time signals on to the daemon, for a guard that is systemd's MAINPID. False. */
  readonly forwardSignals?: boolean;
  /** It died, and not by `close`: start another and give it everything again. */
  readonly onExit: (reason: string) => void;
}

/** What a started daemon finds with its guard. */
export interface HeldRouter {
  readonly id: number;
  readonly resume: Uint8Array;
  /** How many adverts the guard has sent in the daemon's place. */
  readonly sent: number;
  /** Leaving has begun: the farewell is out, the addresses are still there. */
  readonly leaving: boolean;
}

/** The small program that outlives us by as much as it takes. Every call also counts as a beat. */
export interface Guard {
  readonly pid: number;
  readonly closed: boolean;
  /** The descriptor that a beacon may beat on. */
  readonly fd: number;
  beat(): SystemError | undefined;
  /** From now on this is to be guarded; replaces an earlier entry of the same id as a whole. */
  hold(router: GuardedRouter): SystemError | undefined;
  /** Fresh adverts for an entry, as HMAC and AH need with each advert; cheap. */
  renew(
    id: number,
    change: Pick<GuardedRouter, "adverts" | "farewell" | "repeat" | "nextAfter">,
  ): SystemError | undefined;
  /** The daemon has given it up in order: nothing is to be done for it any more. */
  release(id: number): SystemError | undefined;
  /** All is released: the guard ends, and the daemon may. Resolves when it has ended. */
  close(): Promise<void>;
}

/** Re-exported so that one import says all that a guard takes. */
export type { PreparedAdvert, PreparedPacket };
