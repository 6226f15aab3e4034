import { type Clock, type Micros, micros } from "../time.ts";

/**
 * What a socket's receive buffer does, for everything that plays a network in memory: packets wait in the order of their
 * arrival, those that find it full are lost, and the reader learns how long each has waited.
 */
export class ReceiveBuffer<T> {
  readonly #clock: Pick<Clock, "now">;
  readonly #limit: number;
  #waiting: { readonly packet: T; readonly arrived: Micros }[] = [];

  /** @param limit How many packets it holds. */
  constructor(clock: Pick<Clock, "now">, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** False: it is full, and the packet is lost. */
  put(packet: T): boolean {
    if (this.#waiting.length >= this.#limit) return false;
    this.#waiting.push({ packet, arrived: this.#clock.now() });
    return true;
  }

  /** The oldest, and how long it lay there. */
  take(): { readonly packet: T; readonly waited: Micros } | undefined {
    const first = this.#waiting.shift();
    if (first === undefined) return undefined;
    return { packet: first.packet, waited: micros(this.#clock.now() - first.arrived) };
  }

  clear(): void {
    this.#waiting = [];
  }
}
