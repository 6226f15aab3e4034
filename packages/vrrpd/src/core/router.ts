import { type Family, type IpAddress, type Micros, milliseconds, seconds } from "@ha/base";

/**
 * The settings of one virtual router, free of files and sockets. The daemon builds them from the configuration and may
 * replace them at any time (`VirtualRouter.reconfigure`): state and running timers stay.
 *
 * `strict_mode` has no field here: what it forbids and forces is settled when the configuration is checked.
 */
export interface Router {
  /** The `vrrp_instance` name: for reports only. */
  readonly name: string;
  /** 1–255. */
  readonly vrid: number;
  readonly family: Family;
  /** IPv6 is always version 3. */
  readonly version: 2 | 3;
  /** Base priority, 1–255; 255 owns the addresses and is never changed by trackers. Default 100. */
  readonly priority: number;
  /** `advert_int`: whole seconds in version 2, 10 ms–40.95 s in steps of 10 ms in version 3. Default 1 s. */
  readonly interval: Micros;
  /** False for `nopreempt`. Default true. */
  readonly preempt: boolean;
  /** Counts from the first lower-priority advert heard as backup. 0–1000 s, default 0. */
  readonly preemptDelay: Micros;
  /** `vrrp_startup_delay`: adverts are not listened to, and no state is taken, until then. Default 0. */
  readonly startupDelay: Micros;
  /** Adverts that must be missed before the master counts as dead. 1–100, default 3. */
  readonly downTimerAdverts: number;
  /**
   * `timer_expired_backup`: woken later than this many adverts, a master steps back. Default undefined, where the
   * limit is the router's own down timer (see `Conduct.listenAfterPause`).
   */
  readonly timerExpiredBackup: number | undefined;
  /** A master does not answer lower-priority adverts. Default false. */
  readonly lowerPriorityNoAdvert: boolean;
  /** A master sends one more advert before it yields to a higher one, so that the winner repeats its announcement. */
  readonly higherPrioritySendAdvert: boolean;
  /** An owner (priority 255) drops all adverts. Default false. */
  readonly ownerIgnoreAdverts: boolean;
  /** Do not compare the address list again while the same master advertises. Default false. */
  readonly skipCheckAddresses: boolean;
  /** What the adverts list, in order. Not the excluded addresses. */
  readonly addresses: readonly IpAddress[];
  readonly authentication: AdvertAuthentication;
  /** keepalived 2.4's trailer; undefined: none. Never together with `authentication`. */
  readonly hmac: HmacSettings | undefined;
  /** IPv4 version 3 checksums without pseudo header (RFC 9568 §5.2.8). Default false, as keepalived (RFC 5798). */
  readonly checksumAsV2: boolean;
  readonly destination: Destination;
  readonly announce: AnnounceSchedule;
  readonly conduct: Conduct;
}

export type AdvertAuthentication =
  | { readonly type: "none" }
  /** Eight bytes in clear, shorter ones padded with zeros. RFC 2338 §5.3.6. */
  | { readonly type: "pass"; readonly password: Uint8Array }
  /** HMAC-MD5-96 in an IPsec header before the advert, version 2 on IPv4 only. RFC 2338 §5.3.6.3, RFC 2403. */
  | { readonly type: "ah"; readonly key: Uint8Array };

export const NO_AUTHENTICATION: AdvertAuthentication = { type: "none" };

/** `auth_hmac { … }` of keepalived 2.4. */
export interface HmacSettings {
  /** By key id, 1–255. Adverts under any of them are accepted. */
  readonly keys: ReadonlyMap<number, Uint8Array>;
  readonly activeKey: number;
  /** `time` also demands clocks within `timeWindow` of each other. Default time. */
  readonly antiReplay: "time" | "monotonic";
  /** 1–300 s. Default the larger of three intervals and 5 s. */
  readonly timeWindow: Micros;
  /** `enforce` drops adverts without a trailer, `permissive` accepts them, `receive-only` also sends none. */
  readonly mode: "enforce" | "permissive" | "receive-only";
}

export type Destination =
  | {
      readonly type: "multicast";
      /** Default 224.0.0.18 and ff02::12. */
      readonly group: IpAddress;
    }
  | {
      readonly type: "unicast";
      readonly peers: readonly Peer[];
      /** Drop what comes from elsewhere. On when any peer has a TTL limit. Default false. */
      readonly checkSource: boolean;
      /** `unicast_ttl`, 0–255. Default 255. */
      readonly ttl: number;
      /**
       * Version 3 on IPv4 once summed with the multicast group as destination: `fall-back` sends that to a peer that
       * was heard to, `always` without waiting, `never` not at all and refuses it. Default fall-back.
       */
      readonly oldChecksum: "fall-back" | "always" | "never";
    };

export interface Peer {
  readonly address: IpAddress;
  /** 0–255. Undefined: not checked. */
  readonly minTtl?: number;
  readonly maxTtl?: number;
}

/** When gratuitous ARP and unsolicited neighbour advertisements go out. keepalived.conf(5), vrrp_instance. */
export interface AnnounceSchedule {
  /** `garp_master_delay`: a second batch so long after becoming master; 0: none. Default 5 s. */
  readonly delay: Micros;
  /** Announcements of each address in a batch. At least 1, default 5. */
  readonly repeat: number;
  /** While master, again so often; 0: never. Default 0. */
  readonly refresh: Micros;
  readonly refreshRepeat: number;
  /** After hearing a lower-priority master: at once, and again after this; 0: not again. Default as `delay`. */
  readonly lowerPriorityDelay: Micros;
  /** 0: none. Default as `repeat`. */
  readonly lowerPriorityRepeat: number;
}

/**
 * Where we differ from keepalived by default, each with its switch; all false is keepalived's conduct. What the
 * figures are is in the README's table of differences.
 */
export interface Conduct {
  /** A leaving master keeps its addresses until the winner is heard. Off: let go at once. */
  readonly leave: boolean;
  /** A master whose priority falls says priority 0 and then the new one, so that a better peer takes over within its skew. */
  readonly resign: boolean;
  /** A master that wakes later than its down timer listens as backup before it speaks. */
  readonly listenAfterPause: boolean;
  /** The winner of a healed split announces again after 50 ms, 200 ms and 1 s. */
  readonly healAnnounce: boolean;
  /** An address that someone else removed is put back at once. Off: priority 0, all let go, backup. */
  readonly restoreAddresses: boolean;
  /** Priority 0 heard for one member of a sync group hurries the others to their skew. */
  readonly hurryGroup: boolean;
  /** A living master answers at once when a farewell under its own address is heard: somebody played it again. */
  readonly replayAnswer: boolean;
  /** Adverts from our own address are no adverts. Off: obeyed on IPv6, as keepalived 2.2.7 does. */
  readonly ignoreReflected: boolean;
  /** Adverts with other addresses than ours are accepted and told once. Off: refused, as keepalived 2.2.7 does. */
  readonly acceptDifferingAddresses: boolean;
  /** Another master is told of as a split brain. */
  readonly detectSplitBrain: boolean;
  /** No takeover while the witness (such as the gateway) cannot be reached. Needs `Ports.witness`. Default false. */
  readonly witness: boolean;
}

export const OUR_CONDUCT: Conduct = {
  leave: true,
  resign: true,
  listenAfterPause: true,
  healAnnounce: true,
  restoreAddresses: true,
  hurryGroup: true,
  replayAnswer: true,
  ignoreReflected: true,
  acceptDifferingAddresses: true,
  detectSplitBrain: true,
  witness: false,
};

export const KEEPALIVED_CONDUCT: Conduct = {
  leave: false,
  resign: false,
  listenAfterPause: false,
  healAnnounce: false,
  restoreAddresses: false,
  hurryGroup: false,
  replayAnswer: false,
  ignoreReflected: false,
  acceptDifferingAddresses: false,
  detectSplitBrain: false,
  witness: false,
};

export const DEFAULT_ANNOUNCE: AnnounceSchedule = {
  delay: seconds(5),
  repeat: 5,
  refresh: milliseconds(0),
  refreshRepeat: 1,
  lowerPriorityDelay: seconds(5),
  lowerPriorityRepeat: 5,
};

/** "I am leaving." RFC 9568 §5.2.4. */
export const PRIORITY_LEAVING = 0;
/** The owner of the addresses. RFC 9568 §5.2.4. */
export const PRIORITY_OWNER = 255;

/** IP protocol numbers: VRRP, and the IPsec header in front of it. */
export const PROTOCOL_VRRP = 112;
export const PROTOCOL_AH = 51;
