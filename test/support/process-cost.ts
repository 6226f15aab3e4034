import { readFileSync } from "node:fs";

/** Processor time that processes have used so far, in milliseconds; those that are gone count nothing. */
export function processorTime(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    // Behind the name, which may hold anything: user time is the 12th field from there, system time the 13th.
    const fields = read(`/proc/${pid}/stat`)
      .replace(/^.*\) /s, "")
      .split(" ");
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }
  return (ticks * 1000) / TICKS_PER_SECOND;
}

/** Memory in MB with shared pages divided among those that share them (PSS). */
export function memory(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids)
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  return kilobytes / 1024;
}

/** USER_HZ, the same on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
