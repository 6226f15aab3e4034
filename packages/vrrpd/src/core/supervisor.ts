import { type Micros, micros, seconds } from "@ha/base";

/** How a program that must run is started again. Pure: (state, event) → actions, as the election is. */
export interface SupervisorSettings {
  /** First wait after a death; it doubles from one to the next. 0 is taken as the first step of keepalived: at once. */
  readonly firstWait: Micros;
  readonly longestWait: Micros;
  /** Having run so long resets the wait. */
  readonly settledAfter: Micros;
  /** Deaths within `giveUpWithin` after which it is not started any more; undefined: never give up. */
  readonly giveUpAfter: number | undefined;
  readonly giveUpWithin: Micros;
  /** Exit codes that mean "do not start me again". */
  readonly finalExitCodes: readonly number[];
}

/** keepalived's: at once, then 1, 2, 4 … 60 s; exit 1, 2 and 4 end everything. observed: keepalived 2.4.3. */
export const KEEPALIVED_SUPERVISION: SupervisorSettings = {
  firstWait: micros(0),
  longestWait: seconds(60),
  settledAfter: seconds(60),
  giveUpAfter: undefined,
  giveUpWithin: seconds(60),
  finalExitCodes: [1, 2, 4],
};

export type SupervisorState =
  | { readonly name: "stopped" }
  | { readonly name: "running"; readonly since: Micros; readonly history: History }
  | { readonly name: "waiting"; readonly history: History }
  | { readonly name: "stopping" }
  | { readonly name: "given-up"; readonly why: "exit-code" | "too-often" };

interface History {
  /** The wait that comes next. */
  readonly wait: Micros;
  /** Moments of deaths within `giveUpWithin`. */
  readonly deaths: readonly Micros[];
}

export type SupervisorEvent =
  | { readonly type: "start" }
  | { readonly type: "stop" }
  /** `code` is undefined when a signal ended it. */
  | { readonly type: "exited"; readonly code: number | undefined }
  | { readonly type: "timer" };

export type SupervisorAction =
  | { readonly type: "spawn" }
  | { readonly type: "terminate" }
  | { readonly type: "set-timer"; readonly after: Micros }
  | { readonly type: "cancel-timer" }
  | { readonly type: "give-up"; readonly why: "exit-code" | "too-often" };

export interface SupervisorStep {
  readonly state: SupervisorState;
  readonly actions: readonly SupervisorAction[];
}

/** @param now Monotonic time of the event. */
export function supervise(
  settings: SupervisorSettings,
  state: SupervisorState,
  event: SupervisorEvent,
  now: Micros,
): SupervisorStep {
  switch (event.type) {
    case "start":
      if (state.name !== "stopped" && state.name !== "given-up") return { state, actions: [] };
      return spawn({ wait: settings.firstWait, deaths: [] }, now);
    case "stop":
      if (state.name === "running") {
        return { state: { name: "stopping" }, actions: [{ type: "terminate" }] };
      }
      if (state.name === "waiting") {
        return { state: { name: "stopped" }, actions: [{ type: "cancel-timer" }] };
      }
      return { state, actions: [] };
    case "timer":
      return state.name === "waiting" ? spawn(state.history, now) : { state, actions: [] };
    case "exited":
      if (state.name === "stopping") return { state: { name: "stopped" }, actions: [] };
      if (state.name !== "running") return { state, actions: [] };
      return died(settings, state, event.code, now);
  }
}

function died(
  settings: SupervisorSettings,
  { since, history }: SupervisorState & { readonly name: "running" },
  code: number | undefined,
  now: Micros,
): SupervisorStep {
  if (code !== undefined && settings.finalExitCodes.includes(code)) return giveUp("exit-code");
  const deaths = [...history.deaths.filter((at) => now - at < settings.giveUpWithin), now];
  if (settings.giveUpAfter !== undefined && deaths.length > settings.giveUpAfter) {
    return giveUp("too-often");
  }
  const settled = now - since >= settings.settledAfter;
  const wait = settled ? settings.firstWait : history.wait;
  const next = micros(Math.min(Math.max(2 * wait, SHORTEST_WAIT), settings.longestWait));
  if (wait === 0) return spawn({ wait: next, deaths }, now);
  return {
    state: { name: "waiting", history: { wait: next, deaths } },
    actions: [{ type: "set-timer", after: wait }],
  };
}

function spawn(history: History, now: Micros): SupervisorStep {
  return { state: { name: "running", since: now, history }, actions: [{ type: "spawn" }] };
}

function giveUp(why: "exit-code" | "too-often"): SupervisorStep {
  return { state: { name: "given-up", why }, actions: [{ type: "give-up", why }] };
}

const SHORTEST_WAIT = seconds(1);
