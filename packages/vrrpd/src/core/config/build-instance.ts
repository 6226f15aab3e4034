import {
  compareAddresses,
  type Family,
  micros,
  parseAddress,
  parseInteger,
  type Statement,
  seconds,
} from "@ha/base";
import { readAddressLine } from "./address-line.ts";
import { AddressVmacs } from "./address-vmacs.ts";
import { authenticationTable } from "./authentication-table.ts";
import { type Block, readBlock } from "./block.ts";
import { type BuildContext, lineContext, needInterface } from "./build-context.ts";
import { buildNotifyScript } from "./build-script.ts";
import { buildTracks, type Trackers } from "./build-tracks.ts";
import type { globalTable } from "./global-table.ts";
import { buildHmac } from "./hmac.ts";
import { type Draft, type InstanceCheck, instanceChecks } from "./instance-checks.ts";
import { instanceTable } from "./instance-table.ts";
import type {
  Authentication,
  Instance,
  Ipvlan,
  Notify,
  UnicastPeer,
  VirtualAddress,
  VirtualRoute,
  VirtualRule,
} from "./model.ts";
import { readRouteLine } from "./route-line.ts";
import { type RulePriorities, readRuleLine } from "./rule-line.ts";
import { encodeUtf8 } from "./utf8.ts";
import { defaultVmacName, finishVmac, readIpvlan, readVmac } from "./vmac-line.ts";

type InstanceBlock = Block<typeof instanceTable>;
type GlobalBlock = Block<typeof globalTable>;

/** `vrrp_instance NAME { … }` with every default filled in and every contradiction settled as keepalived does. */
export function buildInstance(
  statement: Statement,
  {
    context,
    global,
    trackers,
    priorities,
  }: {
    readonly context: BuildContext;
    readonly global: GlobalBlock;
    readonly trackers: Trackers;
    readonly priorities: RulePriorities;
  },
): Instance | undefined {
  const { diagnostics, globals } = context;
  const [keyword, nameToken] = statement.words;
  if (nameToken === undefined) return undefined;
  const name = nameToken.text;
  const block = readBlock(instanceTable, statement.body ?? [], diagnostics, {
    at: keyword.at,
    name,
  });
  const peers = readPeers(block, context);
  const family = familyOfInstance(statement.body ?? [], block, peers);
  const vrid = block.get("virtual_router_id") ?? 0;
  const master = block.all("state").some(({ value }) => value === "MASTER");
  const interfaceName = readInterface(block, context);
  const advertised = readAddresses(block, "virtual_ipaddress", context, family, []);
  const unicastPeers = peers.filter(({ address, at }) => {
    if (address.family === family) return true;
    diagnostics.error(
      "config/family",
      at,
      `(${name}) the peer must be an IPv${family} address, as the instance is IPv${family}`,
    );
    return false;
  });
  const strict = block.get("strict_mode") ?? global.get("vrrp_strict") ?? false;
  const minimal = global.get("vrrp_min_garp") === true;
  const interval = block.take("advert_int") ?? seconds(1);
  const masterDelay = minimal ? micros(0) : (global.take("vrrp_garp_master_delay") ?? seconds(5));
  const masterRepeat = minimal ? 1 : (global.take("vrrp_garp_master_repeat") ?? 5);
  const delay = block.get("garp_master_delay") ?? masterDelay;
  const repeat = block.get("garp_master_repeat") ?? masterRepeat;
  const source = block.get("unicast_src_ip") ?? block.get("mcast_src_ip");
  const multicast = block.get("mcast_dst_ip");
  const expired = block.get("timer_expired_backup");
  const extra = block.get("garp_extra_if") ?? global.get("vrrp_garp_extra_if");
  const vrf = block.get("vrf");
  const buffer = block.get("kernel_rx_buf_size");
  const authentication = readAuthentication(block, name, context);
  const hmacStatement = block.written("auth_hmac")?.statement;
  const hmac =
    hmacStatement === undefined ? undefined : buildHmac(hmacStatement, name, interval, context);
  const ipvlan = readIpvlanOf(block, family, vrid, context);

  const draft: Draft = {
    name,
    at: keyword.at,
    family,
    state: master ? "MASTER" : "BACKUP",
    ...(interfaceName === undefined ? {} : { interface: interfaceName }),
    ...(vrf === undefined ? {} : { vrf }),
    virtual_router_id: vrid,
    priority: block.get("priority") ?? (master && !block.has("priority") ? 255 : 100),
    advert_int: interval,
    version: block.get("version") ?? (family === 6 ? 3 : globals.vrrp_version),
    ...(authentication === undefined ? {} : { authentication }),
    ...(hmac === undefined ? {} : { auth_hmac: hmac }),
    virtual_ipaddress: advertised,
    virtual_ipaddress_excluded: readAddresses(
      block,
      "virtual_ipaddress_excluded",
      context,
      undefined,
      advertised,
    ),
    no_virtual_ipaddress: block.get("no_virtual_ipaddress") ?? false,
    virtual_routes: readRoutes(block.lines("virtual_routes"), context, false),
    virtual_rules: readRules(block.lines("virtual_rules"), context, false, priorities),
    promote_secondaries: block.get("promote_secondaries") ?? false,
    unicast: unicastPeers.length > 0 || block.get("unicast_fault_no_peer") === true,
    unicast_peer: unicastPeers,
    ...(source === undefined || source.family !== family ? {} : { source }),
    ...(multicast === undefined || multicast.family !== family ? {} : { mcast_dst_ip: multicast }),
    unicast_ttl: block.take("unicast_ttl") ?? 255,
    check_unicast_src:
      block.get("check_unicast_src") ??
      (global.get("vrrp_check_unicast_src") === true ||
        unicastPeers.some((peer) => peer.min_ttl !== undefined || peer.max_ttl !== undefined)),
    unicast_fault_no_peer: block.get("unicast_fault_no_peer") ?? false,
    old_unicast_checksum: block.get("old_unicast_checksum") ?? "auto",
    v3_checksum_as_v2: block.get("v3_checksum_as_v2") ?? global.take("v3_checksum_as_v2") ?? false,
    track_src_ip: block.get("track_src_ip") ?? false,
    preempt: lastOf(block, "preempt", "nopreempt") !== "nopreempt",
    preempt_delay: block.take("preempt_delay") ?? micros(0),
    strict_mode: strict,
    // keepalived turns it on whatever follows; `off` here means off.
    skip_check_adv_addr:
      block.get("skip_check_adv_addr") ?? global.get("vrrp_skip_check_adv_addr") ?? false,
    lower_prio_no_advert:
      block.get("lower_prio_no_advert") ?? global.get("vrrp_lower_prio_no_advert") ?? false,
    higher_prio_send_advert:
      block.get("higher_prio_send_advert") ?? global.get("vrrp_higher_prio_send_advert") ?? false,
    owner_ignore_adverts:
      block.get("owner_ignore_adverts") ?? global.get("vrrp_owner_ignore_adverts") ?? false,
    down_timer_adverts:
      block.get("down_timer_adverts") ?? global.take("vrrp_down_timer_adverts") ?? 3,
    ...(expired === undefined ? {} : { timer_expired_backup: expired }),
    accept: lastOf(block, "accept", "no_accept") !== "no_accept",
    garp_master_delay: delay,
    garp_master_repeat: repeat,
    garp_master_refresh:
      block.get("garp_master_refresh") ?? global.take("vrrp_garp_master_refresh") ?? micros(0),
    garp_master_refresh_repeat:
      block.get("garp_master_refresh_repeat") ??
      global.take("vrrp_garp_master_refresh_repeat") ??
      1,
    garp_lower_prio_delay:
      block.get("garp_lower_prio_delay") ?? global.get("vrrp_garp_lower_prio_delay") ?? delay,
    garp_lower_prio_repeat:
      block.get("garp_lower_prio_repeat") ?? global.get("vrrp_garp_lower_prio_repeat") ?? repeat,
    ...(extra === undefined || extra.interval === 0 ? {} : { garp_extra_if: extra }),
    ...vmacOf(block, { family, vrid, strict }, context),
    use_vmac_addr: block.get("use_vmac_addr") ?? false,
    vmac_xmit_base: block.get("vmac_xmit_base") ?? false,
    ...(ipvlan === undefined ? {} : { use_ipvlan: ipvlan }),
    dont_track_primary: block.get("dont_track_primary") ?? false,
    linkbeat_use_polling: block.get("linkbeat_use_polling") ?? globals.linkbeat_use_polling,
    ...buildTracks(block, trackers, context),
    notify: buildNotify(block, context),
    notify_priority_changes:
      block.get("notify_priority_changes") ?? global.get("vrrp_notify_priority_changes") ?? false,
    smtp_alert:
      block.get("smtp_alert") ?? global.get("smtp_alert_vrrp") ?? global.get("smtp_alert") ?? false,
    ...(buffer === undefined ? {} : { kernel_rx_buf_size: buffer }),
    debug: block.take("debug") ?? 0,
    witness: block.get("witness") ?? globals.vrrp_witness,
  };
  runChecks({ draft, block, global, context, end: statement.end });
  const vmacs = new AddressVmacs(draft, context);
  return {
    ...draft,
    virtual_ipaddress: vmacs.assign(draft.virtual_ipaddress),
    virtual_ipaddress_excluded: vmacs.assign(draft.virtual_ipaddress_excluded),
  };
}

function runChecks(parts: Omit<InstanceCheck, "adjust" | "refuse">): void {
  const { block, context } = parts;
  const check: InstanceCheck = {
    ...parts,
    adjust: (keyword, message, hint) => {
      context.diagnostics.warning("config/corrected", block.positionOf(keyword), message, hint);
    },
    refuse: (code, message, at, hint) => {
      context.diagnostics.error(code, at, message, hint);
    },
  };
  for (const run of instanceChecks) run(check);
}

/** The first statement with an address decides. observed: keepalived 2.2.7 */
function familyOfInstance(
  statements: readonly Statement[],
  block: InstanceBlock,
  peers: readonly UnicastPeer[],
): Family {
  const first = (body: readonly Statement[] | undefined): Family | undefined => {
    for (const { words } of body ?? []) {
      const address = parseAddress(words[0].text.replace(/\/.*$/s, ""));
      if (address !== undefined) return address.family;
    }
    return undefined;
  };
  for (const { words, body } of statements) {
    let family: Family | undefined;
    switch (words[0].text) {
      case "native_ipv6":
        return 6;
      case "mcast_src_ip":
        family = block.get("mcast_src_ip")?.family;
        break;
      case "unicast_src_ip":
        family = block.get("unicast_src_ip")?.family;
        break;
      case "mcast_dst_ip":
        family = block.get("mcast_dst_ip")?.family;
        break;
      case "unicast_peer":
        family = peers[0]?.address.family;
        break;
      case "use_ipvlan":
        family = words
          .slice(1)
          .map(({ text }) => parseAddress(text.replace(/\/.*$/s, "")))
          .find((address) => address !== undefined)?.family;
        break;
      case "virtual_ipaddress":
        family = first(body);
        break;
    }
    if (family !== undefined) return family;
  }
  return 4;
}

function lastOf<A extends keyof typeof instanceTable, B extends keyof typeof instanceTable>(
  block: InstanceBlock,
  a: A,
  b: B,
): A | B | undefined {
  const first = block.written(a)?.at;
  const second = block.written(b)?.at;
  if (first === undefined || second === undefined) {
    return first === undefined ? (second === undefined ? undefined : b) : a;
  }
  const after = first.line - second.line || first.column - second.column;
  return after > 0 ? a : b;
}

function readInterface(block: InstanceBlock, context: BuildContext): string | undefined {
  const written = block.written("interface");
  if (written === undefined) return undefined;
  const at = written.statement.words[1]?.at ?? written.at;
  const found = context.host.findInterface(written.value);
  if (found?.loopback === true || written.value === "lo") {
    context.diagnostics.error(
      "config/loopback",
      at,
      `(${block.name}) the loopback interface cannot be used for VRRP`,
    );
    return undefined;
  }
  needInterface(context, written.value, at, `instance (${block.name})`);
  return written.value;
}

function readAddresses(
  block: InstanceBlock,
  keyword: "virtual_ipaddress" | "virtual_ipaddress_excluded",
  context: BuildContext,
  family: Family | undefined,
  before: readonly VirtualAddress[],
): VirtualAddress[] {
  const found: VirtualAddress[] = [];
  const seen = new Set(before.map(keyOf));
  const line = lineContext(context, false);
  for (const statement of block.lines(keyword)) {
    const address = readAddressLine(statement, line);
    if (address === undefined) continue;
    if (family !== undefined && address.address.family !== family) {
      context.diagnostics.error(
        "config/family",
        address.at,
        `(${block.name}) '${statement.words[0].text}' must be an IPv${family} address, as the instance is IPv${family}; it is ignored`,
        "write it in virtual_ipaddress_excluded",
      );
      continue;
    }
    const key = keyOf(address);
    if (seen.has(key)) {
      context.diagnostics.warning(
        "config/duplicate",
        address.at,
        `(${block.name}) '${statement.words[0].text}' is there already; it is ignored`,
      );
      continue;
    }
    seen.add(key);
    found.push(address);
  }
  return found;
}

function keyOf({ address, length, dev }: VirtualAddress): string {
  return `${address.bytes.join(".")}/${length} ${dev ?? ""}`;
}

export function readRoutes(
  lines: readonly Statement[],
  context: BuildContext,
  fixed: boolean,
): VirtualRoute[] {
  const line = lineContext(context, fixed);
  return lines.flatMap((statement) => readRouteLine(statement, line) ?? []);
}

export function readRules(
  lines: readonly Statement[],
  context: BuildContext,
  fixed: boolean,
  priorities: RulePriorities,
): VirtualRule[] {
  const line = lineContext(context, fixed);
  return lines.flatMap((statement) => readRuleLine(statement, line, priorities) ?? []);
}

function readPeers(block: InstanceBlock, { diagnostics }: BuildContext): UnicastPeer[] {
  const peers: UnicastPeer[] = [];
  for (const { words } of block.lines("unicast_peer")) {
    const [head, ...options] = words;
    const address = parseAddress(head.text.replace(/\/.*$/s, ""));
    if (address === undefined) {
      diagnostics.error(
        "config/bad-address",
        head.at,
        `'${head.text}' is not the address of a peer`,
      );
      continue;
    }
    const limits: { min_ttl?: number; max_ttl?: number } = {};
    for (let i = 0; i < options.length; i += 2) {
      const option = options[i];
      const value = options[i + 1];
      if (option === undefined) break;
      const ttl = parseInteger(value?.text ?? "");
      if (option.text !== "min_ttl" && option.text !== "max_ttl") {
        diagnostics.error(
          "config/unknown-word",
          option.at,
          `'${option.text}' is not an option of a peer`,
          "write: <address> [min_ttl <0..255>] [max_ttl <0..255>]",
        );
        break;
      }
      if (ttl === undefined || ttl < 0 || ttl > 255) {
        diagnostics.error(
          "config/bad-value",
          (value ?? option).at,
          `${option.text} must be a whole number from 0 to 255`,
        );
        continue;
      }
      limits[option.text] = ttl;
    }
    if (
      limits.min_ttl !== undefined &&
      limits.max_ttl !== undefined &&
      limits.min_ttl > limits.max_ttl
    ) {
      diagnostics.warning(
        "config/corrected",
        head.at,
        `min_ttl ${limits.min_ttl} is above max_ttl ${limits.max_ttl}: every packet of this peer is dropped`,
      );
    }
    if (peers.some((peer) => compareAddresses(peer.address, address) === 0)) {
      diagnostics.warning(
        "config/duplicate",
        head.at,
        `the peer ${head.text} is there already; it is ignored`,
      );
      continue;
    }
    peers.push({ address, ...limits, at: head.at });
  }
  return peers;
}

function readAuthentication(
  block: InstanceBlock,
  name: string,
  context: BuildContext,
): Authentication | undefined {
  const statement = block.written("authentication")?.statement;
  if (statement === undefined) return undefined;
  const { diagnostics } = context;
  const inner = readBlock(authenticationTable, statement.body ?? [], diagnostics, {
    at: statement.words[0].at,
  });
  const type = inner.get("auth_type");
  const written = inner.written("auth_pass");
  const bytes = encodeUtf8(written?.value ?? "");
  if (bytes.length > 8) {
    diagnostics.warning(
      "config/corrected",
      written?.statement.words[1]?.at,
      `(${name}) auth_pass has ${bytes.length} bytes, only the first 8 count`,
      "shorten it on all routers",
    );
  }
  if (type === undefined) return undefined;
  if (bytes.length === 0) {
    diagnostics.error(
      "config/no-password",
      inner.positionOf("auth_type"),
      `(${name}) authentication has no auth_pass; it is ignored`,
    );
    return undefined;
  }
  return { type, password: bytes.slice(0, 8) };
}

function vmacOf(
  block: InstanceBlock,
  { family, vrid, strict }: { family: Family; vrid: number; strict: boolean },
  context: BuildContext,
): Pick<Instance, "use_vmac"> | Record<never, never> {
  const statement = block.written("use_vmac")?.statement;
  if (statement === undefined) return {};
  const written = readVmac(statement.words.slice(1), context, { instance: block.name, vrid });
  const own = written.macAt !== undefined && strict;
  if (own) {
    context.diagnostics.warning(
      "config/corrected",
      written.macAt?.at,
      "strict mode has no MAC of one's own; it is ignored",
    );
  }
  const { mac, ...rest } = written;
  const kept = own || mac === undefined ? rest : { ...rest, mac };
  const vmac = finishVmac(kept, context.globals.vmac_prefix, { family, vrid });
  context.vmacNames.set(vmac.name, block.name);
  return { use_vmac: vmac };
}

function readIpvlanOf(
  block: InstanceBlock,
  family: Family,
  vrid: number,
  context: BuildContext,
): Ipvlan | undefined {
  const statement = block.written("use_ipvlan")?.statement;
  if (statement === undefined) return undefined;
  const { name, ...rest } = readIpvlan(statement.words.slice(1), context);
  return { name: name ?? defaultVmacName(context.globals.vmac_prefix, family, vrid), ...rest };
}

/** Notify scripts of an instance; those of sync groups are a part of them. */
export function buildNotify(
  block: { statementOf(keyword: string): Statement | undefined },
  context: BuildContext,
): Notify {
  const script = (keyword: string) => {
    const statement = block.statementOf(keyword);
    if (statement === undefined || statement.words.length < 2) return undefined;
    return buildNotifyScript(statement, context);
  };
  const all = {
    master: script("notify_master"),
    backup: script("notify_backup"),
    fault: script("notify_fault"),
    stop: script("notify_stop"),
    deleted: script("notify_deleted"),
    master_rx_lower_pri: script("notify_master_rx_lower_pri"),
    any: script("notify"),
  };
  const { master, backup, fault, stop, deleted, master_rx_lower_pri: lower, any } = all;
  return {
    ...(master === undefined ? {} : { master }),
    ...(backup === undefined ? {} : { backup }),
    ...(fault === undefined ? {} : { fault }),
    ...(stop === undefined ? {} : { stop }),
    ...(deleted === undefined ? {} : { deleted }),
    ...(lower === undefined ? {} : { master_rx_lower_pri: lower }),
    ...(any === undefined ? {} : { any }),
    send_deleted: block.statementOf("notify_deleted") !== undefined,
  };
}
