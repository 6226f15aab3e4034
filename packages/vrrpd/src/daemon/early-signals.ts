const HELD = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/**
 * Signals that come before the daemon can act on them: their default would end the process, which to the guard looks
 * like a crash, and the stop that was asked for would become a restart.
 */
export class EarlySignals {
  readonly #seen: NodeJS.Signals[] = [];
  readonly #hold = (signal: NodeJS.Signals): void => void this.#seen.push(signal);

  constructor() {
    for (const signal of HELD) process.on(signal, this.#hold);
  }

  /** From now on others catch them; those that have come are sent again. Call it when their handlers are in place. */
  release(): void {
    for (const signal of HELD) process.off(signal, this.#hold);
    for (const signal of this.#seen) process.kill(process.pid, signal);
  }
}
