/** What somebody ordered on a stats page, to be done in the first thread. Numbers as in `World.proxies`. */
export interface StatsOrder {
  readonly proxy: number;
  readonly servers: readonly number[];
  readonly action: StatsAction;
}

/** Values of the page's `action`. */
export const STATS_ACTIONS = [
  "ready",
  "drain",
  "maint",
  "dhlth",
  "ehlth",
  "hrunn",
  "hnolb",
  "hdown",
  "dagent",
  "eagent",
  "arunn",
  "adown",
  "shutdown",
  // Of pages of old.
  "enable",
  "disable",
  "stop",
  "start",
] as const;
export type StatsAction = (typeof STATS_ACTIONS)[number];
