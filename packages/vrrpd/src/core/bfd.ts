import { type Micros, micros } from "@ha/base";
import type { BfdPacket, BfdStateName } from "./bfd-packet.ts";

/** What a session was configured with. keepalived.conf(5), bfd_instance. */
export interface BfdSettings {
  /** Ours, unique on this host and not 0; best random. RFC 5880 §6.3. */
  readonly discriminator: number;
  /** Shortest interval between packets that we can take. */
  readonly minRx: Micros;
  /** Wanted interval between our packets while up. */
  readonly minTx: Micros;
  /** The same while the session is not up; not below 1 s by RFC 5880 §6.8.3. */
  readonly idleTx: Micros;
  /** 1–255. */
  readonly multiplier: number;
  /** Silent until the neighbour speaks. */
  readonly passive: boolean;
}

/** A session. RFC 5880 §6.8.1, with the names of its variables. */
export interface BfdState {
  readonly name: BfdStateName;
  readonly diagnostic: number;
  readonly remoteDiscriminator: number;
  readonly remoteMinRx: Micros;
  readonly remoteMinTx: Micros;
  readonly remoteMultiplier: number;
  readonly remoteDemand: boolean;
  /** A poll sequence of ours goes on. RFC 5880 §6.5. */
  readonly polling: boolean;
}

export type BfdEvent =
  | { readonly type: "start" }
  /** Takes the session down on purpose and says so. */
  | { readonly type: "stop" }
  | { readonly type: "packet"; readonly packet: BfdPacket }
  | { readonly type: "timer"; readonly timer: BfdTimer };

export type BfdTimer = "transmit" | "detect";

export type BfdAction =
  | { readonly type: "send"; readonly packet: BfdPacket }
  /** At a random moment between the two, anew each time. RFC 5880 §6.8.7. */
  | { readonly type: "set-transmit-timer"; readonly from: Micros; readonly to: Micros }
  | { readonly type: "set-detect-timer"; readonly after: Micros }
  | { readonly type: "cancel-timer"; readonly timer: BfdTimer }
  | { readonly type: "changed"; readonly from: BfdStateName; readonly to: BfdStateName };

export interface BfdStep {
  readonly state: BfdState;
  readonly actions: readonly BfdAction[];
}

/** Before `start`. */
export const bfdInitial: BfdState = {
  name: "down",
  diagnostic: 0,
  remoteDiscriminator: 0,
  remoteMinRx: micros(1),
  remoteMinTx: micros(0),
  remoteMultiplier: 0,
  remoteDemand: false,
  polling: false,
};

/** One step of a session. Pure. RFC 5880 §6.8; asynchronous mode, no echo, no authentication. */
export function bfdStep(settings: BfdSettings, state: BfdState, event: BfdEvent): BfdStep {
  switch (event.type) {
    case "start": {
      const fresh: BfdState = { ...bfdInitial, diagnostic: state.diagnostic };
      return { state: fresh, actions: transmit(settings, fresh) };
    }
    case "stop":
      return stop(settings, state);
    case "timer":
      return event.timer === "transmit"
        ? { state, actions: transmit(settings, state) }
        : expire(settings, state);
    case "packet":
      return receive(settings, state, event.packet);
  }
}

/** How long silence of the neighbour lasts before the session is down. RFC 5880 §6.8.4. */
export function detectionTime(settings: BfdSettings, state: BfdState): Micros {
  return micros(state.remoteMultiplier * Math.max(settings.minRx, state.remoteMinTx));
}

function stop(settings: BfdSettings, state: BfdState): BfdStep {
  const down: BfdState = {
    ...state,
    name: "admin-down",
    diagnostic: DIAGNOSTIC_ADMIN_DOWN,
    polling: false,
  };
  const farewell: BfdAction[] = mayTransmit(settings, state)
    ? [{ type: "send", packet: packetOf(settings, down, false) }]
    : [];
  return {
    state: down,
    actions: [
      ...farewell,
      { type: "cancel-timer", timer: "transmit" },
      { type: "cancel-timer", timer: "detect" },
      ...changed(state, down),
    ],
  };
}

function receive(settings: BfdSettings, state: BfdState, packet: BfdPacket): BfdStep {
  const { yourDiscriminator } = packet;
  const ours = yourDiscriminator === 0 || yourDiscriminator === settings.discriminator;
  if (!ours || state.name === "admin-down") return { state, actions: [] };

  const { name, diagnostic } = nextState(state, packet);
  const justUp = name === "up" && state.name !== "up";
  const next: BfdState = {
    name,
    diagnostic,
    remoteDiscriminator: packet.myDiscriminator,
    remoteMinRx: packet.requiredMinRx,
    remoteMinTx: packet.desiredMinTx,
    remoteMultiplier: packet.multiplier,
    remoteDemand: packet.demand,
    // Coming up changes our interval, which the neighbour must confirm.
    polling: name === "up" && (justUp || (state.polling && !packet.final)),
  };
  const actions: BfdAction[] = [{ type: "set-detect-timer", after: detectionTime(settings, next) }];
  if (packet.poll) actions.push({ type: "send", packet: packetOf(settings, next, true) });
  // A new state or interval is told at once, so that both ends follow within a round trip.
  if (next.name !== state.name || intervalOf(settings, next) !== intervalOf(settings, state)) {
    actions.push(...transmit(settings, next));
  } else if (state.remoteDiscriminator === 0 && settings.passive) {
    actions.push(...transmit(settings, next));
  }
  actions.push(...changed(state, next));
  return { state: next, actions };
}

/** RFC 5880 §6.8.6, the last part, and the diagram of §6.2. */
function nextState(
  state: BfdState,
  packet: BfdPacket,
): { readonly name: BfdStateName; readonly diagnostic: number } {
  const same = { name: state.name, diagnostic: state.diagnostic };
  const signalled = { name: "down" as const, diagnostic: DIAGNOSTIC_NEIGHBOUR_DOWN };
  if (packet.state === "admin-down") return state.name === "down" ? same : signalled;
  switch (state.name) {
    case "down":
      if (packet.state === "down") return { ...same, name: "init" };
      return packet.state === "init" ? { name: "up", diagnostic: 0 } : same;
    case "init":
      return packet.state === "init" || packet.state === "up"
        ? { name: "up", diagnostic: 0 }
        : same;
    case "up":
      return packet.state === "down" ? signalled : same;
    case "admin-down":
      return same;
  }
}

function expire(settings: BfdSettings, state: BfdState): BfdStep {
  const lost = state.name === "init" || state.name === "up";
  const next: BfdState = {
    ...bfdInitial,
    name: state.name === "admin-down" ? "admin-down" : "down",
    diagnostic: lost ? DIAGNOSTIC_EXPIRED : state.diagnostic,
  };
  return {
    state: next,
    actions: [...(lost ? transmit(settings, next) : []), ...changed(state, next)],
  };
}

/** Sends now and sets the timer for the next one. */
function transmit(settings: BfdSettings, state: BfdState): BfdAction[] {
  if (!mayTransmit(settings, state)) return [{ type: "cancel-timer", timer: "transmit" }];
  const interval = intervalOf(settings, state);
  // RFC 5880 §6.8.7: reduced by 0 to 25 %, and to at most 90 % where one lost packet ends the session.
  const longest = settings.multiplier === 1 ? 0.9 : 1;
  return [
    { type: "send", packet: packetOf(settings, state, false) },
    {
      type: "set-transmit-timer",
      from: micros(interval * 0.75),
      to: micros(interval * longest),
    },
  ];
}

function mayTransmit(settings: BfdSettings, state: BfdState): boolean {
  if (state.name === "admin-down" || state.remoteMinRx === 0) return false;
  if (settings.passive && state.remoteDiscriminator === 0) return false;
  // The neighbour asked for silence while all is well. RFC 5880 §6.6.
  return !(state.remoteDemand && state.name === "up" && !state.polling);
}

function intervalOf(settings: BfdSettings, state: BfdState): Micros {
  return micros(Math.max(desiredMinTx(settings, state), state.remoteMinRx));
}

function desiredMinTx(settings: BfdSettings, state: BfdState): Micros {
  return state.name === "up" ? settings.minTx : settings.idleTx;
}

function packetOf(settings: BfdSettings, state: BfdState, final: boolean): BfdPacket {
  return {
    diagnostic: state.diagnostic,
    state: state.name,
    // RFC 5880 §6.5: never both.
    poll: state.polling && !final,
    final,
    demand: false,
    multiplier: settings.multiplier,
    myDiscriminator: settings.discriminator,
    yourDiscriminator: state.remoteDiscriminator,
    desiredMinTx: desiredMinTx(settings, state),
    requiredMinRx: settings.minRx,
  };
}

function changed(from: BfdState, to: BfdState): BfdAction[] {
  return from.name === to.name ? [] : [{ type: "changed", from: from.name, to: to.name }];
}

const DIAGNOSTIC_EXPIRED = 1;
const DIAGNOSTIC_NEIGHBOUR_DOWN = 3;
const DIAGNOSTIC_ADMIN_DOWN = 7;
