import { milliseconds, unreachable } from "@ha/base";
import type { Action, Event, Standing, Step } from "./machine.ts";
import { PRIORITY_LEAVING } from "./router.ts";
import type { LeaveCause, Leaving, Master } from "./state.ts";
import {
  becomeBackup,
  becomeFault,
  becomeInitialize,
  followingWinner,
  leaveTime,
  report,
  setTimer,
  stay,
} from "./transition.ts";

/**
 * Leaving before breaking: priority 0 twice and then no further advert, while the addresses stay until the winner is
 * heard. keepalived's announcements follow its first advert by 0.04–0.16 ms, so that we let go a few ms after it
 * (observed: keepalived 2.2.7).
 *
 *     master ── shutdown, fault, switchover ──► leaving ── advert ──► 10 ms ──► gone
 *                                                  └────── nobody ──► leaveTime ──► gone, or taken back
 */
export function beginLeaving(
  standing: Standing,
  state: Master,
  cause: LeaveCause,
  winner?: Event & { readonly type: "advert" },
): Step {
  const waitAtMost = winner === undefined ? leaveTime(standing.router) : LET_GO_AFTER;
  const leaving: Leaving = {
    cause,
    winner: winner?.from,
    winnerInterval: winner?.interval ?? standing.router.interval,
    winnerPriority: winner?.priority ?? 0,
    groupLeft: false,
  };
  const actions: Action[] = [{ type: "stop-announcing" }, { type: "cancel-timers" }];
  if (winner === undefined) actions.push(FAREWELL, FAREWELL);
  actions.push(setTimer("leave", waitAtMost), report({ type: "leaving", cause, waitAtMost }));
  if (winner !== undefined) {
    actions.push(report({ type: "winner-heard", winner: winner.from, after: LET_GO_AFTER }));
    actions.push(PULL_GROUP);
  }
  return { state: { ...state, leaving, healStep: -1, resigned: false, split: "none" }, actions };
}

export function stepLeaving(
  standing: Standing,
  state: Master,
  leaving: Leaving,
  event: Event,
): Step {
  switch (event.type) {
    case "advert":
      if (event.priority === PRIORITY_LEAVING || leaving.winner !== undefined) return stay(state);
      return {
        state: {
          ...state,
          leaving: {
            ...leaving,
            winner: event.from,
            winnerInterval: event.interval,
            winnerPriority: event.priority,
          },
        },
        actions: [
          setTimer("leave", LET_GO_AFTER),
          report({ type: "winner-heard", winner: event.from, after: LET_GO_AFTER }),
        ],
      };
    case "timer":
      if (event.timer !== "leave") return stay(state);
      if (leaving.winner === undefined && leaving.cause === "switchover" && !leaving.groupLeft) {
        return takeBack(standing, state, leaving);
      }
      return finish(standing, state, leaving);
    case "shutdown":
      return stay({ ...state, leaving: { ...leaving, cause: "shutdown" } });
    case "fault":
      if (!standing.canSend) return finish(standing, state, leaving);
      if (leaving.cause === "shutdown") return stay(state);
      return stay({ ...state, leaving: { ...leaving, cause: "fault" } });
    case "recovered":
      // What made us leave has passed, and nobody has taken over.
      if (leaving.cause === "fault" && leaving.winner === undefined && !leaving.groupLeft) {
        return takeBack(standing, state, leaving);
      }
      return stay(state);
    case "woke":
      return finish(standing, state, leaving);
    case "startup":
    case "refused":
    case "own-farewell":
    case "interval-changed":
    case "effective-priority":
    case "switchover":
    case "switchover-back":
    case "address-removed":
    case "address-conflict":
    case "witness":
    case "held":
      return stay(state);
    case "group":
      if (event.to !== "backup") return stay(state);
      return stay({ ...state, leaving: { ...leaving, groupLeft: true } });
    default:
      return unreachable(event);
  }
}

function finish(standing: Standing, state: Master, leaving: Leaving): Step {
  const { cause, winner } = leaving;
  const step = ended(standing, state, leaving);
  const actions = [...step.actions, report({ type: "left", cause, winner })];
  if (step.state.name === "backup" || winner !== undefined) actions.push(PULL_GROUP);
  return { state: step.state, actions };
}

function ended(standing: Standing, state: Master, leaving: Leaving): Step {
  if (leaving.cause === "shutdown") return becomeInitialize(state);
  if (standing.faulted) return becomeFault(state);
  const known = followingWinner(standing.router, leaving);
  switch (leaving.cause) {
    case "switchover":
      return becomeBackup(standing, state, "switchover", { ...known, yields: true });
    case "resign":
      return becomeBackup(standing, state, "higher-priority", known);
    case "fault":
      return becomeBackup(standing, state, "recovered", known);
    default:
      return unreachable(leaving.cause);
  }
}

function takeBack(standing: Standing, state: Master, { cause }: Leaving): Step {
  const { router } = standing;
  return {
    state: { ...state, leaving: undefined },
    actions: [
      { type: "send-advert", priority: standing.priority, kind: "extra" },
      { type: "cancel-timers" },
      setTimer("advert", router.interval),
      { type: "announce", repeat: router.announce.repeat },
      report({ type: "took-back", cause }),
    ],
  };
}

const FAREWELL: Action = { type: "send-advert", priority: PRIORITY_LEAVING, kind: "farewell" };
const PULL_GROUP: Action = { type: "tell-group", order: "backup" };
const LET_GO_AFTER = milliseconds(10);
