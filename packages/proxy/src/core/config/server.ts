import { seconds } from "@ha/base";
import type { GlobalDraft, ProxyDraft, ServerDraft } from "./draft.ts";
import { warnIgnored } from "./keyword.ts";
import { MAX_TEMPLATE_SERVERS } from "./limits.ts";
import { didYouMean, type Line } from "./line.ts";
import { type Reading, readAddress } from "./reading.ts";
import { agentOf, checkOf } from "./server-check-words.ts";
import type { ServerWords } from "./server-word.ts";
import { serverWordByName, serverWords } from "./server-words.ts";
import { readSource } from "./source-address.ts";
import type { TlsVersion } from "./tls-model.ts";
import { versionRange } from "./tls-words.ts";

export function emptyServerWords(global: GlobalDraft): ServerWords {
  const { server: tls } = global.tls;
  return {
    check: false,
    agentCheck: false,
    ssl: false,
    verifySet: false,
    refusedVersions: new Set(tls.refusedVersions),
    server: {
      at: { file: "", line: 0, column: 0 },
      name: "",
      id: 0,
      address: { kind: "unix", path: "", protocol: "stream" },
      initAddr: [{ kind: "last" }, { kind: "libc" }],
      weight: 1,
      backup: false,
      disabled: false,
      maxconn: 0,
      minconn: 0,
      maxqueue: 0,
      slowstart: seconds(0),
      cookie: undefined,
      redir: undefined,
      source: undefined,
      sendProxy: undefined,
      socks4: undefined,
      tls: {
        minVersion: tls.minVersion,
        maxVersion: tls.maxVersion,
        ciphers: tls.ciphers,
        ciphersuites: tls.ciphersuites,
        curves: tls.curves,
        sigalgs: tls.sigalgs,
        clientSigalgs: tls.clientSigalgs,
        alpn: undefined,
        npn: undefined,
        caFile: undefined,
        crlFile: undefined,
        tickets: tls.tickets,
        verify: tls.verify,
        verifyHost: undefined,
        sni: undefined,
        sniAuto: false,
        certificate: undefined,
        reuseSessions: true,
        earlyData: false,
        renegotiate: false,
      },
      checkTls: undefined,
      protocol: undefined,
      check: undefined,
      agent: undefined,
      health: {
        inter: seconds(2),
        fastinter: undefined,
        downinter: undefined,
        rise: 2,
        fall: 3,
        observe: "none",
        errorLimit: 10,
        onError: "fail-check",
        onMarkedDown: "none",
        onMarkedUp: "none",
        initState: "up",
      },
      track: undefined,
      resolvers: undefined,
      pool: {
        maxIdle: -1,
        purgeDelay: seconds(5),
        maxReuse: -1,
      },
      nonStick: false,
      tcp: {
        userTimeout: undefined,
        fastOpen: false,
        congestionControl: undefined,
        mptcp: false,
      },
      namespace: undefined,
      log: { protocol: "legacy" },
      hashKey: "id",
      template: false,
    },
  };
}

/** Where servers go and how messages call their section. */
export interface ServerOwner {
  readonly name: string;
  readonly servers: ServerDraft[];
  defaults: ServerWords;
}

/** Reads `server`, `server-template` or `default-server`. Messages name the line as `[FILE:LINE] : 'server b/s' : …`. */
export function readServer(line: Line, reading: Reading, owner: ServerOwner): void {
  const say = (message: string): void => {
    reading.findings.alertPlace("config/bad-server", line.at, message);
  };
  if (line.name === "default-server") {
    const words = copyWords(owner.defaults);
    readWords(line, reading, words, 1, undefined, owner.name);
    owner.defaults = words;
    return;
  }
  const template = line.name === "server-template";
  const name = line.text(1);
  if (name === "" || line.text(2) === "" || (template && line.text(3) === "")) {
    say(
      template
        ? "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments."
        : "'server' expects <name> and <addr>[:<port>] as arguments.",
    );
    return;
  }
  const bad = /[^A-Za-z0-9_:.-]/.exec(name);
  if (bad !== null) {
    say(
      `character '${bad[0]}' is not permitted in ${template ? "server-template prefix" : "server name"} '${name}'.`,
    );
    return;
  }
  if (!template) {
    addServer(line, reading, owner, name, 2, false);
    return;
  }
  const range = templateRange(line.text(2));
  if (range === undefined) {
    say(`Wrong server-template number or range arg '${line.text(2)}'.`);
    return;
  }
  for (let i = range.low; i <= range.high; i++) {
    const before = reading.findings.errors;
    addServer(line, reading, owner, `${name}${i}`, 3, true);
    if (reading.findings.errors > before) return; // The others would say the same.
  }
}

function templateRange(text: string): { low: number; high: number } | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const low = match[2] === undefined ? 1 : first;
  const high = match[2] === undefined ? first : Number(match[2]);
  if (high < low || high < 1 || high - low >= MAX_TEMPLATE_SERVERS) return undefined;
  return { low, high };
}

function addServer(
  line: Line,
  reading: Reading,
  owner: ServerOwner,
  name: string,
  addressIndex: number,
  template: boolean,
): void {
  const words = copyWords(owner.defaults);
  const { server } = words;
  const label = `'server ${owner.name}/${name}'`;
  server.at = line.at;
  server.name = name;
  server.id = 0;
  server.template = template;

  const text = line.text(addressIndex);
  const parsed = readAddress(
    reading,
    text,
    {
      port: "optional",
      portOffset: true,
      portZero: true,
      stream: true,
      datagram: false,
      inherited: false,
      local: true,
      names: true,
    },
    (address) => {
      server.address = address;
    },
    (host) => reportUnresolved(reading, server, label, host),
  );
  if (typeof parsed === "string") {
    reading.findings.alertPlace("config/bad-address", line.at, `${label} : ${parsed}`);
    return;
  }
  if (!readWords(line, reading, words, addressIndex + 1, name, owner.name)) return;
  finish(words, label, reading);
  owner.servers.push(server);
}

/** `init-addr` decides whether a server may start without an address. */
function reportUnresolved(
  reading: Reading,
  server: ServerDraft,
  label: string,
  host: string,
): void {
  for (const method of server.initAddr) {
    if (method.kind === "none") return;
    if (method.kind === "address" && server.address.kind === "inet") {
      server.address = { ...server.address, address: method.address };
      return;
    }
  }
  if (reading.commandLine.ignoreUnresolved) return;
  // The name of a service has no address of its own: its servers have theirs at run time.
  if (host.startsWith("_") && server.resolvers !== undefined) return;
  const use = server.resolvers?.resolvers;
  // An unknown resolvers section is the error then.
  if (use !== undefined && use !== "" && !reading.draft.resolvers.has(use)) return;
  reading.findings.alertPlace(
    "config/unresolved",
    server.at,
    `${label} : could not resolve address '${host}'.`,
    "Write 'init-addr last,libc,none' to start without it.",
  );
}

/** False when the line is of no use. `name` is undefined on a default-server line. */
function readWords(
  line: Line,
  reading: Reading,
  words: ServerWords,
  from: number,
  name: string | undefined,
  owner: string,
): boolean {
  const label = name === undefined ? "" : `'server ${owner}/${name}' : `;
  const say = (message: string): false => {
    reading.findings.alertPlace("config/bad-server", line.at, label + message);
    return false;
  };
  let good = true;
  for (let i = from; line.text(i) !== ""; i++) {
    const word = line.text(i);
    if (word === "source") {
      if (line.text(i + 1) === "") {
        return say(
          "'source' expects <addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name> as argument..",
        );
      }
      const next = readSource(line, reading, i + 1, (source) => {
        words.server.source = source;
      });
      if (typeof next === "string") return say(next);
      i = next - 1;
      continue;
    }
    if (word === "usesrc") return say("'usesrc' only allowed after a 'source' statement..");
    const entry = serverWordByName.get(word.replace(/\(.*/s, ""));
    if (entry === undefined) return say(unknownWord(word, name === undefined));
    let value = "";
    const index = i;
    if (entry.missing !== undefined) {
      value = line.text(++i);
      if (value === "") {
        // As in HAProxy, a count at the end of the line is taken for 0, but not in silence.
        if (entry.missing.includes("expects a number")) {
          reading.findings.put(
            "warning",
            "place",
            "config/missing-value",
            line.at,
            `${label}'${word}' has no value, 0 is used as HAProxy does.`,
          );
          value = "0";
        } else return say(entry.missing);
      }
    }
    warnIgnored(entry, line, " on a server line");
    if (entry.status === "later") {
      reading.draft.later.push({ at: line.at, feature: `'${entry.name}' on a server line` });
    }
    const wrong = entry.read(words, value, { reading, line, name: name ?? "", index });
    if (typeof wrong === "string") {
      say(wrong);
      good = false;
    }
  }
  return good;
}

function unknownWord(word: string, isDefault: boolean): string {
  const names = serverWords.map(({ name }) => name);
  const hint = isDefault ? " Hint: no address was expected for this server." : "";
  const suggestion = didYouMean(word, names);
  if (suggestion === "") return `unknown keyword '${word}'${isDefault ? `.${hint}` : "."}`;
  return `unknown keyword '${word}'${suggestion}${hint}`;
}

/** What only counts together is put together: checks with `check`, TLS with `ssl` or `check-ssl`. */
function finish(words: ServerWords, label: string, reading: Reading): void {
  const { server } = words;
  const check = checkOf(words);
  const tls = server.tls;
  const needsTls = words.ssl || (words.check && check.ssl === true);
  if (words.refusedVersions.size > 0 && tls !== undefined) {
    if (tls.minVersion !== undefined || tls.maxVersion !== undefined) {
      reading.findings.put(
        "warning",
        "place",
        "config/tls-versions",
        server.at,
        `${label} : no-sslv3/no-tlsv1x are ignored for this server. Use only 'ssl-min-ver' and 'ssl-max-ver' to fix.`,
      );
    } else {
      const range = versionRange(
        undefined,
        undefined,
        words.refusedVersions as ReadonlySet<TlsVersion>,
      );
      if (range !== undefined) {
        server.tls = { ...tls, minVersion: range.min, maxVersion: range.max };
      } else {
        reading.findings.alertPlace(
          "config/tls-versions",
          server.at,
          `${label} : all SSL/TLS versions are disabled for this server.`,
        );
      }
    }
  }
  if (needsTls && tls?.verify === "required" && tls.caFile === undefined) {
    reading.findings.alertPlace(
      "config/no-ca-file",
      server.at,
      `${label} : verify is enabled ${words.verifySet ? "but no CA file specified." : "by default but no CA file specified. If you're running on a LAN where you're certain to trust the server's certificate, please set an explicit 'verify none' statement on the 'server' line, or use 'ssl-server-verify none' in the global section to disable server-side verifications by default."}`,
    );
  }
  server.check = words.check ? check : undefined;
  if (words.agentCheck && agentOf(words).port === 0) {
    reading.findings.alertPlace(
      "config/no-agent-port",
      server.at,
      `${label} : server ${server.name} does not have agent port. Agent check has been disabled.`,
    );
  }
  server.agent = words.agentCheck ? agentOf(words) : undefined;
  // Without a port or address of its own, a check speaks as the traffic does.
  const checksTls = check.ssl ?? (words.ssl && check.port === 0 && check.address === undefined);
  server.checkTls = words.check && checksTls ? server.tls : undefined;
  if (!words.ssl) server.tls = undefined;
  if (server.minconn > server.maxconn) server.maxconn = server.minconn;
}

/** A copy that the next line may change: nested values are replaced, never changed in place. */
export function copyWords(words: ServerWords): ServerWords {
  return {
    ...words,
    server: { ...words.server, initAddr: [...words.server.initAddr] },
    refusedVersions: new Set(words.refusedVersions),
  };
}

/** The numbers that servers without `id` get: the lowest free ones, in order. */
export function numberServers(proxy: Pick<ProxyDraft, "servers">): void {
  const used = new Set(proxy.servers.map(({ id }) => id));
  let next = 1;
  for (const server of proxy.servers as ServerDraft[]) {
    if (server.id !== 0) continue;
    while (used.has(next)) next++;
    server.id = next;
    used.add(next);
  }
}
