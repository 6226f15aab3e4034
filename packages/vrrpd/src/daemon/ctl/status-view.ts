import type { InstanceReport, StatusReport } from "../status-report.ts";
import { backendRows, proxyRows } from "./proxy-view.ts";
import { type Paint, textTable } from "./text-table.ts";

/** `vrrpctl status` for people. */
export function statusView(status: StatusReport, paint: Paint): string {
  const { instances, problems } = status;
  return [
    headline(status),
    problems.length === 0
      ? paint.good("all as it should be")
      : problems.map((problem) => paint.bad(`! ${problem}`)).join("\n"),
    "",
    textTable([
      ["INSTANCE", "STATE", "SINCE", "PRIORITY", "MASTER", "ADDRESSES"].map((it) =>
        paint.strong(it),
      ),
      ...instances.map((instance) => instanceRow(instance, status.now, paint)),
    ]),
    ...section("PROXIES", proxyRows(status.proxies, status.now, paint), paint),
    ...section("SERVERS", backendRows(status.proxies, paint), paint),
    ...section("PEERS", peerRows(instances), paint),
    ...section("CHECKS", checkRows(status, paint), paint),
    ...section("REFUSED PACKETS", refusedRows(instances), paint),
    "",
  ].join("\n");
}

function headline(status: StatusReport): string {
  const { pid, startedAt, now, configFile, guard, timers, lastReload, maintenance } = status;
  const reload =
    lastReload === undefined
      ? "no reload yet"
      : `reload ${age(now - lastReload.at)} ago ${lastReload.problem === undefined ? "done" : "refused"}`;
  const out =
    maintenance === undefined
      ? ""
      : `; maintenance ${maintenance.until === undefined ? "until it is ended" : `for ${age(maintenance.until - now)} more`}`;
  return (
    `vrrpd ${pid}, up ${age(now - startedAt)}, ${configFile}, ${reload}${out}\n` +
    `guard ${guard}; timers at worst ${round(timers.worst)} ms late, ${timers.stalls} of ${timers.fired} by more than 2 ms`
  );
}

function instanceRow(instance: InstanceReport, now: number, paint: Paint): string[] {
  const { state, master, device = "?" } = instance;
  const word = instance.splitBrain
    ? "MASTER (split brain)"
    : instance.leaving
      ? "MASTER (leaving)"
      : instance.yields
        ? "BACKUP (switchover)"
        : state;
  const colour = state === "MASTER" ? "good" : state === "BACKUP" ? "strong" : "bad";
  const addresses = [...instance.addresses, ...instance.excludedAddresses];
  return [
    instance.name,
    paint[instance.splitBrain ? "bad" : colour](word),
    age(now - instance.since),
    priorityText(instance),
    state === "MASTER"
      ? "this host"
      : master === undefined
        ? "-"
        : `${master.address} (${master.priority})`,
    `${shortList(addresses)} on ${device}${instance.addressesHeld ? "" : paint.faint(" (not held)")}`,
  ];
}

function priorityText({ basePriority, effectivePriority, trackers }: InstanceReport): string {
  const parts = trackers
    .filter(({ adds }) => adds !== 0)
    .map(({ name, adds }) => `${adds > 0 ? "+" : "-"} ${Math.abs(adds)} ${name}`);
  return parts.length === 0
    ? String(effectivePriority)
    : `${effectivePriority} = ${[basePriority, ...parts].join(" ")}`;
}

function peerRows(instances: readonly InstanceReport[]): string[][] {
  return instances.flatMap(({ name, peers, state }) =>
    peers.map(({ address, lastHeard, lastPriority }) => [
      name,
      address,
      lastHeard === undefined
        ? `never heard${state === "MASTER" ? " (a backup is silent)" : ""}`
        : `heard ${lastHeard < 10_000 ? `${lastHeard} ms` : age(lastHeard)} ago, priority ${lastPriority}`,
    ]),
  );
}

function checkRows({ scripts, files, processes, bfd }: StatusReport, paint: Paint): string[][] {
  const word = (up: boolean, text: string): string => (up ? paint.good(text) : paint.bad(text));
  return [
    ...scripts.map(({ name, state, lastResult, lastDuration, lastOutput }) => [
      name,
      word(state === "up", state),
      lastResult === undefined ? "not run yet" : `${lastResult}, ${round(lastDuration ?? 0)} ms`,
      lastOutput ?? "",
    ]),
    ...processes.map(({ name, up, count }) => [
      name,
      word(up, up ? "up" : "down"),
      `${count} running`,
    ]),
    ...files.map(({ name, value }) => [name, String(value), "in the file"]),
    ...bfd.map(({ name, state }) => [name, word(/^up$/i.test(state), state), "BFD session"]),
  ];
}

function refusedRows(instances: readonly InstanceReport[]): string[][] {
  return instances.flatMap(({ name, refused }) =>
    Object.entries(refused).map(([reason, count]) => [name, reason, String(count)]),
  );
}

function section(title: string, rows: readonly string[][], paint: Paint): string[] {
  return rows.length === 0 ? [] : ["", paint.strong(title), textTable(rows)];
}

function shortList(items: readonly string[]): string {
  const shown = items.slice(0, 3).join(" ");
  return items.length > 3 ? `${shown} and ${items.length - 3} more` : shown;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** `3 s`, `12 min`, `5 h 3 min`, `12 d 5 h`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
