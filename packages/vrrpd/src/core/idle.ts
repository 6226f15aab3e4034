import { unreachable } from "@ha/base";
import type { Event, Standing, Step } from "./machine.ts";
import type { Fault, Initialize, State } from "./state.ts";
import {
  becomeBackup,
  becomeFault,
  becomeInitialize,
  becomeMaster,
  setTimer,
  stay,
} from "./transition.ts";

/** Before the start, and while `vrrp_startup_delay` runs. RFC 9568 §6.4.1. */
export function stepInitialize(standing: Standing, state: Initialize, event: Event): Step {
  switch (event.type) {
    case "startup":
      if (event.resume && !standing.faulted) return becomeMaster(standing, state, "resumed");
      if (standing.router.startupDelay > 0) {
        return {
          state,
          actions: [
            { type: "remove-addresses" },
            setTimer("startup-delay", standing.router.startupDelay),
          ],
        };
      }
      return begin(standing, state);
    case "timer":
      return event.timer === "startup-delay" ? begin(standing, state) : stay(state);
    case "shutdown":
      return { state, actions: [{ type: "cancel-timers" }] };
    case "advert":
    case "refused":
    case "own-farewell":
    case "interval-changed":
    case "fault":
    case "recovered":
    case "effective-priority":
    case "switchover":
    case "switchover-back":
    case "woke":
    case "address-removed":
    case "address-conflict":
    case "witness":
    case "held":
    case "group":
      return stay(state);
    default:
      return unreachable(event);
  }
}

/** Until every reason is gone: silent, deaf, without addresses. observed: keepalived 2.2.7. */
export function stepFault(standing: Standing, state: Fault, event: Event): Step {
  switch (event.type) {
    case "recovered":
      return standing.startsAsOwner
        ? becomeMaster(standing, state, "owner")
        : becomeBackup(standing, state, "recovered");
    case "shutdown":
      return becomeInitialize(state);
    case "startup":
    case "timer":
    case "advert":
    case "refused":
    case "own-farewell":
    case "interval-changed":
    case "fault":
    case "effective-priority":
    case "switchover":
    case "switchover-back":
    case "woke":
    case "address-removed":
    case "address-conflict":
    case "witness":
    case "held":
    case "group":
      return stay(state);
    default:
      return unreachable(event);
  }
}

/**
 * `state MASTER` is no reason to start as master: only the owner does (observed: keepalived 2.4.3). Addresses that an
 * earlier run left behind go first.
 */
function begin(standing: Standing, state: State): Step {
  if (standing.faulted) return becomeFault(state);
  if (standing.startsAsOwner) return becomeMaster(standing, state, "owner");
  return becomeBackup(standing, state, "startup");
}
