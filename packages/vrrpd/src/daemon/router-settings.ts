import { micros } from "@ha/base";
import type { Globals, Instance } from "../core/config/model.ts";
import {
  type AdvertAuthentication,
  type Conduct,
  type Destination,
  type HmacSettings,
  NO_AUTHENTICATION,
  type Router,
} from "../core/router.ts";

/**
 * What the protocol core needs to know of one `vrrp_instance`. Pure.
 *
 * @param upSeconds How long the host is up, for `vrrp_delay_after_boot`.
 */
export function routerOf(instance: Instance, globals: Globals, upSeconds: number): Router {
  return {
    name: instance.name,
    vrid: instance.virtual_router_id,
    family: instance.family,
    version: instance.version,
    priority: instance.priority,
    interval: instance.advert_int,
    preempt: instance.preempt,
    preemptDelay: instance.preempt_delay,
    startupDelay: micros(
      Math.max(
        globals.vrrp_startup_delay,
        globals.vrrp_delay_after_boot - upSeconds * 1_000_000,
        0,
      ),
    ),
    downTimerAdverts: instance.down_timer_adverts,
    timerExpiredBackup: instance.timer_expired_backup,
    lowerPriorityNoAdvert: instance.lower_prio_no_advert,
    higherPrioritySendAdvert: instance.higher_prio_send_advert,
    ownerIgnoreAdverts: instance.owner_ignore_adverts,
    skipCheckAddresses: instance.skip_check_adv_addr,
    addresses: instance.virtual_ipaddress.map(({ address }) => address),
    authentication: authenticationOf(instance),
    hmac: hmacOf(instance),
    checksumAsV2: instance.v3_checksum_as_v2,
    destination: destinationOf(instance, globals),
    announce: {
      delay: instance.garp_master_delay,
      repeat: instance.garp_master_repeat,
      refresh: instance.garp_master_refresh,
      refreshRepeat: instance.garp_master_refresh_repeat,
      lowerPriorityDelay: instance.garp_lower_prio_delay,
      lowerPriorityRepeat: instance.garp_lower_prio_repeat,
    },
    conduct: conductOf(instance, globals),
  };
}

function authenticationOf({ authentication }: Instance): AdvertAuthentication {
  if (authentication === undefined) return NO_AUTHENTICATION;
  const { type, password } = authentication;
  return type === "PASS" ? { type: "pass", password } : { type: "ah", key: password };
}

function hmacOf({ auth_hmac: hmac }: Instance): HmacSettings | undefined {
  if (hmac === undefined) return undefined;
  return {
    keys: new Map(hmac.keys.map(({ id, key }) => [id, key])),
    activeKey: hmac.active_key,
    antiReplay: hmac.anti_replay,
    timeWindow: hmac.time_window,
    mode: hmac.mode,
  };
}

function destinationOf(instance: Instance, globals: Globals): Destination {
  if (!instance.unicast) {
    const { vrrp_mcast_group4, vrrp_mcast_group6 } = globals;
    const group = instance.family === 4 ? vrrp_mcast_group4 : vrrp_mcast_group6;
    return { type: "multicast", group: instance.mcast_dst_ip ?? group };
  }
  const peers = instance.unicast_peer.map(({ address, min_ttl, max_ttl }) => ({
    address,
    ...(min_ttl === undefined ? {} : { minTtl: min_ttl }),
    ...(max_ttl === undefined ? {} : { maxTtl: max_ttl }),
  }));
  const oldChecksum = { auto: "fall-back", always: "always", never: "never" } as const;
  return {
    type: "unicast",
    peers,
    checkSource: instance.check_unicast_src,
    ttl: instance.unicast_ttl,
    oldChecksum: oldChecksum[instance.old_unicast_checksum],
  };
}

function conductOf(instance: Instance, globals: Globals): Conduct {
  return {
    leave: globals.vrrp_leave_make_before_break,
    resign: globals.vrrp_resign_priority_zero,
    listenAfterPause: globals.vrrp_listen_after_wake,
    healAnnounce: globals.vrrp_heal_announce,
    restoreAddresses: globals.vrrp_restore_addresses,
    hurryGroup: globals.vrrp_sync_group_resign,
    replayAnswer: globals.vrrp_replay_answer,
    ignoreReflected: globals.vrrp_ignore_reflected,
    acceptDifferingAddresses: globals.vrrp_accept_differing_addresses,
    detectSplitBrain: globals.vrrp_detect_split_brain,
    witness: instance.witness.length > 0,
  };
}
