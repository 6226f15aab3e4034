import { COMPATIBLE_VERSION } from "../core/config/version.ts";
import type { CommandLine } from "./cli.ts";
import { configText } from "./config-text.ts";

/** Environment variables that HAProxy itself provides to a configuration. HAProxy configuration manual §2.3. */
export function environmentFor(command: CommandLine, hostname: string): Map<string, string> {
  const environment = new Map<string, string>();
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined) environment.set(configText(name), configText(value));
  }
  const peer = command.localPeer;
  environment.set("HAPROXY_LOCALPEER", peer === undefined ? hostname : configText(peer));
  environment.set("HAPROXY_CFGFILES", command.files.map(configText).join(";"));
  environment.set("HAPROXY_BRANCH", COMPATIBLE_VERSION.replace(/-.*/, ""));
  environment.set("HAPROXY_MWORKER", command.masterWorker ? "1" : "0");
  return environment;
}
