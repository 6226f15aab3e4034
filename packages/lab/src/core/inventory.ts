import { z } from "zod";

const role = z.enum(["lb", "web", "client"]);

/** How a command gets to a host: into its namespaces, or by ssh. */
const exec = z.union([
  /** The first process of a namespaced host, as the machine sees it. */
  z.strictObject({ netns: z.strictObject({ pid: z.int().positive() }) }),
  z.strictObject({ ssh: z.strictObject({ config: z.string(), host: z.string() }) }),
]);

const labHost = z.strictObject({
  role,
  /** On the data network. */
  addr: z.ipv4(),
  exec,
  /** libvirt's name of the machine. */
  domain: z.string().optional(),
});

/** What a driver built, and what a drill may count on. */
export const inventorySchema = z.strictObject({
  driver: z.enum(["netns", "vagrant"]),
  slack: z.strictObject({
    /** Limits are multiplied by it … */
    time_factor: z.number().min(1).max(10),
    /** … and this is added; an undisturbed client may wait so long, too, or the run is inconclusive. Seconds. */
    floor_s: z.number().min(0).max(60),
  }),
  /** Interface of the data network on every host. */
  interface: z.string(),
  /** What the balancers share. */
  address: z.ipv4(),
  /** The shortest advert interval that the machines keep up with. Seconds. */
  least_advert_s: z.number().min(0.01).max(255),
  /** The quickest pace of probes, and their shortest time limit, that the machines keep up with. Seconds. */
  least_probe_every_s: z.number().min(0.001).max(60).default(0.25),
  least_probe_timeout_s: z.number().min(0.01).max(60).default(3),
  /** How long the steady state is watched before the first fault. Seconds. */
  baseline_s: z.number().min(0.1).max(600),
  hosts: z.record(z.string().min(1), labHost),
});

export type Inventory = z.output<typeof inventorySchema>;
export type LabHost = z.output<typeof labHost>;

/** Names of the hosts of a role, in the order of the inventory. */
export function hostsOfRole({ hosts }: Inventory, wanted: LabHost["role"]): readonly string[] {
  return Object.entries(hosts).flatMap(([name, one]) => (one.role === wanted ? [name] : []));
}
