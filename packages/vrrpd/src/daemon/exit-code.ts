/** Exit codes of the daemon. observed: keepalived 2.4.3 */
export const ExitCode = {
  ok: 0,
  fatal: 1,
  /** The configuration does not allow a start. */
  config: 2,
  permission: 4,
  noConfig: 6,
  software: 70,
} as const;
