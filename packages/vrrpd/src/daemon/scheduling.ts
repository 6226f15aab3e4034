import { setPriority } from "node:os";
import {
  type SystemError,
  setBeaconPriority,
  setCpuAffinity,
  setProcessName,
  setRealtimePriority,
  setResourceLimit,
} from "@ha/linux";
import type { Globals } from "../core/config/model.ts";
import type { Log } from "./log.ts";

/**
 * Name, niceness, real-time class and processors of the process, as `global_defs` has them. By a reload only what has
 * become another: `before`.
 */
export function applyScheduling(globals: Globals, log: Log, before?: Globals): void {
  const tell = (problem: SystemError | undefined): void => {
    if (problem !== undefined) log.warning(problem.message);
  };
  tell(setProcessName(globals.vrrp_process_name ?? globals.process_name ?? "vrrpd"));
  if (before !== undefined) {
    for (const name of ["vrrp_priority", "vrrp_rt_priority"] as const) {
      if (before[name] === undefined || globals[name] !== undefined) continue;
      log.warning(`${name} is gone from the configuration: it stays in force until the next start`);
    }
    if (before.vrrp_cpu_affinity.length > 0 && globals.vrrp_cpu_affinity.length === 0) {
      log.warning("vrrp_cpu_affinity is gone: it stays in force until the next start");
    }
  }
  if (globals.vrrp_priority !== undefined && globals.vrrp_priority !== before?.vrrp_priority) {
    try {
      setPriority(globals.vrrp_priority);
    } catch (error) {
      log.warning(`vrrp_priority ${globals.vrrp_priority}: ${String(error)}`);
    }
  }
  if (globals.vrrp_cpu_affinity.length > 0) tell(setCpuAffinity(globals.vrrp_cpu_affinity));
  if (
    globals.vrrp_rt_priority !== undefined &&
    globals.vrrp_rt_priority !== before?.vrrp_rt_priority
  ) {
    // A V8 process needs more at a stretch than keepalived's 10 ms: the limit would kill it.
    const limit = Math.max(globals.vrrp_rlimit_rttime, SHORTEST_RTTIME);
    tell(setResourceLimit("rttime", { soft: limit, hard: limit }));
    tell(setRealtimePriority(globals.vrrp_rt_priority));
    tell(setBeaconPriority(globals.vrrp_rt_priority));
  }
  if (globals.vrrp_no_swap && before === undefined) {
    log.info("vrrp_no_swap locks the guard in memory; the daemon itself cannot be (V8 would fail)");
  }
}

/** Microseconds that a real-time process may run without sleeping. */
const SHORTEST_RTTIME = 1_000_000;
