import { type Micros, micros, seconds } from "@ha/base";
import {
  type SupervisorEvent,
  type SupervisorSettings,
  type SupervisorState,
  supervise,
} from "./supervisor.ts";

/** How one proxy is kept running, and what makes it count as down. Times are `Micros`. */
export interface ProxySettings {
  readonly supervision: SupervisorSettings;
  /** Until it must be ready. */
  readonly startTimeout: Micros;
  /** Without a beat for so long it is frozen; 0: never. */
  readonly heartbeatTimeout: Micros;
  /** How long it may be gone before it counts as down; 0: at once. */
  readonly restartBeforeFailover: Micros;
  /** From the soft stop to SIGTERM, and from there to SIGKILL. */
  readonly stopTimeout: Micros;
  readonly downWithoutServers: "any" | "none" | readonly string[];
}

/** What is known of a proxy. One is `up` when it can serve; that is what `track_proxy` tracks. */
export interface ProxyState {
  readonly process: SupervisorState;
  /** Of the process that lives now. */
  readonly ready: boolean;
  /** It has been ready in this life or an earlier one: until then nobody can say that it failed. */
  readonly everReady: boolean;
  readonly frozen: boolean;
  /** A worker ended, and its successor is not ready. */
  readonly workerGone: boolean;
  readonly listenersLost: readonly string[];
  readonly backendsWithoutServers: readonly string[];
  /** It may still be back before it counts as down. */
  readonly inGrace: boolean;
  /** As last reported. */
  readonly up: boolean;
  /** Why it is not up, in words; empty while it is. */
  readonly why: string;
  /** Starts since it was first started, or taken over, by this daemon. */
  readonly restarts: number;
}

export type ProxyTimer = "restart" | "start" | "heartbeat" | "grace" | "stop";

export type ProxyEvent =
  | { readonly type: "start" }
  | { readonly type: "stop" }
  /** One that an earlier daemon started, and that lives. */
  | { readonly type: "adopted"; readonly ready: boolean }
  | { readonly type: "exited"; readonly code: number | undefined; readonly words: string }
  | { readonly type: "ready" }
  | { readonly type: "beat" }
  | { readonly type: "listener"; readonly name: string; readonly up: boolean }
  | { readonly type: "backend"; readonly name: string; readonly up: boolean }
  | { readonly type: "worker-crashed" }
  | { readonly type: "settings" }
  | { readonly type: "timer"; readonly timer: ProxyTimer };

export type ProxyAction =
  | { readonly type: "spawn" }
  | { readonly type: "signal"; readonly signal: "SIGUSR1" | "SIGTERM" | "SIGKILL" }
  | { readonly type: "set-timer"; readonly timer: ProxyTimer; readonly after: Micros }
  | { readonly type: "cancel-timer"; readonly timer: ProxyTimer }
  /** What `track_proxy` sees has changed. */
  | { readonly type: "report"; readonly up: boolean; readonly why: string }
  /** Listening sockets that are held for it: clients are refused from here on, and do not wait. */
  | { readonly type: "close-sockets" }
  | { readonly type: "stopped" };

export interface ProxyStep {
  readonly state: ProxyState;
  /** In this order. */
  readonly actions: readonly ProxyAction[];
}

export const INITIAL_PROXY: ProxyState = {
  process: { name: "stopped" },
  ready: false,
  everReady: false,
  frozen: false,
  workerGone: false,
  listenersLost: [],
  backendsWithoutServers: [],
  inGrace: false,
  up: false,
  why: "is not started",
  restarts: 0,
};

/**
 * The life of a proxy as vrrpd sees it. Pure: (state, event) → actions, as the election is.
 *
 * @param now Monotonic time of the event.
 */
export function stepProxy(
  settings: ProxySettings,
  state: ProxyState,
  event: ProxyEvent,
  now: Micros,
): ProxyStep {
  const { state: next, actions } = change(settings, state, event, now);
  return judge(settings, state, next, actions);
}

function change(
  settings: ProxySettings,
  state: ProxyState,
  event: ProxyEvent,
  now: Micros,
): { readonly state: ProxyState; readonly actions: readonly ProxyAction[] } {
  const { process } = state;
  const lives = process.name === "running" || process.name === "stopping";
  switch (event.type) {
    case "start":
      return supervised(settings, state, { type: "start" }, now);
    case "stop":
      return supervised(settings, state, { type: "stop" }, now);
    case "adopted": {
      // As if it had just been started: how often it died before is not known.
      const { state: started } = supervise(settings.supervision, INITIAL_PROXY.process, START, now);
      return {
        state: { ...INITIAL_PROXY, process: started, ready: event.ready, everReady: event.ready },
        actions: [
          ...(event.ready ? [] : [timer("start", settings.startTimeout)]),
          ...heartbeat(settings),
        ],
      };
    }
    case "exited":
      return exited(settings, state, event.code, now);
    case "ready":
      if (!lives) return { state, actions: [] };
      return {
        // What was wrong with an earlier worker is wrong no more; of the new one we shall hear.
        state: {
          ...state,
          ready: true,
          everReady: true,
          workerGone: false,
          frozen: false,
          listenersLost: [],
          backendsWithoutServers: [],
        },
        actions: [cancel("start")],
      };
    case "beat":
      if (process.name !== "running") return { state, actions: [] };
      return {
        state: state.frozen ? { ...state, frozen: false } : state,
        actions: heartbeat(settings),
      };
    case "listener":
      return {
        state: { ...state, listenersLost: toggled(state.listenersLost, event) },
        actions: [],
      };
    case "backend":
      return {
        state: { ...state, backendsWithoutServers: toggled(state.backendsWithoutServers, event) },
        actions: [],
      };
    case "worker-crashed":
      if (process.name !== "running") return { state, actions: [] };
      return {
        state: { ...state, workerGone: true },
        // Nobody beats until there is another.
        actions: [timer("start", settings.startTimeout), cancel("heartbeat")],
      };
    case "settings":
      return { state, actions: [] };
    case "timer":
      return timedOut(settings, state, event.timer, now);
  }
}

function timedOut(
  settings: ProxySettings,
  state: ProxyState,
  which: ProxyTimer,
  now: Micros,
): { readonly state: ProxyState; readonly actions: readonly ProxyAction[] } {
  const { process } = state;
  switch (which) {
    case "restart":
      return supervised(settings, state, { type: "timer" }, now);
    case "start":
      // Its end starts the next one.
      if (process.name !== "running" || (state.ready && !state.workerGone))
        return { state, actions: [] };
      return { state, actions: [KILL] };
    case "heartbeat":
      if (process.name !== "running" || !state.ready) return { state, actions: [] };
      return { state: { ...state, frozen: true }, actions: [KILL] };
    case "grace":
      return { state: { ...state, inGrace: false }, actions: [] };
    case "stop":
      if (process.name !== "stopping") return { state, actions: [] };
      return state.ready
        ? {
            state: { ...state, ready: false },
            actions: [{ type: "signal", signal: "SIGTERM" }, timer("stop", settings.stopTimeout)],
          }
        : { state, actions: [KILL] };
  }
}

function exited(
  settings: ProxySettings,
  state: ProxyState,
  code: number | undefined,
  now: Micros,
): { readonly state: ProxyState; readonly actions: readonly ProxyAction[] } {
  const gone: ProxyState = {
    ...state,
    ready: false,
    frozen: false,
    workerGone: false,
    listenersLost: [],
    backendsWithoutServers: [],
  };
  const { state: next, actions } = supervised(settings, gone, { type: "exited", code }, now);
  return {
    state: next,
    actions: [
      cancel("start"),
      cancel("heartbeat"),
      cancel("stop"),
      ...actions,
      ...(next.process.name === "stopped" ? [CLOSE, STOPPED] : []),
    ],
  };
}

/** What the supervisor of its process says, in the actions of a proxy. */
function supervised(
  settings: ProxySettings,
  state: ProxyState,
  event: SupervisorEvent,
  now: Micros,
): { readonly state: ProxyState; readonly actions: readonly ProxyAction[] } {
  const step = supervise(settings.supervision, state.process, event, now);
  let next: ProxyState = { ...state, process: step.state };
  const actions: ProxyAction[] = [];
  for (const action of step.actions) {
    switch (action.type) {
      case "spawn":
        next = { ...next, restarts: event.type === "start" ? next.restarts : next.restarts + 1 };
        actions.push({ type: "spawn" }, timer("start", settings.startTimeout));
        break;
      case "terminate":
        // Softly first: what it has accepted is served.
        actions.push(
          cancel("start"),
          cancel("heartbeat"),
          { type: "signal", signal: state.ready ? "SIGUSR1" : "SIGTERM" },
          timer("stop", settings.stopTimeout),
        );
        break;
      case "set-timer":
        actions.push(timer("restart", action.after));
        break;
      case "cancel-timer":
        // It was between two lives, and there is nothing to wait for.
        actions.push(cancel("restart"), CLOSE, STOPPED);
        break;
      case "give-up":
        actions.push(CLOSE);
        break;
    }
  }
  return { state: next, actions };
}

/** Sees to it that what `track_proxy` knows is what holds, and that a proxy that may come back has its time. */
function judge(
  settings: ProxySettings,
  before: ProxyState,
  after: ProxyState,
  actions: readonly ProxyAction[],
): ProxyStep {
  const why = whyDown(settings, after);
  const mayReturn = after.process.name === "running" || after.process.name === "waiting";
  const passing = mayReturn && (!after.ready || after.frozen || after.workerGone);
  const extra: ProxyAction[] = [];
  let state = after;
  if (before.up && why !== "" && passing && settings.restartBeforeFailover > 0) {
    if (!before.inGrace) {
      state = { ...state, inGrace: true };
      extra.push(timer("grace", settings.restartBeforeFailover));
    }
    if (state.inGrace) return { state: { ...state, why: "" }, actions: [...actions, ...extra] };
  } else if (state.inGrace) {
    state = { ...state, inGrace: false };
    extra.push(cancel("grace"));
  }
  const up = why === "";
  if (up === state.up && why === state.why) return { state, actions: [...actions, ...extra] };
  // First what others must learn at once.
  return {
    state: { ...state, up, why },
    actions: [{ type: "report", up, why }, ...actions, ...extra],
  };
}

/** Empty when it can serve. */
function whyDown(settings: ProxySettings, state: ProxyState): string {
  const { process } = state;
  switch (process.name) {
    case "stopped":
      return "is stopped";
    case "stopping":
      return "is being stopped";
    case "given-up":
      return process.why === "too-often" ? "died too often and was given up" : "was given up";
    case "waiting":
      return "died";
    case "running":
      break;
  }
  if (state.frozen) return "is frozen";
  if (!state.ready) return state.everReady ? "died and is starting" : "is starting";
  if (state.workerGone) return "has no worker";
  const [listener] = state.listenersLost;
  if (listener !== undefined) return `does not listen on ${listener}`;
  const { downWithoutServers: which } = settings;
  const backend = state.backendsWithoutServers.find(
    (name) => which === "any" || (which !== "none" && which.includes(name)),
  );
  return backend === undefined ? "" : `has no server left in ${backend}`;
}

function toggled(
  names: readonly string[],
  { name, up }: { readonly name: string; readonly up: boolean },
): readonly string[] {
  const others = names.filter((other) => other !== name);
  // A proxy of ten thousand backends has one reason to be down.
  return up || others.length >= MOST_NAMES ? others : [...others, name];
}

function heartbeat({ heartbeatTimeout }: ProxySettings): ProxyAction[] {
  return heartbeatTimeout === 0 ? [] : [timer("heartbeat", heartbeatTimeout)];
}

function timer(which: ProxyTimer, after: Micros): ProxyAction {
  return { type: "set-timer", timer: which, after };
}

function cancel(which: ProxyTimer): ProxyAction {
  return { type: "cancel-timer", timer: which };
}

const START: SupervisorEvent = { type: "start" };
const KILL: ProxyAction = { type: "signal", signal: "SIGKILL" };
const CLOSE: ProxyAction = { type: "close-sockets" };
const STOPPED: ProxyAction = { type: "stopped" };
const MOST_NAMES = 1_000;

/** How a proxy is started again: its first restart as asked, then ever later. */
export function proxySupervision(options: {
  readonly firstWait: Micros;
  readonly longestWait: Micros;
  readonly deaths: number;
  readonly within: Micros;
}): SupervisorSettings {
  return {
    firstWait: options.firstWait,
    longestWait: micros(Math.max(options.longestWait, options.firstWait)),
    settledAfter: seconds(60),
    giveUpAfter: options.deaths,
    giveUpWithin: options.within,
    // A file with an error stays one, but may be mended meanwhile: the limit ends it.
    finalExitCodes: [],
  };
}
