import { compareAddresses, micros, milliseconds, seconds, unreachable } from "@ha/base";
import { beginLeaving, stepLeaving } from "./leaving.ts";
import { RESTORE_LIMIT, RESTORE_WINDOW } from "./limits.ts";
import type { Action, Event, Standing, Step } from "./machine.ts";
import type { SplitEvidence } from "./report.ts";
import { PRIORITY_LEAVING, PRIORITY_OWNER } from "./router.ts";
import type { Master } from "./state.ts";
import { SPLIT_REFUSALS } from "./statistics.ts";
import {
  becomeBackup,
  becomeFault,
  becomeInitialize,
  cancelTimer,
  downTime,
  following,
  leaveTime,
  listenTime,
  report,
  setTimer,
  skewTime,
  stay,
} from "./transition.ts";

/** RFC 9568 §6.4.3. */
export function stepMaster(standing: Standing, state: Master, event: Event): Step {
  if (state.leaving !== undefined) return stepLeaving(standing, state, state.leaving, event);
  const { router } = standing;
  switch (event.type) {
    case "timer":
      return timer(standing, state, event);
    case "advert":
      return hearAdvert(standing, state, event);
    case "refused":
      if (!SPLIT_REFUSALS.has(event.reason)) return stay(state);
      return withSplit(standing, state, {
        type: "refused",
        from: event.from,
        reason: event.reason,
      });
    case "own-farewell":
      // Backups believe that we leave: they hear at once that we live.
      if (!router.conduct.replayAnswer) return stay(state);
      return { state, actions: [ownAdvert(standing)] };
    case "address-conflict":
      return withSplit(standing, state, {
        type: "address",
        address: event.address,
        mac: event.mac,
      });
    case "effective-priority":
      return priorityChanged(standing, state, event.to < event.from);
    case "interval-changed":
      // Peers that were reloaded first would not wait for the end of a longer one.
      return { state, actions: [ownAdvert(standing), setTimer("advert", router.interval)] };
    case "shutdown":
      if (router.conduct.leave && standing.canSend)
        return beginLeaving(standing, state, "shutdown");
      return becomeInitialize(state, farewell(standing));
    case "fault":
      if (!standing.faulted) return stay(state);
      if (router.conduct.leave && standing.canSend) return beginLeaving(standing, state, "fault");
      return becomeFault(state, farewell(standing));
    case "switchover":
      return beginLeaving(standing, state, "switchover");
    case "woke":
      return becomeBackup(standing, state, "pause", {
        wait: listenTime(router, standing.priority, router.interval),
        listening: true,
      });
    case "address-removed":
      return addressRemoved(standing, state, event);
    case "group":
      return groupOrder(standing, state, event);
    case "startup":
    case "recovered":
    case "switchover-back":
    case "witness":
    case "held":
      return stay(state);
    default:
      return unreachable(event);
  }
}

function timer(standing: Standing, state: Master, event: Event & { readonly type: "timer" }): Step {
  const { router } = standing;
  const { announce } = router;
  switch (event.timer) {
    case "advert":
      return {
        state,
        actions: [
          { type: "send-advert", priority: standing.priority, kind: "regular" },
          setTimer("advert", router.interval),
        ],
      };
    case "announce-again":
      return { state, actions: [{ type: "announce", repeat: announce.repeat }] };
    case "announce-refresh":
      if (announce.refresh === 0) return stay(state);
      return {
        state,
        actions: [
          { type: "announce", repeat: announce.refreshRepeat },
          setTimer("announce-refresh", announce.refresh),
        ],
      };
    case "lower-priority-announce":
      return { state, actions: [{ type: "announce", repeat: announce.lowerPriorityRepeat }] };
    case "heal-announce": {
      const next = state.healStep + 1;
      const wait = HEAL_WAITS[next];
      const again: Action = { type: "announce", repeat: announce.repeat };
      if (wait === undefined) return { state: { ...state, healStep: -1 }, actions: [again] };
      return {
        state: { ...state, healStep: next },
        actions: [again, setTimer("heal-announce", wait)],
      };
    }
    case "resign":
      return stay({ ...state, resigned: false });
    case "restore-window":
      if (!state.restorePending) return stay({ ...state, restored: 0 });
      return {
        state: { ...state, restored: 1, restorePending: false },
        actions: [...restore(standing), setTimer("restore-window", RESTORE_WINDOW)],
      };
    case "split-quiet":
      return {
        state: { ...state, split: "none" },
        actions: state.split === "told" ? [report({ type: "split-brain-over" })] : [],
      };
    case "startup-delay":
    case "master-down":
    case "preempt-delay":
    case "leave":
      return stay(state);
    default:
      return unreachable(event.timer);
  }
}

function hearAdvert(
  standing: Standing,
  state: Master,
  advert: Event & { readonly type: "advert" },
): Step {
  const { router } = standing;
  if (router.ownerIgnoreAdverts && standing.priority === PRIORITY_OWNER) return stay(state);
  // Somebody leaves, or an old farewell of ours is played again: backups hear at once that we live.
  if (advert.priority === PRIORITY_LEAVING) return { state, actions: [ownAdvert(standing)] };

  if (!outranks(standing, advert)) return hearLower(standing, state, advert);

  if (state.resigned) return beginLeaving(standing, state, "resign", advert);
  const owners = standing.priority === PRIORITY_OWNER;
  const step = becomeBackup(standing, state, owners ? "two-owners" : "higher-priority", {
    ...following(router, advert),
    yieldsOwner: owners,
  });
  const actions: Action[] = [];
  if (owners) actions.push(report({ type: "two-owners", from: advert.from, yielded: true }));
  // The winner hears that there was another master, and announces its addresses after our last word.
  if (router.higherPrioritySendAdvert || router.conduct.healAnnounce) {
    actions.push({ type: "stop-announcing" }, ownAdvert(standing));
  }
  actions.push(...step.actions, { type: "tell-group", order: "backup" });
  return { state: step.state, actions };
}

/** Another master with a lower claim: it is told so, and so are those who believed it. */
function hearLower(
  standing: Standing,
  state: Master,
  advert: Event & { readonly type: "advert" },
): Step {
  const { router } = standing;
  const { announce } = router;
  const { from, priority } = advert;
  const actions: Action[] = [];
  if (priority === PRIORITY_OWNER) {
    actions.push(report({ type: "two-owners", from, yielded: false }));
  }
  if (!router.lowerPriorityNoAdvert) actions.push(ownAdvert(standing));
  actions.push(...announceOver(standing), { type: "tell-group", order: "announce" });
  let { healStep } = state;
  if (router.conduct.healAnnounce && healStep === -1 && announce.lowerPriorityRepeat > 0) {
    healStep = 0;
    actions.push(setTimer("heal-announce", HEAL_WAITS[0]));
  }
  actions.push(report({ type: "lower-priority-advert", from, priority }));
  const noticed = withSplit(standing, state, { type: "advert", from, priority });
  actions.push(...noticed.actions);
  return { state: { ...noticed.state, healStep }, actions };
}

function announceOver({ router }: Standing): Action[] {
  const { lowerPriorityDelay, lowerPriorityRepeat } = router.announce;
  if (lowerPriorityRepeat === 0) return [];
  const now: Action = { type: "announce", repeat: lowerPriorityRepeat };
  if (lowerPriorityDelay === 0) return [now];
  return [now, setTimer("lower-priority-announce", lowerPriorityDelay)];
}

/** A split brain is over when nothing more was noticed for this long, or for a down timer where that is longer. */
const SPLIT_QUIET = seconds(10);

/**
 * Told once, until it is over. One advert is no split brain: the last word of a
 * master that we have just preempted crosses our first.
 */
function withSplit(
  { router, priority }: Standing,
  state: Master,
  evidence: SplitEvidence,
): { readonly state: Master; readonly actions: readonly Action[] } {
  if (!router.conduct.detectSplitBrain) return { state, actions: [] };
  const quiet = micros(Math.max(SPLIT_QUIET, downTime(router, priority, router.interval)));
  const actions: Action[] = [setTimer("split-quiet", quiet)];
  if (state.split === "told") return { state, actions };
  if (state.split === "none" && evidence.type !== "address") {
    return { state: { ...state, split: "suspected" }, actions };
  }
  actions.push(report({ type: "split-brain", evidence }));
  return { state: { ...state, split: "told" }, actions };
}

function priorityChanged(standing: Standing, state: Master, lowered: boolean): Step {
  if (!lowered) {
    if (!state.resigned) return stay(state);
    return { state: { ...state, resigned: false }, actions: [cancelTimer("resign")] };
  }
  if (!standing.router.conduct.resign) return stay(state);
  // A better peer takes over within its skew; to a worse one the second advert, inside any skew, says that we live.
  return {
    state: { ...state, resigned: true },
    actions: [
      { type: "send-advert", priority: PRIORITY_LEAVING, kind: "farewell" },
      ownAdvert(standing),
      setTimer("advert", standing.router.interval),
      setTimer("resign", leaveTime(standing.router)),
      report({ type: "resigned", priority: standing.priority }),
    ],
  };
}

function addressRemoved(
  standing: Standing,
  state: Master,
  { address }: Event & { readonly type: "address-removed" },
): Step {
  const { router } = standing;
  if (!router.conduct.restoreAddresses) {
    // observed: keepalived 2.2.7, which then comes back after the skew.
    const step = becomeBackup(standing, state, "address-removed", {
      wait: skewTime(router, standing.priority, router.interval),
    });
    return { state: step.state, actions: [...farewell(standing), ...step.actions] };
  }
  if (state.restored >= RESTORE_LIMIT) {
    if (state.restorePending) return stay(state);
    return {
      state: { ...state, restorePending: true },
      actions: [
        report({ type: "address-flapping", restored: state.restored, window: RESTORE_WINDOW }),
      ],
    };
  }
  const actions: Action[] = [...restore(standing), report({ type: "address-restored", address })];
  if (state.restored === 0) actions.push(setTimer("restore-window", RESTORE_WINDOW));
  return { state: { ...state, restored: state.restored + 1 }, actions };
}

function restore({ router }: Standing): Action[] {
  return [{ type: "add-addresses" }, { type: "announce", repeat: router.announce.repeat }];
}

function groupOrder(
  standing: Standing,
  state: Master,
  { to }: Event & { readonly type: "group" },
): Step {
  switch (to) {
    case "backup":
      // Without a priority 0: the winner moves as a group as well, and where it cannot hear us (and so cannot answer)
      // a farewell would call every other backup up, again and again.
      return becomeBackup(standing, state, "sync-group");
    case "announce":
      return { state, actions: announceOver(standing) };
    case "master":
    case "hurry":
      return stay(state);
  }
}

/** Whether the sender has the better claim; equal priorities go to the higher address. RFC 9568 §6.4.3. */
export function outranks(
  standing: Standing,
  { from, priority }: Event & { readonly type: "advert" },
): boolean {
  if (priority !== standing.priority) return priority > standing.priority;
  return compareAddresses(from, standing.source) > 0;
}

function ownAdvert(standing: Standing): Action {
  return { type: "send-advert", priority: standing.priority, kind: "extra" };
}

function farewell(standing: Standing): Action[] {
  if (!standing.canSend) return [];
  return [{ type: "send-advert", priority: PRIORITY_LEAVING, kind: "farewell" }];
}

/** After a heal the loser's announcements may still be under way: 50 ms, 200 ms and 1 s after it, once more. */
const HEAL_WAITS = [milliseconds(50), milliseconds(150), milliseconds(800)] as const;
