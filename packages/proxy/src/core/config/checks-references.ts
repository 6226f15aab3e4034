import type { Position } from "@ha/base";
import { closestKeyword } from "./closest-keyword.ts";
import type { ProxyDraft } from "./draft.ts";
import { nameOf } from "./proxy-keyword.ts";
import type { Reading } from "./reading.ts";

/** Backends, servers and tables that rules name must exist, and suit. HAProxy says these without a line; we add it. */
export function checkReferences(proxy: ProxyDraft, reading: Reading): void {
  // In a backend these were warned about, and are checked all the same, as HAProxy does.
  if (proxy.defaultBackend !== undefined) {
    const { name, at } = proxy.defaultBackend;
    checkBackend(proxy, reading, "default_backend", "default backend", name, at);
  }
  for (const { words, at } of proxy.rules.use_backend) {
    const name = words[0]?.text ?? "";
    // A name with a format in it is known at run time alone.
    if (!name.includes("%")) checkBackend(proxy, reading, "use_backend", "backend", name, at);
  }
  for (const { words, at } of proxy.rules["use-server"]) {
    const name = words[0]?.text ?? "";
    if (name.includes("%") || proxy.servers.some((server) => server.name === name)) continue;
    const near = closestKeyword(
      name,
      proxy.servers.map((server) => server.name),
    );
    reading.findings.alertPlain(
      "config/unknown-reference",
      at,
      `${nameOf(proxy)} : unable to find server '${name}' referenced in a 'use-server' rule.`,
      where(at, near),
    );
  }
  checkTables(proxy, reading);
}

function checkBackend(
  proxy: ProxyDraft,
  { draft, findings }: Reading,
  keyword: string,
  role: string,
  name: string,
  at: Position,
): void {
  const found = draft.proxies.find((other) => other.isBackend && other.name === name);
  if (found === undefined) {
    const backends = draft.proxies.filter(({ isBackend }) => isBackend).map((other) => other.name);
    findings.alertPlain(
      "config/unknown-reference",
      at,
      `Proxy '${proxy.name}': unable to find required ${keyword}: '${name}'.`,
      where(at, closestKeyword(name, backends)),
    );
    return;
  }
  if (found === proxy) {
    findings.alertPlain(
      "config/loop",
      at,
      `Proxy '${proxy.name}': loop detected for ${keyword}: '${name}'.`,
      where(at, undefined),
    );
    return;
  }
  if (proxy.mode === "http" && found.mode !== "http") {
    findings.alertPlain(
      "config/mode",
      at,
      `http ${nameOf(proxy)} (${proxy.at.file}:${proxy.at.line}) tries to use incompatible ${found.mode} ${nameOf(found)} (${found.at.file}:${found.at.line}) ${keyword === "default_backend" ? `as its ${role}` : "in a 'use_backend' rule"} (see 'mode').`,
    );
  }
}

function checkTables(proxy: ProxyDraft, { draft, findings }: Reading): void {
  for (const { words, at } of proxy.rules.stick) {
    const index = words.findIndex(({ text }) => text === "table");
    const name = index === -1 ? proxy.name : (words[index + 1]?.text ?? "");
    if (draft.stickTables.has(name)) continue;
    findings.alertPlain(
      "config/unknown-reference",
      at,
      `Proxy '${proxy.name}': unable to find stick-table '${name}'.`,
      where(at, closestKeyword(name, draft.stickTables.keys())),
    );
  }
  const peers = proxy.stickTable?.peers;
  if (peers !== undefined && !draft.peers.has(peers)) {
    findings.alertPlain(
      "config/unknown-reference",
      proxy.stickTable?.at,
      `Proxy '${proxy.name}': unable to find sync peers '${peers}'.`,
    );
  }
}

/** Our addition to HAProxy's messages that name no line. */
export function where(at: Position, near: string | undefined): string {
  const suggestion = near === undefined ? "" : ` Did you mean '${near}' maybe ?`;
  return `[${at.file}:${at.line}]${suggestion}`;
}
