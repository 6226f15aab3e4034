import { parseDecimal, type Statement } from "@ha/base";
import { readAddressLine } from "./address-line.ts";
import { readBlock } from "./block.ts";
import { type BuildContext, lineContext, needInterface } from "./build-context.ts";
import { buildNotify } from "./build-instance.ts";
import { readDelay } from "./build-trackers.ts";
import { buildTracks, type Trackers } from "./build-tracks.ts";
import { garpGroupTable, syncGroupTable, trackGroupTable } from "./group-tables.ts";
import type {
  GarpGroup,
  Instance,
  InterfaceDelay,
  LinkbeatInterface,
  SyncGroup,
  Track,
  TrackGroup,
  VirtualAddress,
} from "./model.ts";

/** A sync group before its members are known, since they may stand below it. */
export interface WrittenGroup {
  readonly group: SyncGroup;
  readonly smtp: boolean | undefined;
  readonly statement: Statement;
}

export function buildSyncGroup(
  statement: Statement,
  trackers: Trackers,
  context: BuildContext,
  defaults: { readonly smtp_alert: boolean; readonly notify_priority_changes: boolean },
): WrittenGroup | undefined {
  const { diagnostics } = context;
  const [keyword, name] = statement.words;
  if (name === undefined) return undefined;
  const block = readBlock(syncGroupTable, statement.body ?? [], diagnostics, {
    at: keyword.at,
    name: name.text,
  });
  const blocks = block.all("group");
  const [, second] = blocks;
  if (second !== undefined) {
    diagnostics.error(
      "config/duplicate",
      second.at,
      `sync group ${name.text} has its group already; this one is ignored`,
    );
  }
  const lines = blocks[0]?.statement.body ?? [];
  if (blocks[0] !== undefined && lines.length === 0) {
    diagnostics.error(
      "config/empty-group",
      blocks[0].statement.end ?? blocks[0].at,
      `sync group ${name.text} names no members`,
    );
  }
  const members: string[] = [];
  for (const { words } of lines) {
    const [member, extra] = words;
    if (extra !== undefined) {
      diagnostics.warning(
        "config/trap",
        extra.at,
        `only '${member.text}' is read of this line`,
        "write one instance a line",
      );
    }
    if (!members.includes(member.text)) members.push(member.text);
  }
  return {
    group: {
      name: name.text,
      at: keyword.at,
      members,
      sync_group_tracking_weight: block.get("sync_group_tracking_weight") ?? false,
      ...buildTracks(block, trackers, context),
      notify: buildNotify(block, context),
      notify_priority_changes:
        block.get("notify_priority_changes") ?? defaults.notify_priority_changes,
      smtp_alert: block.get("smtp_alert") ?? defaults.smtp_alert,
    },
    smtp: block.get("smtp_alert"),
    statement,
  };
}

/** Sync groups with members that exist, each instance in one group, and trackers that agree. */
export function finishSyncGroups(
  written: readonly WrittenGroup[],
  instances: Map<string, Instance>,
  context: BuildContext,
): SyncGroup[] {
  const { diagnostics } = context;
  const groups: SyncGroup[] = [];
  for (const { group, statement } of written) {
    const at = statement.end ?? group.at;
    const members: string[] = [];
    for (const name of group.members) {
      const instance = instances.get(name);
      const place = memberPosition(statement, name) ?? group.at;
      if (instance === undefined) {
        diagnostics.error(
          "config/not-found",
          place,
          `sync group ${group.name}: there is no instance ${name}`,
        );
      } else if (instance.sync_group !== undefined) {
        diagnostics.error(
          "config/duplicate",
          place,
          `sync group ${group.name}: instance ${name} is in group ${instance.sync_group} already`,
        );
      } else {
        members.push(name);
        instances.set(name, { ...instance, sync_group: group.name });
      }
    }
    if (members.length === 0) {
      diagnostics.error(
        "config/empty-group",
        at,
        `sync group ${group.name} has no members; it is ignored`,
      );
      continue;
    }
    if (members.length === 1) {
      diagnostics.warning(
        "config/small-group",
        at,
        `sync group ${group.name} has one member only, which is probably not meant`,
      );
    }
    if (!group.sync_group_tracking_weight) {
      for (const name of members) dropMemberWeights(name, instances, group.name, context);
    }
    groups.push(withoutOwnerWeights({ ...group, members }, instances, context));
  }
  return groups;
}

function memberPosition(statement: Statement, name: string) {
  for (const inner of statement.body ?? []) {
    const line = inner.body?.find(({ words }) => words[0].text === name);
    if (line !== undefined) return line.words[0].at;
  }
  return undefined;
}

/** Members of a group must not differ in priority by trackers of their own. keepalived.conf(5), vrrp_sync_group */
function dropMemberWeights(
  name: string,
  instances: Map<string, Instance>,
  group: string,
  { diagnostics }: BuildContext,
): void {
  const instance = instances.get(name);
  if (instance === undefined) return;
  const keep = (tracks: readonly Track[], silent = false): Track[] =>
    tracks.filter((track) => {
      if (track.weight === 0) return true;
      if (!silent) {
        diagnostics.warning(
          "config/corrected",
          track.at,
          `(${name}) a member of sync group ${group} cannot have the weighted tracker ${track.name}; the line is ignored`,
          "track it in the group, or write weight 0, or sync_group_tracking_weight in the group",
        );
      }
      return false;
    });
  instances.set(name, {
    ...instance,
    track_interface: keep(instance.track_interface),
    track_script: keep(instance.track_script),
    track_file: keep(instance.track_file.map(withoutDefaultWeight(diagnostics, name))),
    track_bfd: keep(instance.track_bfd),
    track_proxy: keep(instance.track_proxy),
    track_process: keep(instance.track_process, true),
  });
}

/** A file's default weight of 1 is no wish for a weight: it becomes 0, with a complaint. */
function withoutDefaultWeight(
  diagnostics: BuildContext["diagnostics"],
  name: string,
): (track: Track) => Track {
  return (track) => {
    if (track.weight !== 1) return track;
    diagnostics.warning(
      "config/corrected",
      track.at,
      `(${name}) the file ${track.name} counts with weight 0, since the instance is in a sync group`,
      "write weight 0",
    );
    return { ...track, weight: 0 };
  };
}

function withoutOwnerWeights(
  group: SyncGroup,
  instances: ReadonlyMap<string, Instance>,
  { diagnostics }: BuildContext,
): SyncGroup {
  if (!group.members.some((name) => instances.get(name)?.priority === 255)) return group;
  const clear = (tracks: readonly Track[]): Track[] =>
    tracks.map((track) => {
      if (track.weight === 0) return track;
      diagnostics.warning(
        "config/corrected",
        track.at,
        `sync group ${group.name}: a member has priority 255, so ${track.name} counts with weight 0`,
      );
      return { ...track, weight: 0 };
    });
  return {
    ...group,
    track_interface: clear(group.track_interface),
    track_script: clear(group.track_script),
    track_file: clear(group.track_file),
    track_process: clear(group.track_process),
    track_bfd: clear(group.track_bfd),
    track_proxy: clear(group.track_proxy),
  };
}

export function buildTrackGroup(
  statement: Statement,
  before: readonly TrackGroup[],
  { diagnostics }: BuildContext,
): TrackGroup | undefined {
  const [keyword, name] = statement.words;
  if (name === undefined) return undefined;
  if (before.some((group) => group.name === name.text)) {
    diagnostics.error(
      "config/duplicate-block",
      keyword.at,
      `track_group ${name.text} is there already; this one is ignored`,
    );
    return undefined;
  }
  const block = readBlock(trackGroupTable, statement.body ?? [], diagnostics, { at: keyword.at });
  const members = block.lines("group").map(({ words }) => words[0].text);
  if (members.length === 0) {
    diagnostics.error(
      "config/empty-group",
      statement.end ?? keyword.at,
      `track_group ${name.text} has no members; it is ignored`,
    );
    return undefined;
  }
  return { name: name.text, at: keyword.at, members };
}

export function buildGarpGroup(
  statement: Statement,
  taken: Set<string>,
  context: BuildContext,
): GarpGroup | undefined {
  const { diagnostics } = context;
  const [keyword] = statement.words;
  const block = readBlock(garpGroupTable, statement.body ?? [], diagnostics, { at: keyword.at });
  const garp = block.get("garp_interval");
  const gna = block.get("gna_interval");
  const named = block.all("interface").map(({ statement: { words } }) => words[1] ?? words[0]);
  const there = [...named, ...block.lines("interfaces").map(({ words }) => words[0])].filter(
    (token) => needInterface(context, token.text, token.at, "garp_group"),
  );
  if (garp === undefined && gna === undefined) {
    if (!block.has("garp_interval")) {
      diagnostics.error(
        "config/garp-group",
        statement.end ?? keyword.at,
        "garp_group has neither garp_interval nor gna_interval; it is ignored",
      );
    }
    return undefined;
  }
  const interfaces: string[] = [];
  for (const token of there) {
    if (taken.has(token.text)) {
      diagnostics.error(
        "config/duplicate",
        token.at,
        `interface ${token.text} is in a garp_group already; it is ignored here`,
      );
      continue;
    }
    taken.add(token.text);
    interfaces.push(token.text);
  }
  return {
    at: keyword.at,
    ...(garp === undefined ? {} : { garp_interval: garp }),
    ...(gna === undefined ? {} : { gna_interval: gna }),
    interfaces,
  };
}

export function readInterfaceDelays(
  lines: readonly Statement[],
  context: BuildContext,
): InterfaceDelay[] {
  const { diagnostics } = context;
  const delays: InterfaceDelay[] = [];
  for (const { words } of lines) {
    const [name, down, up] = words;
    if (!isKnown(name.text, context)) {
      diagnostics.error(
        "config/unknown-interface",
        name.at,
        `there is no interface ${name.text}; the line is ignored`,
      );
      continue;
    }
    const read = (word: typeof down) => {
      if (word === undefined) return 0;
      const delay = readDelay(word, (text) => parseDecimal(text, 6));
      if (delay !== undefined) return delay;
      diagnostics.error(
        "config/bad-value",
        word.at,
        "a delay must be a number of seconds from 0 to 255",
        "write: <interface> <down> [<up>]",
      );
      return undefined;
    };
    const downDelay = read(down);
    const upDelay = read(up);
    if (downDelay === undefined || upDelay === undefined) continue;
    delays.push({
      interface: name.text,
      down: downDelay as InterfaceDelay["down"],
      up: upDelay as InterfaceDelay["up"],
      at: name.at,
    });
  }
  return delays;
}

export function readLinkbeat(
  lines: readonly Statement[],
  context: BuildContext,
): LinkbeatInterface[] {
  const { diagnostics } = context;
  const found: LinkbeatInterface[] = [];
  for (const { words } of lines) {
    const [name, type] = words;
    if (!isKnown(name.text, context)) {
      diagnostics.error(
        "config/unknown-interface",
        name.at,
        `there is no interface ${name.text}; the line is ignored`,
      );
      continue;
    }
    const kind = type?.text;
    if (type !== undefined && kind !== "MII" && kind !== "ETHTOOL" && kind !== "IOCTL") {
      diagnostics.error(
        "config/unknown-word",
        type.at,
        `'${type.text}' must be MII, ETHTOOL or IOCTL`,
      );
    }
    found.push({
      interface: name.text,
      ...(kind === "MII" || kind === "ETHTOOL" || kind === "IOCTL" ? { type: kind } : {}),
      at: name.at,
    });
  }
  return found;
}

function isKnown(name: string, { host, globals }: BuildContext): boolean {
  return (
    !host.checksWorld ||
    globals.dynamic_interfaces !== "off" ||
    host.findInterface(name) !== undefined
  );
}

/** `static_ipaddress`: an address without dev goes to default_interface, which then must exist. */
export function readStaticAddresses(
  lines: readonly Statement[],
  groups: readonly TrackGroup[],
  context: BuildContext,
): VirtualAddress[] {
  const { diagnostics, globals } = context;
  const line = lineContext(context, true);
  const found: VirtualAddress[] = [];
  for (const statement of lines) {
    const address = readAddressLine(statement, line);
    if (address === undefined) continue;
    if (address.dev === undefined && !isKnown(globals.default_interface, context)) {
      diagnostics.error(
        "config/unknown-interface",
        address.at,
        `there is no interface ${globals.default_interface} for this static address; the line is ignored`,
        "write dev <interface>, or default_interface in global_defs",
      );
      continue;
    }
    checkTrackGroup(address, groups, context);
    found.push(
      address.dev === undefined ? { ...address, dev: globals.default_interface } : address,
    );
  }
  return found;
}

export function checkTrackGroup(
  entry: { readonly track_group?: string; readonly at: VirtualAddress["at"] },
  groups: readonly TrackGroup[],
  { diagnostics }: BuildContext,
): void {
  const name = entry.track_group;
  if (name === undefined || groups.some((group) => group.name === name)) return;
  diagnostics.error(
    "config/not-found",
    entry.at,
    `there is no track_group ${name}`,
    "its block must stand above this one",
  );
}
