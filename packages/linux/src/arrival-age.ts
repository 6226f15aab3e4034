import { type Micros, micros } from "@ha/base";
import { findControl, SOL_SOCKET } from "./kernel-address.ts";
import { LITTLE_ENDIAN, nativeSockets } from "./socket-door.ts";

/** SCM_TIMESTAMPNS: a timespec of CLOCK_REALTIME, when the kernel took the packet in. socket(7), SO_TIMESTAMPNS. */
const SCM_TIMESTAMPNS = 35;
/** The wall clock may be slewed by so much between two packets; what is more was a step. */
const STEP = 5_000;

/** In microseconds, from whatever beginning. */
interface Clocks {
  /** The wall clock, as the kernel stamps. */
  readonly realtime: () => number;
  readonly monotonic: () => number;
}

const KERNEL_CLOCKS: Clocks = {
  realtime: () => nativeSockets().realtime(),
  monotonic: () => performance.now() * 1_000,
};

/**
 * How long ago the kernel took a packet in. The stamp is of the wall clock, which somebody may set at any moment: an age
 * that a step of it could have made is not believed.
 */
export class ArrivalAge {
  readonly #clocks: Clocks;
  /** Wall clock less monotonic clock, when last seen. */
  #offset: number | undefined;

  constructor(clocks: Clocks = KERNEL_CLOCKS) {
    this.#clocks = clocks;
  }

  /** Microseconds; 0 without a stamp, and after a step of the clock. */
  of(control: Uint8Array): Micros {
    const stamp = findControl(control, SOL_SOCKET, SCM_TIMESTAMPNS);
    if (stamp === undefined || stamp.length < 16) return NONE;
    const now = this.#clocks.realtime();
    const offset = now - this.#clocks.monotonic();
    const before = this.#offset;
    this.#offset = offset;
    if (before === undefined || Math.abs(offset - before) > STEP) return NONE;
    const view = new DataView(stamp.buffer, stamp.byteOffset, stamp.byteLength);
    const seconds =
      view.getUint32(LITTLE_ENDIAN ? 0 : 4, LITTLE_ENDIAN) +
      view.getUint32(LITTLE_ENDIAN ? 4 : 0, LITTLE_ENDIAN) * 2 ** 32;
    const nanoseconds = view.getUint32(LITTLE_ENDIAN ? 8 : 12, LITTLE_ENDIAN);
    return micros(Math.max(0, now - seconds * 1e6 - Math.floor(nanoseconds / 1e3)));
  }
}

const NONE = micros(0);
