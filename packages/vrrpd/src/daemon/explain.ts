import { formatAddress, formatDiagnostic } from "@ha/base";
import {
  type ExplainedTracker,
  type Explanation,
  explainInstance,
  type Outcome,
} from "../core/config/explain.ts";
import type { LoadedConfig } from "../core/config/load.ts";
import type { Instance } from "../core/config/model.ts";
import type { CliOptions } from "./cli.ts";
import { linuxConfigHost, offlineConfigHost } from "./config-host.ts";
import { missing, NO_CONFIGURATION } from "./config-test.ts";
import { readConfig } from "./read-config.ts";

/**
 * `vrrpd --explain [--peer FILE|PRIORITY] [--json]`: what follows from the file, on standard output; its findings go to
 * standard error as `-t` has them. A peer is known by its priority, or by its own configuration file.
 */
export async function runExplain(options: CliOptions): Promise<number> {
  const host = options.offline ? offlineConfigHost() : linuxConfigHost();
  const read = (file: string, config: CliOptions): Promise<LoadedConfig | undefined> =>
    readConfig(file, {
      host: file === options.configFile ? host : offlineConfigHost(),
      ...(config.configId === undefined ? {} : { configId: config.configId }),
      allIncludeChecks: config.allIncludeChecks,
    });
  const loaded = await read(options.configFile, options);
  if (loaded === undefined) {
    process.stderr.write(`${formatDiagnostic(missing(options.configFile))}\n`);
    return NO_CONFIGURATION;
  }
  const peerFiles: LoadedConfig[] = [];
  const priorities: number[] = [];
  for (const peer of options.peers) {
    if (/^\d+$/.test(peer)) {
      priorities.push(Number(peer));
      continue;
    }
    const found = await read(peer, options);
    if (found === undefined) {
      process.stderr.write(`${formatDiagnostic(missing(peer))}\n`);
      return NO_CONFIGURATION;
    }
    peerFiles.push(found);
  }
  const { config } = loaded;
  const explanations = config.instances.map((instance) => {
    const known = peerFiles.flatMap((peer) => priorityAt(peer, instance));
    return explainInstance(instance, config, [...priorities, ...known]);
  });
  for (const diagnostic of loaded.diagnostics) {
    process.stderr.write(`${formatDiagnostic(diagnostic)}\n`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(explanations, undefined, 2)}\n`);
  else {
    const texts = explanations.map((explanation, i) => textOf(explanation, config.instances[i]));
    process.stdout.write(texts.join("\n"));
  }
  return 0;
}

/** The priority that another file's instance of the same virtual router has when all its trackers are well. */
function priorityAt({ config }: LoadedConfig, { virtual_router_id, family }: Instance): number[] {
  const same = config.instances.find(
    (instance) => instance.virtual_router_id === virtual_router_id && instance.family === family,
  );
  if (same === undefined) return [];
  const [best] = explainInstance(same, config, []).outcomes;
  return [best?.priority ?? same.priority];
}

function textOf(explanation: Explanation, instance: Instance | undefined): string {
  const { timers, trackers, outcomes, traps } = explanation;
  const lines = [
    `${explanation.instance}: virtual router ${explanation.virtual_router_id}${instance === undefined ? "" : describe(instance)}`,
    `  timers     advert every ${timers.advert} ms`,
    `             takes over ${round(timers.takeover)} ms after the last advert, ${round(timers.takeoverAfterFarewell)} ms after a farewell`,
    `             announces its addresses at once${timers.secondAnnouncement === 0 ? "" : ` and again after ${timers.secondAnnouncement} ms`}`,
  ];
  for (const [i, tracker] of trackers.entries()) {
    lines.push(`  ${i === 0 ? "tracks    " : "          "} ${describeTracker(tracker)}`);
  }
  for (const [i, outcome] of outcomes.entries()) {
    lines.push(
      `  ${i === 0 ? "priority  " : "          "} ${describeOutcome(outcome, explanation)}`,
    );
  }
  for (const trap of traps) lines.push(`  ! ${trap}`);
  return `${lines.join("\n")}\n`;
}

function describe(instance: Instance): string {
  const { interface: device, version, unicast, unicast_peer, family, priority } = instance;
  const way = unicast
    ? `unicast to ${unicast_peer.map(({ address }) => formatAddress(address)).join(", ") || "nobody"}`
    : "multicast";
  return ` on ${device ?? "any interface"}, IPv${family}, version ${version}, ${way}, priority ${priority}`;
}

function describeTracker({ kind, name, weight, reverse, noticedAfter }: ExplainedTracker): string {
  const effect =
    weight === 0
      ? `${reverse ? "success" : "failure"} means FAULT`
      : `weight ${weight}${reverse ? " reverse" : ""}`;
  const when = noticedAfter === undefined ? "" : `, noticed within ${round(noticedAfter)} ms`;
  return `${kind} ${name}: ${effect}${when}`;
}

function describeOutcome(outcome: Outcome, { trackers, peers }: Explanation): string {
  const down = trackers.filter((_, i) => outcome.up[i] !== true).map(({ name }) => name);
  const when =
    trackers.length === 0
      ? "always"
      : down.length === 0
        ? "all well"
        : `failed: ${down.join(", ")}`;
  if (outcome.fault) return `FAULT      ${when}: sends a farewell, any peer takes over`;
  const against =
    peers.length === 0
      ? `beats peers up to ${outcome.priority - 1}, is beaten from ${outcome.priority + 1} on`
      : peers
          .map((peer, i) => {
            const beats = outcome.beats[i];
            const verb = beats === undefined ? "ties with" : beats ? "beats" : "is beaten by";
            return `${verb} ${peer}`;
          })
          .join(", ");
  return `${String(outcome.priority).padEnd(10)} ${when}: ${against}`;
}

function round(milliseconds: number): number {
  return Math.round(milliseconds);
}
