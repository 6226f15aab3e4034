import { z } from "zod";
import { fixedDuration, type Limit } from "./limit.ts";
import { limit } from "./limit-schema.ts";

/** What a driver must be able to do for a fault, or what the programs of a run must have. */
export type Need =
  | "freeze-host"
  | "power"
  | "link"
  | "partition"
  | "netem"
  | "clock"
  | "small-disk"
  | "cpu-load"
  | "keepalived"
  | "guard"
  | "vrrpctl"
  | "supervised-proxy";

const host = z.string().min(1);
const name = { as: z.string().min(1).optional() };
const service = z.enum(["daemon", "proxy", "web"]);

/**
 * The faults, each with its undo. An undo is what `heal` does, and what the runner does at the end of a drill that did
 * not come to its `heal`.
 */
export const faultSchema = z.discriminatedUnion("kind", [
  /** The service ends as its operator ends it (SIGTERM, systemctl stop). Undo: it is started. */
  z.strictObject({ kind: z.literal("stop"), on: host, what: service.default("daemon"), ...name }),
  /**
   * SIGKILL. `daemon` is the process that speaks VRRP alone: what supervises it lives on. `all` is the daemon with all
   * that supervises it, `guard` vrrpd's guard alone. Undo: what does not run is started.
   */
  z.strictObject({
    kind: z.literal("kill"),
    on: host,
    what: z.enum(["daemon", "guard", "all", "proxy", "web"]).default("daemon"),
    ...name,
  }),
  /** SIGSTOP: the process hangs, its host's kernel lives on. Undo: SIGCONT. */
  z.strictObject({
    kind: z.literal("freeze"),
    on: host,
    what: z.enum(["daemon", "proxy"]).default("daemon"),
    ...name,
  }),
  /** The whole machine stands still, and nobody can reach it. Undo: it goes on where it was. */
  z.strictObject({ kind: z.literal("freeze-host"), on: host, ...name }),
  /** Power is cut: nothing is said, nothing is left. Undo: it boots. */
  z.strictObject({ kind: z.literal("power-off"), on: host, ...name }),
  /** Power is cut and comes back; done when the machine's services have been started. */
  z.strictObject({ kind: z.literal("reboot"), on: host, ...name }),
  /** The cable is pulled: no carrier. Undo: it is plugged in. */
  z.strictObject({ kind: z.literal("link-down"), on: host, ...name }),
  /** Carriers stay, packets between the two are lost; with `one_way` those from the first to the second alone. */
  z.strictObject({
    kind: z.literal("partition"),
    between: z.tuple([host, host]),
    one_way: z.boolean().default(false),
    ...name,
  }),
  /** Packets that the host sends are lost at this rate. */
  z.strictObject({
    kind: z.literal("loss"),
    on: host,
    percent: z.number().min(0).max(100),
    ...name,
  }),
  /** Packets that the host sends take this much longer. */
  z.strictObject({
    kind: z.literal("delay"),
    on: host,
    by: limit,
    jitter: limit.optional(),
    ...name,
  }),
  /** A configuration file is changed and the service reloads it. `broken` has an error, `same` nothing new. Undo: the old file, reloaded. */
  z.strictObject({
    kind: z.literal("reload"),
    on: host,
    what: z.enum(["daemon", "proxy"]).default("daemon"),
    file: z.enum(["same", "broken"]).default("same"),
    ...name,
  }),
  /** No block is left where the daemons write. Undo: room is made. */
  z.strictObject({ kind: z.literal("disk-full"), on: host, ...name }),
  /** The wall clock jumps; backwards when `back`. Undo: it jumps back. */
  z.strictObject({
    kind: z.literal("clock-jump"),
    on: host,
    by: limit,
    back: z.boolean().default(false),
    ...name,
  }),
  /** Busy loops, of ordinary priority. Undo: they end. */
  z.strictObject({
    kind: z.literal("cpu-load"),
    on: host,
    loops: z.int().min(1).max(64).default(4),
    ...name,
  }),
  /** Another daemon in the place of the one that runs, with the same file. Undo: the first one again. */
  z.strictObject({
    kind: z.literal("upgrade"),
    on: host,
    to: z.enum(["vrrpd", "keepalived"]),
    ...name,
  }),
  /** `vrrpctl switchover`: an operator gives the address away. Undo: `switchover --back`. */
  z.strictObject({ kind: z.literal("switchover"), on: host, ...name }),
]);

export type Fault = z.output<typeof faultSchema>;

/** What a fault asks of the driver and of the programs; undefined: every driver can. */
export function needOf(fault: Fault): Need | undefined {
  switch (fault.kind) {
    case "freeze-host":
      return "freeze-host";
    case "power-off":
    case "reboot":
      return "power";
    case "link-down":
      return "link";
    case "partition":
      return "partition";
    case "loss":
    case "delay":
      return "netem";
    case "disk-full":
      return "small-disk";
    case "clock-jump":
      return "clock";
    case "cpu-load":
      return "cpu-load";
    case "upgrade":
      return "keepalived";
    case "switchover":
      return "vrrpctl";
    case "kill":
      return fault.what === "guard" ? "guard" : undefined;
    case "stop":
    case "freeze":
    case "reload":
      return undefined;
  }
}

/** The hosts that a fault acts on. */
export function hostsOf(fault: Fault): readonly string[] {
  return fault.kind === "partition" ? fault.between : [fault.on];
}

/** `kill daemon on lb1`, for people. */
export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case "partition": {
      const [a, b] = fault.between;
      return fault.one_way ? `what ${a} sends to ${b} is lost` : `partition between ${a} and ${b}`;
    }
    case "stop":
    case "kill":
    case "freeze":
      return `${fault.kind} ${fault.what} on ${fault.on}`;
    case "reload":
      return `reload a ${fault.file === "same" ? "file that is the same" : "broken file"} by the ${fault.what} on ${fault.on}`;
    case "loss":
      return `${fault.percent} % loss on ${fault.on}`;
    case "upgrade":
      return `${fault.to} in the daemon's place on ${fault.on}`;
    default:
      return `${fault.kind} ${fault.on}`;
  }
}

/** The arguments of tc(8)'s netem for a fault. */
export function netemWords(fault: Extract<Fault, { readonly kind: "loss" | "delay" }>): string[] {
  if (fault.kind === "loss") return ["loss", `${fault.percent}%`];
  const micro = (one: Limit): string => `${fixedDuration(one)}us`;
  return ["delay", micro(fault.by), ...(fault.jitter === undefined ? [] : [micro(fault.jitter)])];
}
