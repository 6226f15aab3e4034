import { toMilliseconds } from "@ha/base";
import type { Config, Instance } from "./model.ts";

/** What asks whether there is such a process, and no more. */
const PROCESS_CHECK = /\b(?:killall|pidof|pgrep|pkill)\b.*\b(haproxy|lbproxy)\b/;

/** What `proxy` and `track_proxy` would gain for an instance whose proxy is watched by asking for its process. */
export function proxyGain(instance: Instance, config: Config): string | undefined {
  const group = config.sync_groups.find(({ name }) => name === instance.sync_group);
  const tracked = (kind: "track_script" | "track_process"): readonly string[] =>
    [...instance[kind], ...(group?.[kind] ?? [])].map(({ name }) => name);
  if (instance.track_proxy.length + (group?.track_proxy.length ?? 0) > 0) return undefined;
  const script = config.scripts.find(
    ({ name, command }) =>
      tracked("track_script").includes(name) && PROCESS_CHECK.test(command.text),
  );
  const process = config.track_processes.find(
    (candidate) =>
      tracked("track_process").includes(candidate.name) &&
      /haproxy|lbproxy/.test(candidate.process),
  );
  if (script === undefined && process === undefined) return undefined;
  const name = script?.name ?? process?.name ?? "";
  const late =
    script === undefined
      ? ""
      : ` a dead proxy after up to ${Math.round(toMilliseconds(script.interval) * script.fall + toMilliseconds(script.timeout))} ms and`;
  return `${name} only asks whether there is a process: it notices${late} a frozen one, a lost listener or a backend without servers never. With @vrrpd lines 'proxy web { config /etc/haproxy/haproxy.cfg }' and 'track_proxy { web weight -20 }' vrrpd learns of a death within milliseconds, of the rest within a second, restarts the proxy, and drains it before a planned move`;
}
