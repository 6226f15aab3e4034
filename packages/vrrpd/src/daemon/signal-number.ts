import { constants } from "node:os";

/** Real-time signals have no names in Node. glibc: SIGRTMIN is 34, SIGRTMAX is 64. signal(7) */
const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** What `--signum` knows. keepalived(8) */
const numbers: Readonly<Record<string, number>> = {
  STOP: constants.signals.SIGTERM,
  RELOAD: constants.signals.SIGHUP,
  DATA: constants.signals.SIGUSR1,
  STATS: constants.signals.SIGUSR2,
  STATS_CLEAR: SIGRTMAX - 1,
  JSON: SIGRTMIN + 2,
};

/** Prints the number; an unknown name is exit 1. observed: keepalived 2.4.3 */
export function printSignalNumber(name: string): number {
  if (!Object.hasOwn(numbers, name)) {
    process.stderr.write(`Unknown sigfunc ${name}\n`);
    return 1;
  }
  process.stdout.write(`${numbers[name]}\n`);
  return 0;
}
