import { type Clock, micros, type Timer } from "@ha/base";
import type { Link, NetworkState } from "@ha/linux";
import type { InterfaceDelay } from "../core/config/model.ts";

/** `missing`: there is no interface of that name. */
export type LinkState = "up" | "down" | "missing";

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

  constructor(
    network: NetworkState,
    clock: Clock,
    delays: readonly InterfaceDelay[],
    onChange: (name: string, state: LinkState) => void,
  ) {
    this.#network = network;
    this.#clock = clock;
    this.#delays = byName(delays);
    this.#onChange = onChange;
  }

  /** As told, after its delay. The first question is answered from the kernel's present state. */
  state(name: string): LinkState {
    let state = this.#states.get(name);
    if (state === undefined) {
      state = stateOf(this.#network.linkByName(name));
      this.#states.set(name, state);
    }
    return state;
  }

  setDelays(delays: readonly InterfaceDelay[]): void {
    this.#delays = byName(delays);
  }

  /** Something about links has changed: compares every interface that was asked for. */
  check(): void {
    for (const [name, known] of this.#states) {
      const now = stateOf(this.#network.linkByName(name));
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

function byName(delays: readonly InterfaceDelay[]): ReadonlyMap<string, InterfaceDelay> {
  return new Map(delays.map((delay) => [delay.interface, delay]));
}
