import { z } from "zod";
import { type Fault, faultSchema, hostsOf, type Need, needOf } from "./fault.ts";
import { limit, programCount, programLimit } from "./limit-schema.ts";
import { daemonName } from "./programs.ts";

const host = z.string().min(1);
const probeId = z.string().min(1);

/** What holds at a moment; several in one condition all hold. */
const condition = z.strictObject({
  /** This host holds the address and no other; or so many hosts do. */
  vip_owner: z
    .union([z.strictObject({ host }), z.strictObject({ count: z.int().min(0).max(9) })])
    .optional(),
  /** The newest answer to the first probe came from this host. */
  answered_by: host.optional(),
  /** No request has failed for so long; every answer came in time. */
  probe_ok: z.strictObject({ for: limit, probe: probeId.optional() }).optional(),
  /** What the daemons last said they are. */
  state: z.record(host, z.enum(["MASTER", "BACKUP", "FAULT"])).optional(),
  /** The answers of the last second came from these web servers, from each of them and no other. */
  served_by: z.array(host).min(1).optional(),
  /** A program of the host has logged a line that matches, since the last fault or heal. */
  log: z.strictObject({ on: host, matches: z.string().min(1) }).optional(),
});

const timedCondition = condition.extend({ within: programLimit });

const step = z.union([
  z.strictObject({ fault: faultSchema }),
  z.strictObject({ expect: timedCondition }),
  z.strictObject({ heal: z.string().min(1) }),
  z.strictObject({ pause: limit }),
]);

const check = z.union([
  z.strictObject({ probe: probeId, longest_gap: programLimit }),
  z.strictObject({ probe: probeId, answered_by: z.array(host).min(1) }),
  z.strictObject({ probe: probeId, failed: programCount }),
  z.strictObject({ probe: probeId, slowest: programLimit }),
  z.strictObject({ probe: probeId, two_answerers: programLimit }),
  z.strictObject({ two_owners: programLimit }),
  z.strictObject({ no_owner: programLimit }),
  z.strictObject({ vrrp_transitions: z.record(host, programCount) }),
]);

const probe = z.strictObject({
  id: probeId,
  /** Path that is asked of the virtual address by HTTP. */
  http: z.string().startsWith("/").default("/"),
  from: host.default("client"),
  /** How often a request is sent. */
  every: limit.prefault("20ms"),
  /** After that long a request has failed. */
  timeout: limit.prefault("500ms"),
  /** Connections are kept for further requests, as browsers do. */
  keep_alive: z.boolean().default(false),
});

const pair = z.strictObject({
  version: z.union([z.literal(2), z.literal(3)]).default(3),
  /** A driver whose machines are slow takes a longer one. */
  advert: limit.prefault("100ms"),
  preempt: z.boolean().default(true),
  /** How vrrpd learns of the proxy: `killall -0 haproxy` every second, or by its own `proxy` block, or not at all. */
  proxy: z.enum(["script", "supervised", "unwatched"]).default("unwatched"),
  /** What the check adds to a priority while the proxy lives. More than the distance of 50 makes it decide. */
  weight: z.int().min(-253).max(253).default(60),
  /** vrrpd's `restart_before_failover` of a supervised proxy. */
  restart_before_failover: z.int().min(0).max(60).default(0),
  /** Seconds until vrrpd starts a supervised proxy again that died. */
  restart_delay: z.int().min(0).max(60).default(0),
  /** Both hosts start with this daemon, whatever the run's is. */
  daemon: daemonName.optional(),
});

/** A drill as its file says. */
export const drillSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "must be words of a-z and 0-9 joined by '-'"),
  /** One sentence: what is claimed. */
  about: z.string().min(1),
  needs: z
    .array(
      z.enum([
        "freeze-host",
        "power",
        "link",
        "partition",
        "netem",
        "clock",
        "small-disk",
        "cpu-load",
        "keepalived",
        "guard",
        "vrrpctl",
        "supervised-proxy",
      ]),
    )
    .default([]),
  /** Nothing else runs on the machine meanwhile. */
  alone: z.boolean().default(false),
  /** Programs that are known to fail this drill, and how: its reason to be. */
  known_to_fail: z
    .strictObject({ keepalived: z.string().optional(), haproxy: z.string().optional() })
    .default({}),
  pair: pair.prefault({}),
  probes: z
    .array(probe)
    .min(1)
    .prefault([{ id: "who" }]),
  steady: z.array(condition).min(1),
  steps: z.array(step).min(1),
  check: z.array(check).min(1),
  /** What holds again once everything has been undone. */
  after: z
    .array(condition)
    .min(1)
    .prefault([{ vip_owner: { count: 1 }, probe_ok: { for: "500ms" } }]),
});

export type Drill = z.output<typeof drillSchema>;
export type Condition = z.output<typeof condition>;
export type TimedCondition = z.output<typeof timedCondition>;
export type Check = z.output<typeof check>;
export type ProbePlan = z.output<typeof probe>;
export type PairPlan = z.output<typeof pair>;

/** Everything a drill asks of a driver and of the programs, each once. */
export function needsOf(drill: Drill): readonly Need[] {
  const needs = new Set<Need>(drill.needs);
  for (const fault of faultsOf(drill)) {
    const need = needOf(fault);
    if (need !== undefined) needs.add(need);
  }
  if (drill.pair.daemon === "keepalived") needs.add("keepalived");
  if (drill.pair.proxy === "supervised") needs.add("supervised-proxy");
  return [...needs];
}

export function faultsOf(drill: Drill): readonly Fault[] {
  return drill.steps.flatMap((one) => ("fault" in one ? [one.fault] : []));
}

/** A contradiction inside a drill, and the path of where it stands. */
export interface DrillProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What a schema cannot see: names that nothing carries. `hosts` are those of the inventory. */
export function checkDrill(drill: Drill, hosts: ReadonlySet<string>): readonly DrillProblem[] {
  const problems: DrillProblem[] = [];
  const known = [...hosts].join(", ");
  const wantHost = (name: string, ...path: (string | number)[]): void => {
    if (!hosts.has(name))
      problems.push({ path, message: `no host is called '${name}'; there are ${known}` });
  };
  const probes = new Set<string>();
  drill.probes.forEach(({ id, from }, i) => {
    if (probes.has(id))
      problems.push({ path: ["probes", i, "id"], message: `a second probe is called '${id}'` });
    probes.add(id);
    wantHost(from, "probes", i, "from");
  });
  const wantProbe = (id: string, ...path: (string | number)[]): void => {
    if (!probes.has(id)) problems.push({ path, message: `no probe is called '${id}'` });
  };
  const wantCondition = (one: Condition, ...path: (string | number)[]): void => {
    if (one.vip_owner !== undefined && "host" in one.vip_owner)
      wantHost(one.vip_owner.host, ...path, "vip_owner", "host");
    if (one.answered_by !== undefined) wantHost(one.answered_by, ...path, "answered_by");
    for (const name of Object.keys(one.state ?? {})) wantHost(name, ...path, "state", name);
    one.served_by?.forEach((name, i) => {
      wantHost(name, ...path, "served_by", i);
    });
    if (one.log !== undefined) {
      wantHost(one.log.on, ...path, "log", "on");
      if (!isPattern(one.log.matches))
        problems.push({ path: [...path, "log", "matches"], message: "is no regular expression" });
    }
    if (one.probe_ok?.probe !== undefined)
      wantProbe(one.probe_ok.probe, ...path, "probe_ok", "probe");
  };
  drill.steady.forEach((one, i) => {
    wantCondition(one, "steady", i);
  });
  drill.after.forEach((one, i) => {
    wantCondition(one, "after", i);
  });
  const named = new Set<string>();
  drill.steps.forEach((one, i) => {
    if ("fault" in one) {
      hostsOf(one.fault).forEach((name, n) => {
        wantHost(
          name,
          "steps",
          i,
          "fault",
          ...(one.fault.kind === "partition" ? ["between", n] : ["on"]),
        );
      });
      const { as } = one.fault;
      if (as !== undefined && named.has(as))
        problems.push({
          path: ["steps", i, "fault", "as"],
          message: `a second fault is called '${as}'`,
        });
      if (as !== undefined) named.add(as);
    } else if ("heal" in one) {
      if (!named.has(one.heal))
        problems.push({
          path: ["steps", i, "heal"],
          message: `no fault before it is called '${one.heal}' (as: ${one.heal})`,
        });
    } else if ("expect" in one) {
      wantCondition(one.expect, "steps", i, "expect");
    }
  });
  drill.check.forEach((one, i) => {
    if ("probe" in one) wantProbe(one.probe, "check", i, "probe");
    if ("answered_by" in one)
      one.answered_by.forEach((name, n) => {
        wantHost(name, "check", i, "answered_by", n);
      });
    if ("vrrp_transitions" in one)
      for (const name of Object.keys(one.vrrp_transitions))
        wantHost(name, "check", i, "vrrp_transitions", name);
  });
  return problems;
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

/** What a pair is when a drill says nothing of it. */
export function defaultPlan(): PairPlan {
  return pair.parse({});
}
