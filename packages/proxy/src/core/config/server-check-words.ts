import type { ServerDraft } from "./draft.ts";
import { readAddress } from "./reading.ts";
import type { HealthPolicy } from "./server-model.ts";
import {
  CONNECT,
  choice,
  counted,
  plain,
  type ServerWord,
  type ServerWords,
  timed,
  valued,
} from "./server-word.ts";
import { leadingNumber } from "./values.ts";

const health = (words: ServerWords, change: Partial<HealthPolicy>): void => {
  words.server.health = { ...words.server.health, ...change };
};

/** Health checks and agents of HAProxy configuration manual §5.2, without TLS. */
export const serverCheckWords: readonly ServerWord[] = [
  valued(
    "addr",
    "<address>",
    "'addr' expects <ipv4|ipv6> as argument.",
    "Where checks go, if not to the server's own address.",
    (w, v, { reading, line }) => {
      const parsed = readAddress(
        reading,
        v,
        CONNECT,
        (address) => {
          w.server.check = { ...checkOf(w), address };
        },
        (host) => line.alert(`'addr' : invalid address: '${host}' in '${v}'`),
      );
      return typeof parsed === "string" ? `'addr ${v}' : ${parsed}` : undefined;
    },
  ),
  valued(
    "agent-addr",
    "<address>",
    "'agent-addr' expects <addr> as argument.",
    "Where the agent is.",
    (w, v, { reading, line }) => {
      const parsed = readAddress(
        reading,
        v,
        CONNECT,
        (address) => {
          w.server.agent = { ...agentOf(w), address };
        },
        (host) => line.alert(`'agent-addr' : invalid address: '${host}' in '${v}'`),
      );
      return typeof parsed === "string"
        ? `parsing agent-addr failed. Check if '${v}' is correct address..`
        : undefined;
    },
  ),
  plain("agent-check", "Asks an agent on the server for its state.", (w) => {
    w.agentCheck = true;
  }),
  plain("no-agent-check", "Undoes agent-check.", (w) => {
    w.agentCheck = false;
  }),
  timed(
    "agent-inter",
    "Time between questions to the agent.",
    (w, interval) => {
      w.server.agent = { ...agentOf(w), interval };
    },
    { zero: false },
  ),
  counted("agent-port", "Port of the agent.", (w, port) => {
    w.server.agent = { ...agentOf(w), port };
  }),
  valued(
    "agent-send",
    "<text>",
    "'agent-send' expects a string as argument.",
    "What is sent to the agent first.",
    (w, send) => {
      w.server.agent = { ...agentOf(w), send };
    },
  ),
  plain("check", "Checks its health.", (w) => {
    w.check = true;
  }),
  plain("no-check", "Undoes check.", (w) => {
    w.check = false;
  }),
  valued(
    "check-pool-conn-name",
    "<name>",
    "'check-pool-conn-name' expects a string",
    "Pool of check connections.",
    () => {},
    "later",
  ),
  valued("check-proto", "<name>", "'check-proto' : missing value", "What checks speak.", (w, v) => {
    if (!["h1", "h2", "none", "fcgi"].includes(v))
      return `'check-proto' :  unknown MUX protocol '${v}'.`;
    w.server.check = { ...checkOf(w), protocol: v };
    return undefined;
  }),
  plain("check-reuse-pool", "Checks may use idle connections.", () => {}, "ignored"),
  plain("no-check-reuse-pool", "Undoes check-reuse-pool.", () => {}, "tuning"),
  plain("check-send-proxy", "PROXY protocol in checks.", (w) => {
    w.server.check = { ...checkOf(w), sendProxy: true };
  }),
  plain("no-check-send-proxy", "Undoes check-send-proxy.", (w) => {
    w.server.check = { ...checkOf(w), sendProxy: false };
  }),
  plain("check-via-socks4", "Checks go through the SOCKS4 proxy too.", (w) => {
    w.server.check = { ...checkOf(w), viaSocks4: true };
  }),
  timed(
    "downinter",
    "Time between checks while down.",
    (w, downinter) => health(w, { downinter }),
    { zero: false },
  ),
  timed(
    "fastinter",
    "Time between checks while changing.",
    (w, fastinter) => health(w, { fastinter }),
    { zero: false },
  ),
  timed("inter", "Time between checks.", (w, inter) => health(w, { inter }), { zero: false }),
  counted("error-limit", "Errors in traffic until on-error.", (w, errorLimit) =>
    health(w, { errorLimit }),
  ),
  thresholds("fall", "Failed checks that take it down."),
  thresholds("rise", "Good checks that bring it up."),
  choice(
    "init-state",
    ["fully-up", "up", "down", "fully-down"],
    "Its state at start.",
    (w, initState) => health(w, { initState }),
  ),
  choice(
    "observe",
    ["none", "layer4", "layer7"],
    "Judges its health by traffic too.",
    (w, observe) => health(w, { observe }),
  ),
  valued(
    "on-error",
    "<mode>",
    "'on-error' expects <mode> as argument",
    "What too many errors bring: fastinter, fail-check, sudden-death, mark-down.",
    (w, v) => {
      if (v !== "fastinter" && v !== "fail-check" && v !== "sudden-death" && v !== "mark-down") {
        return `'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death' or 'mark-down' but got '${v}'.`;
      }
      health(w, { onError: v });
      return undefined;
    },
  ),
  valued(
    "on-marked-down",
    "shutdown-sessions",
    "'on-marked-down' expects 'shutdown-sessions'",
    "Closes its sessions when it goes down.",
    (w, v) => {
      if (v !== "shutdown-sessions")
        return `'on-marked-down' expects 'shutdown-sessions' but got '${v}'.`;
      health(w, { onMarkedDown: v });
      return undefined;
    },
  ),
  valued(
    "on-marked-up",
    "shutdown-backup-sessions",
    "'on-marked-up' expects 'shutdown-backup-sessions'",
    "Closes sessions of backups when it comes up.",
    (w, v) => {
      if (v !== "shutdown-backup-sessions")
        return `'on-marked-up' expects 'shutdown-backup-sessions' but got '${v}'.`;
      health(w, { onMarkedUp: v });
      return undefined;
    },
  ),
  counted("port", "Port of checks.", (w, port) => {
    w.server.check = { ...checkOf(w), port };
  }),
];

function thresholds(name: "rise" | "fall", doc: string): ServerWord {
  return valued(name, "<number>", `'${name}' expects an integer argument..`, doc, (w, v) => {
    const number = leadingNumber(v);
    if (number <= 0) return `'${name}' has to be > 0..`;
    health(w, { [name]: number });
    return undefined;
  });
}

export function checkOf({ server }: ServerWords): NonNullable<ServerDraft["check"]> {
  return (
    server.check ?? {
      port: 0,
      address: undefined,
      ssl: undefined,
      sni: undefined,
      alpn: undefined,
      protocol: undefined,
      sendProxy: false,
      viaSocks4: false,
    }
  );
}

export function agentOf({ server }: ServerWords): NonNullable<ServerDraft["agent"]> {
  return (
    server.agent ?? { port: 0, address: undefined, interval: server.health.inter, send: undefined }
  );
}
