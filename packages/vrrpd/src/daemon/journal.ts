import { formatAddress, type IpAddress, type Micros } from "@ha/base";
import type { StateName } from "../core/state.ts";
import type { PeerStatistics, RefusalReason } from "../core/statistics.ts";
import { STATE_WORD } from "./status.ts";

export type JournalKind =
  | "start"
  | "state"
  | "advert"
  | "refused"
  | "timer"
  | "link"
  | "netlink"
  | "tracker"
  | "proxy"
  | "priority"
  | "fault"
  | "address"
  | "reload"
  | "control";

/** One input, or many alike. */
export interface JournalEntry {
  /** Milliseconds of wall-clock time. */
  readonly at: number;
  /** Of the last one alike, and how many. */
  until: number;
  count: number;
  readonly kind: JournalKind;
  /** Undefined: it concerns all. */
  readonly instance?: string;
  readonly text: string;
  /** Of kind `priority`. */
  readonly change?: PriorityChange;
}

export interface PriorityChange {
  readonly from: number;
  readonly to: number;
}

/** A change of state, with what decided it as it was known at that moment. */
export interface Transition {
  readonly at: number;
  readonly instance: string;
  readonly from: StateName;
  readonly to: StateName;
  /** The core's word for it. */
  readonly why: string;
  /** The decisive event, in words. */
  readonly because: string;
}

/**
 * What came in, bounded: adverts that say the same are one entry, refused packets one for each reason, and
 * transitions are kept apart, so that no flood pushes them out.
 */
export class Journal {
  readonly #entries: JournalEntry[] = [];
  readonly #transitions: Transition[] = [];
  readonly #now: () => number;
  /** The entry that counts a sender's adverts while they say the same. */
  readonly #heard = new WeakMap<PeerStatistics, Heard>();
  /** By instance and kind. */
  readonly #repeated = new Map<string, JournalEntry>();
  /** By instance and reason, since its last transition. */
  readonly #refused = new Map<string, Map<RefusalReason, JournalEntry>>();

  /** @param now Milliseconds of wall-clock time. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Oldest first. */
  get entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  /** Oldest first. */
  get transitions(): readonly Transition[] {
    return this.#transitions;
  }

  note(kind: JournalKind, text: string, instance?: string, change?: PriorityChange): JournalEntry {
    const at = this.#now();
    const entry: JournalEntry = {
      at,
      until: at,
      count: 1,
      kind,
      ...(instance === undefined ? {} : { instance }),
      text,
      ...(change === undefined ? {} : { change }),
    };
    this.#entries.push(entry);
    // In steps, since the front of an array is dear to cut.
    if (this.#entries.length > ENTRIES + SLACK) this.#entries.splice(0, SLACK);
    return entry;
  }

  /** As `note`, for what may come again and again: alike since the instance's last transition is one entry. */
  repeated(kind: JournalKind, text: string, instance: string): void {
    const key = `${instance} ${kind}`;
    const known = this.#repeated.get(key);
    if (known?.text === text) {
      known.until = this.#now();
      known.count++;
    } else this.#repeated.set(key, this.note(kind, text, instance));
  }

  /** Something was received; called for every packet, so it makes nothing when there is nothing new. */
  heard(instance: string, peer: PeerStatistics | undefined): void {
    if (peer === undefined) return;
    const { lastHeard, lastPriority } = peer;
    if (lastHeard === undefined || lastPriority === undefined) return;
    const known = this.#heard.get(peer);
    if (known !== undefined && known.lastHeard === lastHeard) return;
    if (known !== undefined && known.priority === lastPriority) {
      known.lastHeard = lastHeard;
      known.entry.until = this.#now();
      known.entry.count++;
      return;
    }
    const text =
      lastPriority === 0
        ? `${formatAddress(peer.address)} sent priority 0: it leaves`
        : `advert from ${formatAddress(peer.address)} with priority ${lastPriority}`;
    const entry = this.note("advert", text, instance);
    const before = known?.priority;
    this.#heard.set(peer, { entry, lastHeard, priority: lastPriority, before });
  }

  /** The priority that a sender had before its present one, and since when it has that. */
  priorityBefore(
    peer: PeerStatistics,
  ): { readonly before: number | undefined; readonly since: number } | undefined {
    const heard = this.#heard.get(peer);
    return heard === undefined ? undefined : { before: heard.before, since: heard.entry.at };
  }

  /** Called for every packet of a flood: it makes nothing but for the first of its kind. */
  refused(instance: string, reason: RefusalReason, from: IpAddress): void {
    let kinds = this.#refused.get(instance);
    if (kinds === undefined) {
      kinds = new Map();
      this.#refused.set(instance, kinds);
    }
    const known = kinds.get(reason);
    if (known === undefined) {
      const text = `advert refused: ${reason}, the first from ${formatAddress(from)}`;
      kinds.set(reason, this.note("refused", text, instance));
      return;
    }
    known.until = this.#now();
    known.count++;
  }

  transition(change: Omit<Transition, "at">): void {
    const at = this.#now();
    const { instance, from, to, because } = change;
    this.note("state", `${STATE_WORD[from]} → ${STATE_WORD[to]}: ${because}`, instance);
    this.#transitions.push({ at, ...change });
    if (this.#transitions.length > TRANSITIONS + SLACK) this.#transitions.splice(0, SLACK);
    // What is refused counts anew from here.
    this.#refused.delete(instance);
    for (const kind of REPEATED) this.#repeated.delete(`${instance} ${kind}`);
  }

  /** The last entry of an instance (or of all) that fits, if it is not older than `within` milliseconds. */
  last(
    instance: string,
    within: number,
    fits: (entry: JournalEntry) => boolean,
  ): JournalEntry | undefined {
    const since = this.#now() - within;
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry === undefined || entry.at < since) return undefined;
      if ((entry.instance ?? instance) === instance && fits(entry)) return entry;
    }
    return undefined;
  }
}

const REPEATED: readonly JournalKind[] = ["advert", "timer", "netlink", "fault", "address"];

interface Heard {
  readonly entry: JournalEntry;
  lastHeard: Micros;
  readonly priority: number;
  readonly before: number | undefined;
}

/** A day of a check that flaps once a minute; about a megabyte. */
const ENTRIES = 4_096;
const TRANSITIONS = 512;
const SLACK = 64;
