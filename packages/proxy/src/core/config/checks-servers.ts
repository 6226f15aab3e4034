import { where } from "./checks-references.ts";
import type { ProxyDraft, ServerDraft } from "./draft.ts";
import { nameOf } from "./proxy-keyword.ts";
import type { Reading } from "./reading.ts";

/** What servers need of each other and of their backend. */
export function checkBackendServers(
  proxy: ProxyDraft,
  reading: Reading,
  parsedCleanly: boolean,
): void {
  const { findings } = reading;
  const byName = new Map<string, ServerDraft>();
  const byId = new Map<number, ServerDraft>();
  for (const server of proxy.servers) {
    const twin = byName.get(server.name);
    if (twin !== undefined) {
      findings.alert(
        "config/duplicate",
        server.at,
        `${nameOf(proxy)}, another server named '${server.name}' was already defined at line ${twin.at.line}, please use distinct names.`,
      );
    } else byName.set(server.name, server);
    const sameId = byId.get(server.id);
    if (sameId !== undefined && twin === undefined) {
      findings.alertPlace(
        "config/duplicate",
        server.at,
        `'server ${proxy.name}/${server.name}' : 'id' : custom id ${server.id} already used at ${sameId.at.file}:${sameId.at.line} ('server ${sameId.name}').`,
      );
    }
    byId.set(server.id, server);
    checkPort(proxy, server, reading);
    checkTrack(proxy, server, reading);
    checkResolvers(proxy, server, reading);
    if (parsedCleanly && proxy.mode !== "http" && server.cookie !== undefined) {
      findings.warnPlain(
        "config/needs-http",
        server.at,
        `${nameOf(proxy)} : ignoring cookie for server '${server.name}' as HTTP mode is disabled.`,
      );
    }
    if (parsedCleanly && proxy.mode !== "http" && server.redir !== undefined) {
      findings.warnPlain(
        "config/needs-http",
        server.at,
        `${nameOf(proxy)} : ignoring redirection for server '${server.name}' as HTTP mode is disabled.`,
      );
    }
  }
}

function checkPort(proxy: ProxyDraft, server: ServerDraft, { findings }: Reading): void {
  const { check, address } = server;
  if (check === undefined || address.kind !== "inet") return;
  const known =
    check.port > 0 ||
    (address.port > 0 && !address.relativePort) ||
    (check.address?.kind === "inet" && check.address.port > 0) ||
    proxy.tcpCheck.some(({ words }) => words.some(({ text }) => text === "port")) ||
    proxy.httpCheck.some(({ words }) => words.some(({ text }) => text === "port"));
  if (known) return;
  findings.alertPlain(
    "config/no-port",
    server.at,
    `config: ${nameOf(proxy)}: server '${server.name}' has neither service port nor check port.`,
    where(server.at, undefined),
  );
}

function checkTrack(proxy: ProxyDraft, server: ServerDraft, { draft, findings }: Reading): void {
  const { track } = server;
  if (track === undefined) return;
  const label = `'server ${proxy.name}/${server.name}'`;
  const say = (message: string): void =>
    findings.alertPlace("config/unknown-reference", server.at, `${label} : ${message}`);
  const owner =
    track.backend === undefined
      ? proxy
      : draft.proxies.find(({ isBackend, name }) => isBackend && name === track.backend);
  if (owner === undefined) {
    say(`unable to find required proxy '${track.backend}' for tracking.`);
    return;
  }
  const tracked = owner.servers.find(({ name }) => name === track.server);
  if (tracked === undefined) {
    say(`unable to find required server '${track.server}' for tracking.`);
  } else if (server.check !== undefined || server.agent !== undefined) {
    say(
      "unable to use tracking as 'check' or 'agent-check' is enabled on it: use one or the other.",
    );
  } else if (
    tracked.check === undefined &&
    tracked.agent === undefined &&
    tracked.track === undefined
  ) {
    say(
      `unable to use ${owner.name}/${tracked.name} for tracking as it does not have any check nor agent enabled.`,
    );
  } else if (loops(server, draft.proxies, proxy)) {
    say(
      `unable to track ${owner.name}/${tracked.name} as it belongs to a tracking chain looping back to ${proxy.name}/${server.name}.`,
    );
  }
}

/** Whether following `track` from the server comes back to it. */
function loops(start: ServerDraft, proxies: readonly ProxyDraft[], home: ProxyDraft): boolean {
  let server: ServerDraft | undefined = start;
  let owner: ProxyDraft = home;
  for (let steps = 0; steps <= 1_000; steps++) {
    const track: ServerDraft["track"] = server?.track;
    if (track === undefined) return false;
    const next: ProxyDraft | undefined =
      track.backend === undefined ? owner : proxies.find(({ name }) => name === track.backend);
    if (next === undefined) return false;
    owner = next;
    server = owner.servers.find(({ name }) => name === track.server);
    if (server === start) return true;
  }
  return true;
}

function checkResolvers(
  proxy: ProxyDraft,
  server: ServerDraft,
  { draft, findings }: Reading,
): void {
  const use = server.resolvers;
  if (use === undefined || use.resolvers === "") return;
  if (draft.resolvers.has(use.resolvers) || use.resolvers === "default") return;
  findings.alertPlain(
    "config/unknown-reference",
    server.at,
    `${nameOf(proxy)}, server '${server.name}': unable to find required resolvers '${use.resolvers}'`,
    where(use.at, undefined),
  );
}
