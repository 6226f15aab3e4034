/** One `vrrp_instance` of a test's configuration. What is left out is left to the daemon's defaults. */
export interface InstancePlan {
  readonly name?: string;
  readonly interface?: string;
  readonly vrid?: number;
  readonly priority: number;
  /** Default BACKUP. */
  readonly state?: "MASTER" | "BACKUP";
  /** Seconds. Default 1. */
  readonly interval?: number;
  /** Default 2. */
  readonly version?: 2 | 3;
  readonly addresses: readonly string[];
  /** Unicast: own address and that of the peer. */
  readonly unicast?: { readonly from: string; readonly to: string };
  readonly password?: string;
  /** Further lines. */
  readonly lines?: readonly string[];
}

/** A configuration as keepalived.conf(5) has it. `before` and `after` are blocks of their own. */
export function keepalivedConf(
  instances: readonly InstancePlan[],
  {
    globals = [],
    before = "",
    after = "",
  }: { globals?: readonly string[]; before?: string; after?: string } = {},
): string {
  const all = [`vrrp_version 2`, ...globals];
  return `global_defs {\n${indent(all)}\n}\n${before}\n${instances.map(instanceText).join("\n")}\n${after}\n`;
}

function instanceText(plan: InstancePlan): string {
  const { unicast, password } = plan;
  return `vrrp_instance ${plan.name ?? "VI_1"} {
${indent([
  `state ${plan.state ?? "BACKUP"}`,
  `interface ${plan.interface ?? "eth0"}`,
  `virtual_router_id ${plan.vrid ?? 51}`,
  `priority ${plan.priority}`,
  `version ${plan.version ?? 2}`,
  `advert_int ${plan.interval ?? 1}`,
  ...(unicast === undefined
    ? []
    : [`unicast_src_ip ${unicast.from}`, `unicast_peer {`, `  ${unicast.to}`, `}`]),
  ...(password === undefined
    ? []
    : [`authentication {`, `  auth_type PASS`, `  auth_pass ${password}`, `}`]),
  ...(plan.lines ?? []),
  `virtual_ipaddress {`,
  ...plan.addresses.map((address) => `  ${address}`),
  `}`,
])}
}`;
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join("\n");
}
