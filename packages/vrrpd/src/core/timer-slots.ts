import { type Micros, micros, type Timer } from "@ha/base";
import type { TimerName } from "./state.ts";

/** One timer: its deadline, and the clock's timer, which may be set earlier than that. */
export interface TimerSlot {
  readonly name: TimerName;
  readonly fire: () => void;
  deadline: Micros | undefined;
  timer: Timer | undefined;
  wakesAt: Micros;
  /** Grows with each change, so that a judgement can tell that it came too late. */
  generation: number;
}

export function cancelSlot(slot: TimerSlot): void {
  slot.timer?.cancel();
  slot.timer = undefined;
  slot.deadline = undefined;
  slot.generation++;
}

/** One for each name. `fire` is called when the clock's timer fires, which may be before the deadline. */
export function newTimerSlots(
  fire: (slot: TimerSlot) => void,
): Readonly<Record<TimerName, TimerSlot>> {
  const slot = (name: TimerName): TimerSlot => {
    const made: TimerSlot = {
      name,
      fire: () => fire(made),
      deadline: undefined,
      timer: undefined,
      wakesAt: micros(0),
      generation: 0,
    };
    return made;
  };
  return {
    "startup-delay": slot("startup-delay"),
    "master-down": slot("master-down"),
    "preempt-delay": slot("preempt-delay"),
    advert: slot("advert"),
    "announce-again": slot("announce-again"),
    "announce-refresh": slot("announce-refresh"),
    "lower-priority-announce": slot("lower-priority-announce"),
    "heal-announce": slot("heal-announce"),
    leave: slot("leave"),
    resign: slot("resign"),
    "restore-window": slot("restore-window"),
    "split-quiet": slot("split-quiet"),
  };
}
