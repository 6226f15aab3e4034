import { loadNative } from "./socket-door.ts";
import { type SystemError, systemError } from "./system-error.ts";

interface NativeSignals {
  watch(number: number, callback: (number: number) => void): number;
  unwatch(number: number): void;
  range(): readonly [number, number];
}

let loaded: NativeSignals | undefined;
function native(): NativeSignals {
  loaded ??= loadNative<NativeSignals>("signals.node");
  return loaded;
}

/**
 * Catches a signal by number, 1–64: for the real-time signals, which `process.on` does not know. Replaces an earlier
 * callback for the same number; does not keep the process alive.
 */
export function watchSignal(number: number, callback: () => void): SystemError | undefined {
  const result = native().watch(number, () => callback());
  return result < 0 ? systemError(`watch signal ${number}`, result) : undefined;
}

/** The signal does again what it did before: for most, end the process. */
export function unwatchSignal(number: number): void {
  native().unwatch(number);
}

/** SIGRTMIN and SIGRTMAX of the C library: 34 and 64 with glibc. */
export function realtimeSignals(): { readonly min: number; readonly max: number } {
  const [min, max] = native().range();
  return { min, max };
}
