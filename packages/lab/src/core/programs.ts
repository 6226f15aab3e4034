import { z } from "zod";

export const daemonName = z.enum(["vrrpd", "keepalived"]);
export const proxyName = z.enum(["lbproxy", "haproxy"]);

/** What speaks VRRP, and what serves HTTP, on the balancers of a run. */
export interface Programs {
  readonly daemon: z.output<typeof daemonName>;
  readonly proxy: z.output<typeof proxyName>;
}

export type DaemonName = Programs["daemon"];
export type ProxyName = Programs["proxy"];

interface ByProgram<T> {
  readonly ours: T;
  readonly keepalived?: T | "any" | undefined;
  readonly haproxy?: T | "any" | undefined;
}

/** Which of the values written by program hold for a run: ours when none does; "any" when one of them says so. */
export function valuesFor<T>(
  { ours, keepalived, haproxy }: ByProgram<T>,
  { daemon, proxy }: Programs,
): readonly T[] | "any" {
  const chosen: T[] = [];
  for (const value of [
    daemon === "keepalived" ? keepalived : undefined,
    proxy === "haproxy" ? haproxy : undefined,
  ]) {
    if (value === "any") return "any";
    if (value !== undefined) chosen.push(value as T);
  }
  return chosen.length === 0 ? [ours] : chosen;
}
