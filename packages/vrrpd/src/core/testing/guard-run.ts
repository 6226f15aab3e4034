import { type Micros, micros, milliseconds, type Timer } from "@ha/base";
import { priorityOf, vridOf } from "../admission.ts";
import type { PreparedAdverts } from "../advert-encoder.ts";
import type { IncomingPacket } from "../ports.ts";
import { PRIORITY_LEAVING } from "../router.ts";
import { leaveTime } from "../transition.ts";
import type { SimHost, SimSeat } from "./sim-host.ts";
import type { SimLan } from "./sim-lan.ts";

/** The guard of one virtual router whose process is gone: prepared adverts, then the farewell. */
export class GuardRun {
  readonly seat: SimSeat;
  readonly #lan: SimLan;
  readonly #host: SimHost;
  readonly #prepared: PreparedAdverts;
  lastSpoken: Micros;
  leaving = false;
  #timer: Timer | undefined;
  #sent = 0;
  #yielding = false;

  constructor(
    lan: SimLan,
    host: SimHost,
    seat: SimSeat,
    prepared: PreparedAdverts,
    lastSpoken: Micros,
    leaveNow: boolean,
  ) {
    this.#lan = lan;
    this.#host = host;
    this.seat = seat;
    this.#prepared = prepared;
    this.lastSpoken = lastSpoken;
    if (leaveNow) this.#leave();
    else this.#next();
  }

  heard(packet: IncomingPacket): void {
    if (!this.leaving || this.#yielding || priorityOf(packet) === PRIORITY_LEAVING) return;
    if (vridOf(packet) !== this.seat.settings.vrid || packet.ttl !== 255) return;
    this.#yielding = true;
    this.#timer?.cancel();
    this.#timer = this.#lan.clock.after(milliseconds(10), () => this.letGo());
  }

  letGo(): void {
    this.stop();
    this.seat.holds = false;
    this.seat.guarded = false;
    this.#lan.changed(this.#host);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #next(): void {
    const { clock } = this.#lan;
    const due = this.lastSpoken + this.seat.settings.interval - clock.now();
    this.#timer = clock.after(micros(Math.max(0, due)), () => {
      if (this.#sent === 2) {
        this.#leave();
        return;
      }
      const { adverts } = this.#prepared;
      const packets = adverts[Math.min(this.#sent, adverts.length - 1)] ?? [];
      for (const packet of packets) this.#host.send(this.seat, packet);
      this.#sent++;
      this.lastSpoken = clock.now();
      this.#next();
    });
  }

  #leave(): void {
    this.leaving = true;
    for (const packets of this.#prepared.farewell) {
      for (const packet of packets) this.#host.send(this.seat, packet);
    }
    this.#timer = this.#lan.clock.after(leaveTime(this.seat.settings), () => this.letGo());
  }
}
