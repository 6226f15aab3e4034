import { type Micros, micros, unreachable } from "@ha/base";
import type {
  AdminState,
  AgentReport,
  HealthAction,
  HealthEvent,
  HealthSettings,
  HealthStep,
  ServerHealth,
} from "./health-model.ts";
import { inMaintenance } from "./health-view.ts";

/** A server at start: up with the health of one that has just come up, so that its first failed check takes it down. */
export function initialHealth(settings: HealthSettings, at: Micros): ServerHealth {
  const { rise, fall, initState, disabled } = settings;
  const up = initState === "up" || initState === "fully-up" || !settings.checked;
  const health =
    initState === "fully-up"
      ? rise + fall - 1
      : initState === "fully-down"
        ? 0
        : up
          ? rise
          : Math.max(0, rise - 1);
  return {
    operational: up ? "running" : "stopped",
    admin: disabled ? "maint" : "ready",
    inheritedMaint: false,
    inheritedDrain: false,
    health: settings.checked ? health : rise + fall - 1,
    agentHealth: settings.agentRise + settings.agentFall - 1,
    checksEnabled: settings.checked,
    agentEnabled: settings.agent,
    errors: 0,
    weight: settings.initialWeight,
    changedAt: at,
    failedChecks: 0,
    timesDown: 0,
    downtime: micros(0),
  };
}

/** Takes one event. The order of the actions is part of the contract: columns first, then what others do with them. */
export function stepHealth(
  settings: HealthSettings,
  state: ServerHealth,
  event: HealthEvent,
): HealthStep {
  switch (event.type) {
    case "check":
      return state.checksEnabled ? checked(settings, state, event.result, event.at) : stay(state);
    case "agent":
      return state.agentEnabled ? reported(settings, state, event.report, event.at) : stay(state);
    case "observed":
      return observed(settings, state, event.good, event.at);
    case "admin":
      return administered(settings, state, event.state, event.at);
    case "force":
      return forced(settings, state, event.of, event.to, event.at);
    case "enable":
      return stay(
        event.of === "check"
          ? { ...state, checksEnabled: event.on && settings.checked }
          : { ...state, agentEnabled: event.on && settings.agent },
      );
    case "weight":
      return { state: { ...state, weight: event.weight }, actions: [PUBLISH, GRAB_QUEUE] };
    case "tracked":
      return followed(settings, state, event.tracked, event.at);
    case "tick":
      return ticked(settings, state, event.at);
    default:
      return unreachable(event);
  }
}

const PUBLISH: HealthAction = { type: "publish" };
const GRAB_QUEUE: HealthAction = { type: "grab-queue" };
const REDISTRIBUTE: HealthAction = { type: "redistribute" };

function stay(state: ServerHealth): HealthStep {
  return { state, actions: [] };
}

function checked(
  settings: HealthSettings,
  state: ServerHealth,
  result: "pass" | "condpass" | "fail",
  at: Micros,
): HealthStep {
  const { rise, fall } = settings;
  const most = rise + fall - 1;
  if (result === "fail") {
    const wasUp = state.health >= rise;
    const next = { ...state, failedChecks: state.failedChecks + (state.health > 0 ? 1 : 0) };
    // A server that is down goes back to the very bottom; one that is up takes a step.
    if (!wasUp) return stay({ ...next, health: 0 });
    if (state.health > rise) return stay({ ...next, health: state.health - 1 });
    return wentDown(settings, { ...next, health: 0 }, at);
  }
  if (state.health < rise - 1) return stay({ ...state, health: state.health + 1 });
  // Once it counts as up, one good check gives it all of its health. Observed: haproxy 2.6.12.
  const next = { ...state, health: most };
  if (result === "condpass") return stopsServing(settings, next, at);
  if (state.operational === "stopped") return cameUp(settings, next, at);
  if (state.operational === "stopping") {
    return {
      state: { ...next, operational: "running", changedAt: at },
      actions: [PUBLISH, log("UP"), GRAB_QUEUE],
    };
  }
  return stay(next);
}

function wentDown(settings: HealthSettings, state: ServerHealth, at: Micros): HealthStep {
  if (state.operational === "stopped") return stay({ ...state, health: 0 });
  const next: ServerHealth = {
    ...state,
    operational: "stopped",
    health: 0,
    errors: 0,
    changedAt: at,
    timesDown: state.timesDown + 1,
  };
  // A server in maintenance says nothing more.
  if (inMaintenance(state)) return { state: next, actions: [PUBLISH] };
  const actions: HealthAction[] = [PUBLISH, log("DOWN")];
  if (settings.onMarkedDown === "shutdown-sessions") actions.push({ type: "shutdown-sessions" });
  actions.push(REDISTRIBUTE);
  return { state: next, actions };
}

function cameUp(settings: HealthSettings, state: ServerHealth, at: Micros): HealthStep {
  // With an agent as well, both must agree.
  if (settings.agent && state.agentEnabled && state.agentHealth < settings.agentRise)
    return stay(state);
  const downtime = micros(state.downtime + Math.max(0, at - state.changedAt));
  const next: ServerHealth = {
    ...state,
    operational: settings.slowstart > 0 ? "starting" : "running",
    errors: 0,
    changedAt: at,
    downtime,
  };
  if (inMaintenance(next)) return { state: next, actions: [PUBLISH] };
  const actions: HealthAction[] = [PUBLISH, log("UP")];
  if (settings.onMarkedUp === "shutdown-backup-sessions")
    actions.push({ type: "shutdown-backup-sessions" });
  actions.push(GRAB_QUEUE);
  return { state: next, actions };
}

/** A 404 with `disable-on-404`: no new work but what persistence brings. */
function stopsServing(settings: HealthSettings, state: ServerHealth, at: Micros): HealthStep {
  if (state.operational === "stopping") return stay(state);
  if (state.operational === "stopped") return stay(state);
  void settings;
  return {
    state: { ...state, operational: "stopping", changedAt: at },
    actions: [PUBLISH, log("stopping"), REDISTRIBUTE],
  };
}

function reported(
  settings: HealthSettings,
  state: ServerHealth,
  report: AgentReport,
  at: Micros,
): HealthStep {
  const actions: HealthAction[] = [];
  let next = state;
  if (report.weightPercent !== undefined) {
    const weight = Math.min(256, Math.ceil((settings.initialWeight * report.weightPercent) / 100));
    if (weight !== next.weight) actions.push(PUBLISH, GRAB_QUEUE);
    next = { ...next, weight };
  }
  if (report.maxconn !== undefined) actions.push({ type: "set-maxconn", maxconn: report.maxconn });
  if (report.admin !== undefined) {
    // As in HAProxy, the agent's drain and maintenance are the administrator's own: either ends them.
    const step = administered(settings, next, report.admin, at);
    next = step.state;
    actions.push(...step.actions);
  }
  if (report.state === undefined) return { state: next, actions };
  const most = settings.agentRise + settings.agentFall - 1;
  if (report.state === "up") {
    next = { ...next, agentHealth: Math.min(most, next.agentHealth + 1) };
    if (next.agentHealth >= settings.agentRise) next = { ...next, agentHealth: most };
    if (
      next.operational !== "stopped" ||
      (settings.checked && next.checksEnabled && next.health < settings.rise)
    )
      return { state: next, actions };
    const step = cameUp(settings, { ...next, health: settings.rise + settings.fall - 1 }, at);
    return { state: step.state, actions: [...actions, ...step.actions] };
  }
  const agentHealth = next.agentHealth > settings.agentRise ? next.agentHealth - 1 : 0;
  next = { ...next, agentHealth };
  if (agentHealth >= settings.agentRise) return { state: next, actions };
  const step = wentDown(settings, next, at);
  // The check's own health stays: the agent alone took the server down.
  return { state: { ...step.state, health: next.health }, actions: [...actions, ...step.actions] };
}

/** Traffic seen by `observe`: too many errors in a row do what `on-error` says. §5.2, observe. */
function observed(
  settings: HealthSettings,
  state: ServerHealth,
  good: boolean,
  at: Micros,
): HealthStep {
  if (settings.observe === "none" || !state.checksEnabled || inMaintenance(state))
    return stay(state);
  if (good) return stay(state.errors === 0 ? state : { ...state, errors: 0 });
  const errors = state.errors + 1;
  if (errors < settings.errorLimit) return stay({ ...state, errors });
  const next = { ...state, errors: 0 };
  switch (settings.onError) {
    case "fastinter":
      return {
        state: next,
        actions: [{ type: "check-soon", after: settings.fastinter ?? settings.inter }],
      };
    case "sudden-death":
      // As a failed check now; one more will be enough.
      return failedBySight(
        settings,
        { ...next, health: Math.min(next.health, settings.rise + 1) },
        at,
      );
    case "mark-down":
      return wentDown(settings, next, at);
    default:
      return failedBySight(settings, next, at);
  }
}

/** A failed check that traffic stands in for; a real one follows soon. */
function failedBySight(settings: HealthSettings, state: ServerHealth, at: Micros): HealthStep {
  const step = checked(settings, state, "fail", at);
  const soon: HealthAction = { type: "check-soon", after: settings.fastinter ?? settings.inter };
  return { state: step.state, actions: [...step.actions, soon] };
}

function administered(
  settings: HealthSettings,
  state: ServerHealth,
  admin: AdminState,
  at: Micros,
): HealthStep {
  if (state.admin === admin) return stay(state);
  // Being down goes on; all else begins anew with the order. Observed: haproxy 2.6.12.
  const changedAt = state.operational === "stopped" ? state.changedAt : at;
  const next: ServerHealth = { ...state, admin, changedAt };
  switch (admin) {
    case "maint": {
      const actions: HealthAction[] = [PUBLISH, log("MAINT")];
      if (settings.onMarkedDown === "shutdown-sessions")
        actions.push({ type: "shutdown-sessions" });
      actions.push(REDISTRIBUTE);
      return { state: next, actions };
    }
    case "drain":
      return { state: next, actions: [PUBLISH, log("DRAIN"), REDISTRIBUTE] };
    default: {
      if (state.admin !== "maint")
        return { state: next, actions: [PUBLISH, log("READY"), GRAB_QUEUE] };
      // Out of maintenance a server is up with little health, till checks say more; not when the agent holds it down.
      const held = state.agentEnabled && state.agentHealth < settings.agentRise;
      const returned: ServerHealth = {
        ...next,
        operational: held ? "stopped" : settings.slowstart > 0 ? "starting" : "running",
        health: settings.checked ? settings.rise : state.health,
        changedAt: at,
      };
      return { state: returned, actions: [PUBLISH, log("READY"), GRAB_QUEUE] };
    }
  }
}

function forced(
  settings: HealthSettings,
  state: ServerHealth,
  of: "check" | "agent",
  to: "up" | "stopping" | "down",
  at: Micros,
): HealthStep {
  const most = settings.rise + settings.fall - 1;
  if (of === "agent") {
    if (to === "up") {
      const raised = { ...state, agentHealth: settings.agentRise + settings.agentFall - 1 };
      return state.operational === "stopped" ? cameUp(settings, raised, at) : stay(raised);
    }
    const step = wentDown(settings, { ...state, agentHealth: 0 }, at);
    return { state: { ...step.state, health: state.health }, actions: step.actions };
  }
  switch (to) {
    case "up": {
      const raised = { ...state, health: most };
      if (state.operational === "stopped") return cameUp(settings, raised, at);
      if (state.operational !== "stopping") return stay(raised);
      return {
        state: { ...raised, operational: "running", changedAt: at },
        actions: [PUBLISH, log("UP"), GRAB_QUEUE],
      };
    }
    case "stopping":
      return stopsServing(settings, { ...state, health: most }, at);
    default:
      return wentDown(settings, { ...state, health: 0 }, at);
  }
}

/** `track`: goes where the other goes, without checks of its own. */
function followed(
  settings: HealthSettings,
  state: ServerHealth,
  tracked: ServerHealth,
  at: Micros,
): HealthStep {
  const actions: HealthAction[] = [];
  let next: ServerHealth = {
    ...state,
    inheritedMaint: inMaintenance(tracked),
    inheritedDrain: tracked.admin === "drain" || tracked.inheritedDrain,
    health: state.health,
  };
  if (next.inheritedMaint !== state.inheritedMaint) {
    actions.push(PUBLISH, log(next.inheritedMaint ? "MAINT" : "READY"));
    actions.push(next.inheritedMaint ? REDISTRIBUTE : GRAB_QUEUE);
  } else if (next.inheritedDrain !== state.inheritedDrain) {
    actions.push(PUBLISH, log(next.inheritedDrain ? "DRAIN" : "READY"));
  }
  const most = settings.rise + settings.fall - 1;
  if (tracked.operational === "stopped" && next.operational !== "stopped") {
    const step = wentDown(settings, next, at);
    return { state: step.state, actions: [...actions, ...step.actions] };
  }
  if (tracked.operational === "stopping" && next.operational !== "stopping") {
    const step = stopsServing(settings, { ...next, health: most }, at);
    return { state: step.state, actions: [...actions, ...step.actions] };
  }
  if (
    (tracked.operational === "running" || tracked.operational === "starting") &&
    next.operational === "stopped"
  ) {
    const step = cameUp(settings, { ...next, health: most }, at);
    return { state: step.state, actions: [...actions, ...step.actions] };
  }
  if (tracked.operational === "running" && next.operational === "stopping") {
    next = { ...next, operational: "running", changedAt: at };
    actions.push(PUBLISH, log("UP"), GRAB_QUEUE);
  }
  return { state: next, actions };
}

/** Slowstart goes on in twentieths, or ends. */
function ticked(settings: HealthSettings, state: ServerHealth, at: Micros): HealthStep {
  if (state.operational !== "starting") return stay(state);
  if (at - state.changedAt < settings.slowstart) return { state, actions: [PUBLISH, GRAB_QUEUE] };
  return { state: { ...state, operational: "running" }, actions: [PUBLISH, GRAB_QUEUE] };
}

function log(change: Extract<HealthAction, { type: "log" }>["change"]): HealthAction {
  return { type: "log", change };
}
