import { type Clock, micros, seconds, type Timer } from "@ha/base";
import type { Link, LinkBeat, LinkBeatMethod, NetworkState } from "@ha/linux";
import type { Config, InterfaceDelay } from "../core/config/model.ts";

/** `missing`: there is no interface of that name. */
export type LinkState = "up" | "down" | "missing";

/** How often a driver is asked that does not tell. observed: keepalived 2.2.7 */
const POLL = seconds(1);

/**
 * The state of each interface that matters, with keepalived's delays for flapping ones.
 * keepalived.conf(5), interface_up_down_delays.
 */
export class LinkWatch {
  readonly #network: NetworkState;
  readonly #clock: Clock;
  readonly #onChange: (name: string, state: LinkState) => void;
  readonly #states = new Map<string, LinkState>();
  readonly #pending = new Map<string, { readonly state: LinkState; readonly timer: Timer }>();
  #delays: ReadonlyMap<string, InterfaceDelay>;
  readonly #openBeat: () => LinkBeat;
  #polled: Polled = { all: false, methods: new Map() };
  #beat: LinkBeat | undefined;
  #poll: Timer | undefined;

  constructor(
    network: NetworkState,
    clock: Clock,
    delays: readonly InterfaceDelay[],
    onChange: (name: string, state: LinkState) => void,
    openBeat: () => LinkBeat,
  ) {
    this.#openBeat = openBeat;
    this.#network = network;
    this.#clock = clock;
    this.#delays = byName(delays);
    this.#onChange = onChange;
  }

  /** As told, after its delay. The first question is answered from the kernel's present state. */
  state(name: string): LinkState {
    let state = this.#states.get(name);
    if (state === undefined) {
      state = this.#stateOf(name);
      this.#states.set(name, state);
    }
    return state;
  }

  setDelays(delays: readonly InterfaceDelay[]): void {
    this.#delays = byName(delays);
  }

  /** Which drivers are asked, beside listening to the kernel: `linkbeat_interfaces` and its like. */
  setPolled(config: Config): void {
    this.#polled = polledOf(config);
    this.#poll?.cancel();
    this.#poll = undefined;
    if (!this.#polled.all && this.#polled.methods.size === 0) return;
    this.#beat ??= this.#openBeat();
    this.#pollAgain();
  }

  #pollAgain(): void {
    this.#poll = this.#clock.after(POLL, () => {
      this.check();
      this.#pollAgain();
    });
  }

  #stateOf(name: string): LinkState {
    const state = stateOf(this.#network.linkByName(name));
    const { all, methods } = this.#polled;
    if (state !== "up" || this.#beat === undefined || !(all || methods.has(name))) return state;
    return this.#beat.carrier(name, methods.get(name)) === false ? "down" : "up";
  }

  /** Something about links has changed: compares every interface that was asked for. */
  check(): void {
    for (const [name, known] of this.#states) {
      const now = this.#stateOf(name);
      const pending = this.#pending.get(name);
      if (pending !== undefined) {
        if (pending.state === now) continue;
        pending.timer.cancel();
        this.#pending.delete(name);
      }
      if (now === known) continue;
      const delays = this.#delays.get(name);
      const delay = delays === undefined ? 0 : now === "up" ? delays.up : delays.down;
      if (delay === 0 || now === "missing") {
        this.#set(name, now);
        continue;
      }
      const timer = this.#clock.after(micros(delay), () => {
        this.#pending.delete(name);
        this.#set(name, now);
      });
      this.#pending.set(name, { state: now, timer });
    }
  }

  close(): void {
    for (const { timer } of this.#pending.values()) timer.cancel();
    this.#pending.clear();
    this.#states.clear();
    this.#poll?.cancel();
    this.#beat?.close();
  }

  #set(name: string, state: LinkState): void {
    this.#states.set(name, state);
    this.#onChange(name, state);
  }
}

/** keepalived's own test: administratively up, and operational. */
function stateOf(link: Link | undefined): LinkState {
  if (link === undefined) return "missing";
  return link.up && link.running ? "up" : "down";
}

interface Polled {
  readonly all: boolean;
  /** Undefined: whichever works. */
  readonly methods: ReadonlyMap<string, LinkBeatMethod | undefined>;
}

function polledOf({ globals, instances, linkbeat_interfaces }: Config): Polled {
  const methods = new Map<string, LinkBeatMethod | undefined>();
  for (const { linkbeat_use_polling, interface: name } of instances) {
    if (linkbeat_use_polling && name !== undefined) methods.set(name, undefined);
  }
  for (const { interface: name, type } of linkbeat_interfaces) methods.set(name, type);
  return { all: globals.linkbeat_use_polling, methods };
}

function byName(delays: readonly InterfaceDelay[]): ReadonlyMap<string, InterfaceDelay> {
  return new Map(delays.map((delay) => [delay.interface, delay]));
}
