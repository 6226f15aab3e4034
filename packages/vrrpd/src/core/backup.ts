import { sameAddress, unreachable } from "@ha/base";
import type { Action, Event, Standing, Step } from "./machine.ts";
import { PRIORITY_LEAVING, PRIORITY_OWNER } from "./router.ts";
import type { Backup } from "./state.ts";
import {
  becomeFault,
  becomeInitialize,
  becomeMaster,
  cancelTimer,
  claimOf,
  downTime,
  listenTime,
  report,
  setTimer,
  skewTime,
  stay,
} from "./transition.ts";

/** RFC 9568 §6.4.2. */
export function stepBackup(standing: Standing, state: Backup, event: Event): Step {
  const { router } = standing;
  switch (event.type) {
    case "advert":
      return hearAdvert(standing, state, event);
    case "timer":
      switch (event.timer) {
        case "master-down":
          return masterDown(standing, state);
        case "preempt-delay":
          // The down timer goes on; no further lower advert restarts it.
          return stay({ ...state, preemption: "due" });
        default:
          return stay(state);
      }
    case "witness":
      if (!state.asking) return stay(state);
      if (event.reachable) return takeOver(standing, state);
      return {
        state: { ...state, asking: false },
        actions: [
          setTimer("master-down", state.masterInterval),
          report({ type: "witness-unreachable" }),
        ],
      };
    case "held":
      return {
        state,
        actions: [
          setTimer("master-down", downTime(router, claim(standing, state), state.masterInterval)),
          report({ type: "held-by-group" }),
        ],
      };
    case "group":
      switch (event.to) {
        case "master":
          return becomeMaster(standing, state, "sync-group");
        case "hurry":
          return router.conduct.hurryGroup ? hurry(standing, state) : stay(state);
        case "backup":
        case "announce":
          return stay(state);
      }
      return stay(state);
    case "woke":
      return {
        state: { ...state, asking: false, listening: true },
        actions: [
          setTimer("master-down", listenTime(router, claim(standing, state), state.masterInterval)),
        ],
      };
    case "interval-changed": {
      // Version 2 knows the master's interval from the configuration alone; version 3 has heard it.
      if (router.version === 3 && state.master !== undefined) return stay(state);
      const masterInterval = router.interval;
      return {
        state: { ...state, masterInterval },
        actions: [
          setTimer("master-down", downTime(router, claim(standing, state), masterInterval)),
        ],
      };
    }
    case "fault":
      return standing.faulted ? becomeFault(state) : stay(state);
    case "shutdown":
      return becomeInitialize(state);
    case "switchover":
      // One that was made before a fault or a restart goes on.
      return stay(state.yields ? state : { ...state, yields: true });
    case "switchover-back":
      return stay(state.yields ? { ...state, yields: false } : state);
    case "startup":
    case "refused":
    case "own-farewell":
    case "recovered":
    case "effective-priority":
    case "address-removed":
    case "address-conflict":
      return stay(state);
    default:
      return unreachable(event);
  }
}

function hearAdvert(
  standing: Standing,
  state: Backup,
  advert: Event & { readonly type: "advert" },
): Step {
  const { router } = standing;
  if (router.ownerIgnoreAdverts && standing.priority === PRIORITY_OWNER) return stay(state);
  if (advert.priority === PRIORITY_LEAVING) {
    const { state: hurried, actions } = hurry(standing, state);
    return { state: hurried, actions: [...actions, HURRY_GROUP] };
  }

  const own = claim(standing, state);
  const higher = advert.priority >= own;
  const delayed =
    state.preemption === "delayed" || (state.preemption === "none" && router.preemptDelay > 0);
  // A switchover is kept until this master dies, whatever its priority.
  if (!higher && router.preempt && !state.yields && !delayed) return stay(state);

  const masterInterval = router.version === 3 ? advert.interval : router.interval;
  const actions: Action[] = [setTimer("master-down", downTime(router, own, masterInterval))];
  let preemption = state.preemption;
  if (higher) {
    if (preemption !== "none") actions.push(cancelTimer("preempt-delay"));
    preemption = "none";
  } else if (delayed && preemption === "none" && router.preempt) {
    actions.push(setTimer("preempt-delay", router.preemptDelay));
    preemption = "delayed";
  }

  const sameMaster = state.master !== undefined && sameAddress(state.master, advert.from);
  if (!sameMaster) {
    actions.push(
      report({ type: "master-changed", master: advert.from, priority: advert.priority }),
    );
  }
  if (masterInterval !== state.masterInterval && masterInterval !== router.interval) {
    actions.push(report({ type: "interval-adopted", from: advert.from, interval: masterInterval }));
  }
  // Nearly every advert: nothing new, and so no new object.
  if (
    sameMaster &&
    !state.hurried &&
    !state.listening &&
    !state.asking &&
    preemption === state.preemption &&
    masterInterval === state.masterInterval &&
    advert.priority === state.masterPriority
  ) {
    return { state, actions };
  }
  return {
    state: {
      ...state,
      master: advert.from,
      masterPriority: advert.priority,
      masterInterval,
      preemption,
      hurried: false,
      listening: false,
      asking: false,
    },
    actions,
  };
}

/** Priority 0 was heard, here or for another member of the group: only the skew is left. RFC 9568 §6.4.2. */
function hurry(standing: Standing, state: Backup): Step {
  if (state.listening) return stay(state);
  const skew = skewTime(standing.router, claim(standing, state), state.masterInterval);
  return {
    state: { ...state, hurried: true },
    actions: [setTimer("master-down", skew)],
  };
}

function masterDown(standing: Standing, state: Backup): Step {
  if (!standing.router.conduct.witness) return takeOver(standing, state);
  // The timer once more, in case that no answer ever comes.
  return {
    state: { ...state, asking: true },
    actions: [setTimer("master-down", state.masterInterval), { type: "ask-witness" }],
  };
}

function takeOver(standing: Standing, state: Backup): Step {
  return becomeMaster(standing, state, state.hurried ? "master-left" : "master-down");
}

function claim(standing: Standing, state: Backup): number {
  return claimOf(standing, state.yieldsOwner);
}

const HURRY_GROUP: Action = { type: "tell-group", order: "hurry" };
