import { type IpAddress, type Micros, micros, milliseconds, seconds } from "@ha/base";
import type { Action, Standing, Step } from "./machine.ts";
import type { Report, TransitionReason } from "./report.ts";
import { PRIORITY_OWNER, type Router } from "./router.ts";
import type { Backup, Leaving, Master, State, StateName, TimerName } from "./state.ts";

/** What several states have in common: times, claims, and the ways in and out of them. */

const NOTHING: readonly Action[] = [];

export function stay(state: State): Step {
  return { state, actions: NOTHING };
}

export function setTimer(timer: TimerName, after: Micros): Action {
  return { type: "set-timer", timer, after };
}

export function cancelTimer(timer: TimerName): Action {
  return { type: "cancel-timer", timer };
}

export function report(report: Report): Action {
  return { type: "report", report };
}

export function changed(from: StateName, to: StateName, why: TransitionReason): Action {
  return report({ type: "state", from, to, why });
}

/**
 * Skew_Time: the lower the priority, the later a backup takes over. Version 2 knows no interval in it: (256 −
 * priority) / 256 s (RFC 3768 §6.1); version 3 scales it with the master's interval (RFC 9568 §6.1).
 */
export function skewTime(router: Router, priority: number, masterInterval: Micros): Micros {
  const unit = router.version === 2 ? ONE_SECOND : masterInterval;
  return micros(Math.floor(((256 - priority) * unit) / 256));
}

/** Master_Down_Interval, with `down_timer_adverts` in the place of the RFC's 3. */
export function downTime(router: Router, priority: number, masterInterval: Micros): Micros {
  return micros(
    router.downTimerAdverts * masterInterval + skewTime(router, priority, masterInterval),
  );
}

/** One interval in which a living master must speak, and the skew: how long a router listens after a pause. */
export function listenTime(router: Router, priority: number, masterInterval: Micros): Micros {
  return micros(masterInterval + skewTime(router, priority, masterInterval));
}

/** How late a timer may be before the router must assume that it was deaf meanwhile. */
export function pauseLimit(router: Router, priority: number): Micros {
  return router.timerExpiredBackup === undefined
    ? downTime(router, priority, router.interval)
    : micros(router.timerExpiredBackup * router.interval);
}

/** The longest skew that any peer can have (priority 1), since backups are silent and their priority unknown. */
export function longestSkew(router: Router): Micros {
  return skewTime(router, 1, router.interval);
}

/** How long a leaving master waits for somebody to take over: observed of keepalived 2.2.7, it takes skew + 1 ms. */
export function leaveTime(router: Router): Micros {
  return micros(Math.min(longestSkew(router) + LEAVE_MARGIN, LEAVE_LIMIT));
}

/** Effective priority while deciding: an owner that heard a higher owner counts as 254. */
export function claimOf(standing: Standing, yieldsOwner: boolean): number {
  return yieldsOwner && standing.priority === PRIORITY_OWNER
    ? PRIORITY_OWNER - 1
    : standing.priority;
}

/** Down timer, first advert, addresses, announcements: in keepalived's order. RFC 9568 §6.4.1, §6.4.2. */
export function becomeMaster(standing: Standing, from: State, why: TransitionReason): Step {
  const { router } = standing;
  const { announce } = router;
  const actions: Action[] = [
    { type: "cancel-timers" },
    { type: "add-addresses" },
    { type: "send-advert", priority: standing.priority, kind: "extra" },
    setTimer("advert", router.interval),
    { type: "announce", repeat: announce.repeat },
  ];
  if (announce.delay > 0) actions.push(setTimer("announce-again", announce.delay));
  if (announce.refresh > 0) {
    actions.push(setTimer("announce-refresh", micros(announce.delay + announce.refresh)));
  }
  actions.push(changed(from.name, "master", why));
  return { state: NEW_MASTER, actions };
}

/** Silent and without addresses, waiting for `wait` to pass without a word of the master. RFC 9568 §6.4.1. */
export function becomeBackup(
  standing: Standing,
  from: State,
  why: TransitionReason,
  { wait, ...known }: Partial<Backup> & { readonly wait?: Micros } = {},
): Step {
  const { router } = standing;
  const state: Backup = { ...newBackup(router), ...known };
  const claim = claimOf(standing, state.yieldsOwner);
  return {
    state,
    actions: [
      { type: "stop-announcing" },
      { type: "cancel-timers" },
      { type: "remove-addresses" },
      setTimer("master-down", wait ?? downTime(router, claim, state.masterInterval)),
      changed(from.name, "backup", why),
    ],
  };
}

export function becomeFault(from: State, first: readonly Action[] = NOTHING): Step {
  return {
    state: { name: "fault" },
    actions: [
      ...first,
      { type: "stop-announcing" },
      { type: "cancel-timers" },
      { type: "remove-addresses" },
      changed(from.name, "fault", "fault"),
    ],
  };
}

export function becomeInitialize(from: State, first: readonly Action[] = NOTHING): Step {
  return {
    state: { name: "initialize" },
    actions: [
      ...first,
      { type: "stop-announcing" },
      { type: "cancel-timers" },
      { type: "remove-addresses" },
      changed(from.name, "initialize", "shutdown"),
    ],
  };
}

/** Whom a backup follows after it heard this master. */
export function following(
  router: Router,
  { from, priority, interval }: { from: IpAddress; priority: number; interval: Micros },
): Partial<Backup> {
  return {
    master: from,
    masterPriority: priority,
    masterInterval: router.version === 3 ? interval : router.interval,
  };
}

export function followingWinner(router: Router, leaving: Leaving): Partial<Backup> {
  return leaving.winner === undefined
    ? {}
    : following(router, {
        from: leaving.winner,
        priority: leaving.winnerPriority,
        interval: leaving.winnerInterval,
      });
}

function newBackup(router: Router): Backup {
  return {
    name: "backup",
    masterInterval: router.interval,
    master: undefined,
    masterPriority: 0,
    preemption: "none",
    yields: false,
    hurried: false,
    listening: false,
    asking: false,
    yieldsOwner: false,
  };
}

const NEW_MASTER: Master = {
  name: "master",
  leaving: undefined,
  healStep: -1,
  restored: 0,
  restorePending: false,
  split: "none",
  resigned: false,
};

const ONE_SECOND = seconds(1);
const LEAVE_MARGIN = milliseconds(300);
const LEAVE_LIMIT = seconds(5);
