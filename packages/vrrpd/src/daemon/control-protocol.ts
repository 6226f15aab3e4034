/**
 * What goes over the control socket: one line of JSON as request, one as answer, as many pairs on a connection as the
 * client likes. `vrrpctl` and other programs speak it alike; docs/vrrpctl.md describes it.
 */
export type ControlRequest =
  | { readonly command: "status" }
  /** `at`: milliseconds of wall-clock time; the transition in force then, else the last one. */
  | { readonly command: "why"; readonly instance?: string; readonly at?: number }
  | {
      readonly command: "switchover";
      /** Empty: all. */
      readonly instances: readonly string[];
      readonly back: boolean;
      /** How long to wait for the end, in milliseconds; 0: as long as the configuration's timers allow. */
      readonly timeout: number;
      /** How long proxies may take to finish first, in milliseconds; undefined: as configured, 0: they do not. */
      readonly drainTimeout?: number;
    }
  | {
      readonly command: "maintenance";
      readonly on: boolean;
      /** Milliseconds until it ends by itself; 0: never. */
      readonly for: number;
      /** Also when no peer takes over. */
      readonly force: boolean;
    }
  /** Empty: all. */
  | { readonly command: "check-peers"; readonly instances: readonly string[] }
  | { readonly command: "metrics"; readonly names: MetricNames }
  /** What a reload would change; of the daemon's own file unless one is named. */
  | { readonly command: "plan"; readonly file?: string }
  /** What becomes of proxies; empty: all. */
  | {
      readonly command: "proxy";
      readonly action: ProxyAction;
      readonly names: readonly string[];
    }
  /** Status, journal and the names of files, for a bundle. */
  | { readonly command: "support" };

export const PROXY_ACTIONS = ["start", "stop", "restart", "reload"] as const;
export type ProxyAction = (typeof PROXY_ACTIONS)[number];

/** Whose metric names: those of mehdy/keepalived-exporter, or of gen2brain/keepalived_exporter. */
export type MetricNames = "mehdy" | "gen2brain";

export type ControlAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly problem: string };

/** Reads a request that anybody may have written. A string says what is wrong with it. */
export function parseRequest(line: string): ControlRequest | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return "the request is no JSON";
  }
  if (!isObject(value)) return "the request is no object";
  const names = value["names"] ?? "mehdy";
  const { instance, at, instances = [], timeout = 0, file, drainTimeout } = value;
  switch (value["command"]) {
    case "status":
      return { command: "status" };
    case "why":
      if (instance !== undefined && typeof instance !== "string") return "'instance' is no text";
      if (at !== undefined && !isTime(at)) return "'at' is no time in milliseconds";
      return {
        command: "why",
        ...(instance === undefined ? {} : { instance }),
        ...(at === undefined ? {} : { at }),
      };
    case "switchover":
      if (!isTexts(instances)) return "'instances' is no list of names";
      if (!isTime(timeout)) return "'timeout' is no time in milliseconds";
      if (drainTimeout !== undefined && !isTime(drainTimeout))
        return "'drainTimeout' is no time in milliseconds";
      return {
        command: "switchover",
        instances,
        back: value["back"] === true,
        timeout,
        ...(drainTimeout === undefined ? {} : { drainTimeout }),
      };
    case "maintenance": {
      const { on, for: limit = 0 } = value;
      if (typeof on !== "boolean") return "'on' is neither true nor false";
      if (!isTime(limit)) return "'for' is no time in milliseconds";
      return { command: "maintenance", on, for: limit, force: value["force"] === true };
    }
    case "check-peers":
      if (!isTexts(instances)) return "'instances' is no list of names";
      return { command: "check-peers", instances };
    case "metrics":
      if (names !== "mehdy" && names !== "gen2brain") return "'names' is mehdy or gen2brain";
      return { command: "metrics", names };
    case "plan":
      if (file !== undefined && typeof file !== "string") return "'file' is no text";
      return { command: "plan", ...(file === undefined ? {} : { file }) };
    case "proxy": {
      const action = PROXY_ACTIONS.find((known) => known === value["action"]);
      if (action === undefined) return `'action' is one of ${PROXY_ACTIONS.join(", ")}`;
      const proxies = value["names"] ?? [];
      if (!isTexts(proxies)) return "'names' is no list of names";
      return { command: "proxy", action, names: proxies };
    }
    case "support":
      return { command: "support" };
    default:
      return "no such command: status, why, switchover, maintenance, check-peers, metrics, plan, proxy, support";
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
