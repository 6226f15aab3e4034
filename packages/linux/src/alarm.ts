import type { Micros } from "@ha/base";
import { nativeSockets } from "./socket-door.ts";
import { systemError } from "./system-error.ts";

/**
 * One timer of the kernel, exact to some ten microseconds where Node's are exact to a millisecond. It does not keep the
 * process alive. timerfd_create(2).
 */
export interface Alarm {
  /** Rings once, `after` from now (at least a microsecond), in place of what was set before. */
  set(after: Micros): void;
  /** Does not ring until set again. */
  clear(): void;
  close(): void;
}

/** Throws `SystemError` when the kernel gives no timer. */
export function openAlarm(ring: () => void): Alarm {
  const native = nativeSockets();
  const fd = native.timerOpen();
  if (fd < 0) throw systemError("timerfd_create", fd);
  const arm = (microseconds: number): void => {
    const result = native.timerSet(fd, microseconds);
    if (result < 0) throw systemError("timerfd_settime", result);
  };
  const watch = native.watch(
    fd,
    () => {
      // Setting a timer forgets its expiry, so that the descriptor need not be read.
      arm(0);
      ring();
    },
    false,
  );
  if (typeof watch === "number") {
    native.close(fd);
    throw systemError("watch a timer", watch);
  }
  let open = true;
  return {
    set: (after) => arm(Math.max(1, after)),
    clear: () => arm(0),
    close: () => {
      if (!open) return;
      open = false;
      native.unwatch(watch);
      native.close(fd);
    },
  };
}
