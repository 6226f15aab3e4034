import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Micros } from "@ha/base";
import { ADMIN_FORCED_MAINT, restoreHealth } from "../../core/check/server-state.ts";
import type { Config } from "../../core/config/model.ts";
import type { Backend } from "../../core/config/proxy-model.ts";
import { readServerStates, type ServerState } from "../../core/config/server-state-file.ts";
import type { World } from "../../core/sample/world.ts";
import type { DataPlane } from "../data-plane.ts";
import type { StartReport } from "../start-report.ts";
import type { LifeKeeper } from "./life-keeper.ts";

/**
 * `load-server-state-from-file`: what an earlier process knew of the servers. A file that is not there or not
 * understood is told of, and the start goes on. HAProxy configuration manual §4.2, load-server-state-from-file
 */
export function loadServerStates(
  config: Config,
  world: World,
  plane: DataPlane,
  lives: LifeKeeper,
  report: StartReport,
  now: Micros,
): void {
  const files = new Map<string, readonly ServerState[]>();
  for (const { backend, index } of world.proxies) {
    if (backend === undefined) continue;
    const path = statePath(config, backend);
    if (path === undefined) continue;
    const known = files.get(path) ?? readStates(path, report);
    files.set(path, known);
    for (const row of known) {
      if (row.backendName !== backend.name) continue;
      const at = backend.servers.findIndex(({ name }) => name === row.serverName);
      const server = backend.servers[at];
      if (server === undefined) continue;
      lives.restore(index, at, (own, fresh) => restoreHealth(row, own, fresh, now));
      if (lives.server(index, at).state.admin === "drain") {
        report.say(
          "WARNING",
          `config : Server ${backend.name}/${server.name} remains in forced drain mode.`,
        );
      }
      const { address } = server;
      // `init-addr last`: a name's last address counts before it is asked for again.
      const wantsLast = server.initAddr[0]?.kind === "last";
      if (address.kind !== "inet" || address.host === undefined || !wantsLast) continue;
      if (row.address === undefined || row.fqdn !== address.host) continue;
      const last = { ...address, address: row.address };
      if (address.address === undefined && (row.adminState & ADMIN_FORCED_MAINT) === 0) {
        lives.restore(index, at, (_own, health) => ({ ...health, admin: "ready" }));
      }
      lives.moveTo(index, at, last);
      plane.addresses.set(index, at, last);
    }
  }
}

/** Undefined: the backend loads nothing. */
function statePath({ global }: Config, { serverStateFile, name }: Backend): string | undefined {
  const base = global.serverStateBase ?? "";
  switch (serverStateFile.from) {
    case "global":
      return global.serverStateFile === undefined
        ? undefined
        : within(base, global.serverStateFile);
    case "local":
      return within(base, serverStateFile.name ?? name);
    default:
      return undefined;
  }
}

function within(base: string, path: string): string {
  return path.startsWith("/") || base === "" ? path : join(base, path);
}

function readStates(path: string, report: StartReport): readonly ServerState[] {
  let text: string;
  try {
    text = readFileSync(Buffer.from(path, "latin1"), "latin1");
  } catch {
    report.say(
      "WARNING",
      `config: Can't open server state file '${path}': No such file or directory`,
    );
    return [];
  }
  const read = readServerStates(text);
  if (read === undefined) {
    report.say("WARNING", `config: Can't get version of the global server state file '${path}'.`);
    return [];
  }
  if (read.badLines > 0) {
    report.say(
      "WARNING",
      `config: ${read.badLines} lines of the server state file '${path}' are left out: they have the wrong form.`,
    );
  }
  return read.states;
}
