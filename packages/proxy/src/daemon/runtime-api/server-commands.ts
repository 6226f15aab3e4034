import { formatAddress, type Micros, micros, parseAddress } from "@ha/base";
import type { SocketAddress } from "../../core/config/address-model.ts";
import type { Backend } from "../../core/config/proxy-model.ts";
import type { Server } from "../../core/config/server-model.ts";
import { isDnsName } from "../../core/dns/dns-message.ts";
import type { HealthEvent } from "../../core/server/health-model.ts";
import type { ServerLife } from "../../core/stats/server-life.ts";
import { findProxy, findServer } from "../../core/stats/source.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

/** A server that a command names. */
interface Found {
  readonly proxy: number;
  readonly server: number;
  readonly backend: Backend;
  readonly life: ServerLife;
}

const SET_SERVER_USAGE =
  "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | check-port | fqdn | health | ssl | state | weight";

export const serverCommands: readonly Command[] = [
  {
    words: ["set", "server"],
    usage: "set server <bk>/<srv> [opts]",
    doc: "changes a server's state, weight or address",
    level: "admin",
    run: ([name = "", ...rest], context) =>
      onServer(name, context, (found) => setServer(found, rest, context)),
  },
  {
    words: ["set", "weight"],
    usage: "set weight <bk>/<srv>  (DEPRECATED)",
    doc: "changes a server's weight (see 'set server')",
    level: "admin",
    run: ([name = "", weight = ""], context) =>
      onServer(name, context, (found) => setWeight(found, weight, context)),
  },
  {
    words: ["get", "weight"],
    usage: "get weight <bk>/<srv>",
    doc: "a server's weight, and that of the file",
    level: "user",
    run: ([name = ""], context) =>
      onServer(name, context, ({ life, backend, server }) => {
        return `${life.state.weight} (initial ${backend.servers[server]?.weight ?? 0})\n`;
      }),
  },
  {
    words: ["set", "maxconn", "server"],
    usage: "set maxconn server <bk>/<srv>",
    doc: "changes a server's limit of connections",
    level: "admin",
    run: ([name = "", limit = ""], context) =>
      onServer(name, context, ({ proxy, server }) => {
        if (limit === "") return refuse("Require <maxconn>.");
        if (!/^\d+$/.test(limit)) return refuse("maxconn string empty or preceded by garbage");
        const servers = context.process.world.proxies[proxy]?.servers;
        if (servers === undefined) return refuse("No such backend.");
        Atomics.store(servers.maxconn, server, Number(limit));
        void context.process.fleet.ask({ kind: "proceed" });
        return "";
      }),
  },
  ...(["enable", "disable"] as const).flatMap((verb): Command[] => [
    {
      words: [verb, "server"],
      usage: verb === "enable" ? "enable server  (DEPRECATED)" : "disable server (DEPRECATED)",
      doc:
        verb === "enable"
          ? "ends a server's maintenance (see 'set server')"
          : "puts a server into maintenance (see 'set server')",
      level: "admin",
      run: ([name = ""], context) =>
        onServer(name, context, (found) => {
          const at = clock(context);
          return apply(found, context, {
            type: "admin",
            state: verb === "enable" ? "ready" : "maint",
            at,
          });
        }),
    },
    {
      words: [verb, "health"],
      usage: `${verb} health`,
      doc: `${verb === "enable" ? "resumes" : "suspends"} a server's checks`,
      level: "admin",
      run: ([name = ""], context) =>
        onServer(name, context, (found) => {
          if (verb === "enable" && !found.life.settings.checked) {
            return refuse("Health check was not configured on this server, cannot enable.");
          }
          return apply(found, context, {
            type: "enable",
            of: "check",
            on: verb === "enable",
            at: clock(context),
          });
        }),
    },
    {
      words: [verb, "agent"],
      usage: `${verb} agent`,
      doc: `${verb === "enable" ? "resumes" : "suspends"} a server's agent checks`,
      level: "admin",
      run: ([name = ""], context) =>
        onServer(name, context, (found) => {
          if (verb === "enable" && !found.life.settings.agent) {
            return refuse("Agent was not configured on this server, cannot enable.");
          }
          return apply(found, context, {
            type: "enable",
            of: "agent",
            on: verb === "enable",
            at: clock(context),
          });
        }),
    },
  ]),
  {
    words: ["shutdown", "sessions", "server"],
    usage: "shutdown sessions server <bk>/<srv>",
    doc: "ends every session on a server",
    level: "admin",
    run: ([name = ""], context) =>
      onServer(name, context, async ({ proxy, server }) => {
        await context.process.fleet.ask({ kind: "end-server-sessions", proxy, server });
        return "";
      }),
  },
  {
    words: ["add", "server"],
    usage: "add server <bk>/<srv>",
    doc: "not in lbproxy: see 'server-template'",
    level: "admin",
    run: () =>
      refuse(
        "lbproxy cannot add servers at run time: write a 'server-template', or change the file and reload.",
      ),
  },
  {
    words: ["del", "server"],
    usage: "del server <bk>/<srv>",
    doc: "not in lbproxy: see 'set server'",
    level: "admin",
    run: ([name = ""], context) =>
      onServer(name, context, () =>
        refuse(
          "lbproxy cannot delete servers at run time: use 'set server <bk>/<srv> state maint'.",
        ),
      ),
  },
];

/** Finds what `backend/server` names, or says which of the two is not there. */
export function onServer(
  name: string,
  { process }: CommandContext,
  then: (found: Found) => string | Refusal | Promise<string | Refusal>,
): string | Refusal | Promise<string | Refusal> {
  const slash = name.indexOf("/");
  if (slash <= 0 || slash === name.length - 1) return refuse("Require 'backend/server'.");
  const { source, lives } = process;
  const proxy = findProxy(source, name.slice(0, slash), "backend");
  const state = source.proxies[proxy];
  if (state?.backend === undefined) return refuse("No such backend.");
  const server = findServer(state, name.slice(slash + 1));
  if (server < 0) return refuse("No such server.");
  return then({ proxy, server, backend: state.backend, life: lives.server(proxy, server) });
}

function setServer(
  found: Found,
  [what, ...rest]: readonly string[],
  context: CommandContext,
): string | Refusal {
  const { settings } = found.life;
  const [word = ""] = rest;
  const at = clock(context);
  switch (what) {
    case "state":
      if (word !== "ready" && word !== "drain" && word !== "maint") {
        return refuse("'set server <srv> state' expects 'ready', 'drain' and 'maint'.");
      }
      return apply(found, context, { type: "admin", state: word, at });
    case "weight":
      return setWeight(found, word, context);
    case "health":
      if (word !== "up" && word !== "stopping" && word !== "down") {
        return refuse("'set server <srv> health' expects 'up', 'stopping', or 'down'.");
      }
      return apply(found, context, { type: "force", of: "check", to: word, at });
    case "agent":
      if (!settings.agent) return refuse("agent checks are not enabled on this server.");
      if (word !== "up" && word !== "down") {
        return refuse("'set server <srv> agent' expects 'up' or 'down'.");
      }
      return apply(found, context, { type: "force", of: "agent", to: word, at });
    case "addr":
      return setAddress(found, rest, context);
    case "check-port": {
      if (!settings.checked) return refuse("health checks are not enabled on this server");
      const port = readPort(word);
      if (typeof port === "string") return refuse(port);
      context.process.moveServer(found.proxy, found.server, { checkPort: port });
      return "";
    }
    case "fqdn":
      return setName(found, word, context);
    case "ssl":
      return refuse(
        "'set server <srv> ssl' cannot be set.  default-server should define ssl settings",
      );
    case "check-addr":
      if (!settings.checked) return refuse("health checks are not enabled on this server");
      return setProbeAddress(found, what, rest, context, (line, address, port) =>
        line.check === undefined
          ? line
          : { ...line, check: { ...line.check, address, port: port ?? line.check.port } },
      );
    case "agent-addr":
      if (!settings.agent) return refuse("agent checks are not enabled on this server");
      return setProbeAddress(found, what, rest, context, (line, address, port) =>
        line.agent === undefined
          ? line
          : { ...line, agent: { ...line.agent, address, port: port ?? line.agent.port } },
      );
    case "agent-port": {
      if (!settings.agent) return refuse("agent checks are not enabled on this server");
      const port = readPort(word);
      if (typeof port === "string") return refuse(port);
      return alter(found, context, (line) =>
        line.agent === undefined ? line : { ...line, agent: { ...line.agent, port } },
      );
    }
    case "agent-send":
      if (!settings.agent) return refuse("agent checks are not enabled on this server.");
      return alter(found, context, (line) =>
        line.agent === undefined ? line : { ...line, agent: { ...line.agent, send: word } },
      );
    default:
      return refuse(SET_SERVER_USAGE);
  }
}

/** `fqdn <name>`. Texts: HAProxy management guide §9.3, set server. */
function setName(
  { proxy, server, backend, life }: Found,
  name: string,
  { process }: CommandContext,
): string | Refusal {
  if (name === "") return refuse("set server <b>/<s> fqdn requires a FQDN.");
  if (!isDnsName(name)) return refuse(`set server <b>/<s> fqdn: '${name}' is no host name.`);
  if (!process.resolver.rename(proxy, server, name)) {
    return refuse("set server <b>/<s> fqdn failed because no resolution is configured.");
  }
  const before = life.address.kind === "inet" ? (life.address.host ?? "") : "";
  const label = `${backend.name}/${backend.servers[server]?.name ?? ""}`;
  return `${label} changed its FQDN from ${before} to ${name} by 'stats socket command'\n`;
}

/** `check-addr <ip> [port <port>]`, and the same of the agent. Texts: observed, haproxy 2.6.12. */
function setProbeAddress(
  found: Found,
  what: string,
  [text = "", word, portText = ""]: readonly string[],
  context: CommandContext,
  change: (line: Server, address: SocketAddress, port: number | undefined) => Server,
): string | Refusal {
  if (text === "")
    return refuse(`set server <b>/<s> ${what} requires an address and optionally a port.`);
  const ip = parseAddress(text);
  if (ip === undefined) return refuse(`invalid addr '${text}'`);
  const port = word === "port" ? readPort(portText) : undefined;
  if (typeof port === "string") return refuse(port);
  const address: SocketAddress = {
    kind: "inet",
    address: ip,
    host: undefined,
    port: 0,
    relativePort: false,
    protocol: "stream",
  };
  return alter(found, context, (line) => change(line, address, port));
}

function readPort(text: string): number | string {
  if (!/^\d+$/.test(text)) return "provided port is not an integer";
  const port = Number(text);
  return port < 1 || port > 65_535 ? "provided port is out of range" : port;
}

function alter(
  { proxy, server }: Found,
  { process }: CommandContext,
  change: (line: Server) => Server,
): string {
  process.moveServer(proxy, server, { change });
  return "";
}

/** `<n>`, 0–256, or `<n>%` of the file's weight. */
function setWeight(found: Found, text: string, context: CommandContext): string | Refusal {
  if (text === "") return refuse("Require <weight> or <weight%>.");
  const match = /^(\d+)(%?)$/.exec(text);
  if (match === null) return refuse("Empty weight string empty or preceded by garbage");
  const initial = found.backend.servers[found.server]?.weight ?? 0;
  let weight = Number(match[1]);
  if (match[2] === "%") {
    weight = Math.floor((initial * weight) / 100);
    if (weight > 256) weight = 256;
  } else if (weight > 256) {
    return refuse("Absolute weight can only be between 0 and 256 inclusive.");
  }
  const algorithm = found.backend.balance[0]?.text.replace(/\(.*$/, "") ?? "random";
  const isStatic =
    algorithm === "static-rr" ||
    (HASHES.has(algorithm) && found.backend.hashType.method === "map-based");
  if (isStatic && weight !== 0 && weight !== initial) {
    return refuse(
      "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.",
    );
  }
  return apply(found, context, { type: "weight", weight, at: clock(context) });
}

const HASHES = new Set(["source", "uri", "url_param", "hdr", "hash", "rdp-cookie"]);

/** `addr <ip> [port <port>]`: what changed, in HAProxy's words. */
function setAddress(
  { proxy, server, life }: Found,
  [text = "", word, port]: readonly string[],
  { process }: CommandContext,
): string | Refusal {
  const who = "by 'stats socket command'";
  const old = life.address;
  if (old.kind !== "inet") return refuse("the server has no network address that could be changed");
  if (text === "")
    return refuse("set server <b>/<s> addr requires an address and optionally a port.");
  const address = parseAddress(text);
  if (address === undefined) return refuse(`Invalid addr '${text}' ${who}`);
  const isSame =
    old.address !== undefined &&
    old.address.family === address.family &&
    old.address.bytes.every((byte, i) => byte === address.bytes[i]);
  const said = [
    isSame
      ? "no need to change the addr"
      : `IP changed from '${old.address === undefined ? "" : formatAddress(old.address)}' to '${text}'`,
  ];
  let next = { ...old, address };
  if (word === "port") {
    const match = /^([+-]?)(\d{1,5})$/.exec(port ?? "");
    if (match === null) {
      said.push(`problem converting port '${port ?? ""}' to an int`);
      next = { ...old, address };
    } else {
      const number = Number(match[2]);
      if (number > 65535) return refuse(`port '${port}' is out of range`);
      if (number === old.port) said.push("no need to change the port");
      else said.push(`port changed from '${old.port}' to '${number}'`);
      next = { ...next, port: number, relativePort: match[1] !== "" };
    }
  }
  process.moveServer(proxy, server, { address: next });
  return `${said.join(", ")} ${who}\n`;
}

function apply({ proxy, server }: Found, { process }: CommandContext, event: HealthEvent): string {
  process.lives.apply(proxy, server, event);
  void process.fleet.ask({ kind: "proceed" });
  return "";
}

function clock({ process }: CommandContext): Micros {
  return micros(process.source.now() * 1000);
}
