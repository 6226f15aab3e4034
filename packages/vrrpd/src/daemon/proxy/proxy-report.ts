import type { ProxyStatus } from "@ha/base/pair-line";
import type { ProxyRunner } from "./proxy-runner.ts";

/** A proxy in `vrrpctl status --json`. Times are milliseconds of wall-clock time. */
export interface ProxyReport {
  readonly name: string;
  /** running, waiting (for its restart), stopping, stopped, given-up. */
  readonly state: string;
  /** What `track_proxy` sees. */
  readonly up: boolean;
  /** Why it is not up, in words; empty when it is. */
  readonly why: string;
  /** Undefined while none lives. */
  readonly pid: number | undefined;
  readonly since: number | undefined;
  /** By this daemon. */
  readonly restarts: number;
  /** Listening sockets that are held for its successor. */
  readonly heldSockets: number;
  /** As lbproxy told last; undefined for another program, or while there is none. */
  readonly status: ProxyStatus | undefined;
}

export function proxyReports(runners: readonly ProxyRunner[]): readonly ProxyReport[] {
  return runners.map(({ program, state, pid, since, heldSockets, status }) => ({
    name: program.name,
    state: state.process.name,
    up: state.up,
    why: state.why,
    pid: pid === 0 ? undefined : pid,
    since: pid === 0 ? undefined : since,
    restarts: state.restarts,
    heldSockets,
    status,
  }));
}
