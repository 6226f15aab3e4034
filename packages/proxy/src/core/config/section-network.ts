import { milliseconds, seconds } from "@ha/base";
import type { AddressRules } from "./address.ts";
import { parseSocketAddress } from "./address.ts";
import { readBind } from "./bind.ts";
import type { Mutable, ServerDraft } from "./draft.ts";
import type { Line } from "./line.ts";
import type { SocketAddress } from "./model.ts";
import { type Reading, readAddress } from "./reading.ts";
import { byTable, entry, type SectionKeyword, type SectionKind, unknownIn } from "./section.ts";
import type { Mailers, PeersSection, Resolvers } from "./section-model.ts";
import { emptyServerWords, readServer } from "./server.ts";
import { readStickTable } from "./stick-table.ts";
import { parseTime, parseWhole } from "./values.ts";

const NAMED: AddressRules = {
  port: "required",
  stream: true,
  datagram: true,
  inherited: false,
  local: true,
  names: true,
};

/** `<keyword> <name> <address>:<port>`; the address, or undefined after a message. */
function readNamedAddress(
  line: Line,
  reading: Reading,
  rules: AddressRules,
): SocketAddress | undefined {
  const label = `'${line.name} ${line.text(1)}'`;
  let found: SocketAddress | undefined;
  if (line.text(2) === "") {
    return void line.alert(`'${line.name}' expects <name> and <addr>[:<port>] as arguments.`);
  }
  const parsed = readAddress(
    reading,
    line.text(2),
    rules,
    (address) => {
      found = address;
    },
    (host) => line.alert(`${label} : invalid address: '${host}' in '${line.text(2)}'`),
  );
  if (typeof parsed === "string") return void line.alert(`${label} : ${parsed}`);
  return found;
}

const resolverKeywords: readonly SectionKeyword<Mutable<Resolvers>>[] = [
  entry(
    "nameserver",
    "nameserver <name> <address>:<port>",
    "A name server.",
    (line, section, reading) => {
      const name = line.text(1);
      const before = section.nameservers.find((server) => server.name === name);
      if (before !== undefined && name !== "") {
        line.findings.put(
          "error",
          "Parsing:",
          "config/duplicate",
          line.at,
          `nameserver '${name}' has same name as another nameserver (declared at ${before.at.file}:${before.at.line}).`,
        );
        return;
      }
      const address = readNamedAddress(line, reading, {
        ...NAMED,
        defaultProtocol: "datagram",
        names: false,
      });
      if (address !== undefined) section.nameservers.push({ at: line.at, name, address });
    },
  ),
  entry(
    "parse-resolv-conf",
    "parse-resolv-conf",
    "Takes the name servers of /etc/resolv.conf too.",
    (line, section) => {
      if (line.atMost(0)) section.parseResolvConf = true;
    },
  ),
  entry(
    "accepted_payload_size",
    "accepted_payload_size <bytes>",
    "Longest answer.",
    (line, section) => {
      const size = parseWhole(line.text(1)) ?? 0;
      if (size < 12 || size > 65_535) {
        line.alert(
          `'accepted_payload_size' must be between 12 and 65535 inclusive (was ${line.text(1)}).`,
        );
      } else section.acceptedPayloadSize = size;
    },
  ),
  entry(
    "resolve_retries",
    "resolve_retries <number>",
    "Questions before giving up.",
    (line, section) => {
      if (line.text(1) === "") line.alert("'resolve_retries' expects <nb> as argument.");
      else section.resolveRetries = parseWhole(line.text(1)) ?? 0;
    },
  ),
  entry("hold", "hold <status> <time>", "How long a result is kept.", (line, section) => {
    const event = line.text(1);
    if (line.text(2) === "") {
      line.alert("'hold' expects an <event> and a <time> as arguments.");
      line.findings.alertPlain(
        "config/bad-value",
        line.at,
        "<event> can be either 'valid', 'nx', 'refused', 'timeout', or 'other'",
      );
      return;
    }
    const events = ["valid", "nx", "obsolete", "other", "refused", "timeout"] as const;
    const found = events.find((name) => name === event);
    if (found === undefined) {
      line.alert(
        `'hold' unknown <event>: '${event}', expects either 'nx', 'timeout', 'valid', 'obsolete' or 'other'.`,
      );
      return;
    }
    const time = parseTime(line.text(2));
    if (time.kind === "bad")
      line.alertTight(`unexpected character '${time.character}' in argument to <hold>.`);
    else if (time.kind === "overflow")
      line.alertTight(
        `timer overflow in argument <${line.text(2)}> to <hold>, maximum value is 2147483647 ms (~24.8 days).`,
      );
    else section.hold = { ...section.hold, [found]: time.value };
  }),
  entry(
    "timeout",
    "timeout { resolve | retry } <time>",
    "Between resolutions; between questions.",
    (line, section) => {
      const what = line.text(1);
      if (what !== "retry" && what !== "resolve") {
        line.alert(`'timeout' expects 'retry' or 'resolve' and <time> as arguments got '${what}'.`);
        return;
      }
      const time = parseTime(line.text(2));
      if (line.text(2) === "") line.alert(`'timeout ${what}' expects <time> as argument.`);
      else if (time.kind === "bad")
        line.alertTight(
          `unexpected character '${time.character}' in argument to <timeout ${what}>.`,
        );
      else if (time.kind === "ok") {
        if (what === "retry") section.timeoutRetry = time.value;
        else section.timeoutResolve = time.value;
      }
    },
  ),
];

/** HAProxy configuration manual §5.3.2. */
export const resolversSection: SectionKind = {
  name: "resolvers",
  doc: "Name servers for resolving at run time.",
  source: "§5.3.2",
  status: "works",
  keywords: resolverKeywords,
  open: (line, reading) => {
    const name = line.text(1);
    if (name === "") {
      line.alert("missing name for resolvers section.");
      return () => {};
    }
    const before = reading.draft.resolvers.get(name);
    if (before !== undefined && before.at.line > 0) {
      line.findings.put(
        "error",
        "Parsing:",
        "config/duplicate",
        line.at,
        `resolvers '${name}' has same name as another resolvers (declared at ${before.at.file}:${before.at.line}).`,
      );
      return () => {};
    }
    const section: Mutable<Resolvers> = {
      at: line.at,
      name,
      nameservers: [],
      parseResolvConf: false,
      resolveRetries: 3,
      timeoutResolve: seconds(1),
      timeoutRetry: seconds(1),
      acceptedPayloadSize: 512,
      hold: {
        valid: seconds(10),
        nx: seconds(30),
        obsolete: milliseconds(0),
        other: seconds(30),
        refused: seconds(30),
        timeout: seconds(30),
      },
    };
    reading.draft.resolvers.set(name, section);
    return byTable(resolverKeywords, section, reading, unknownIn("resolvers"));
  },
};

const mailerKeywords: readonly SectionKeyword<Mutable<Mailers>>[] = [
  entry("mailer", "mailer <name> <address>:<port>", "A mail server.", (line, section, reading) => {
    const address = readNamedAddress(line, reading, { ...NAMED, datagram: false });
    if (address !== undefined) section.mailers.push({ at: line.at, name: line.text(1), address });
  }),
  entry("timeout", "timeout mail <time>", "For a mail to be taken.", (line, section) => {
    if (line.text(1) !== "mail" || line.text(2) === "") {
      line.alert("'timeout mail' expects <time> as argument.");
      return;
    }
    const time = parseTime(line.text(2));
    if (time.kind === "bad")
      line.alertTight(`unexpected character '${time.character}' in argument to <timeout mail>.`);
    else if (time.kind === "ok") section.timeout = time.value;
  }),
];

/** HAProxy configuration manual §3.6. */
export const mailersSection: SectionKind = {
  name: "mailers",
  doc: "Mail servers of email-alert.",
  source: "§3.6",
  status: "later",
  keywords: mailerKeywords,
  open: (line, reading) => {
    const name = line.text(1);
    if (name === "") {
      line.alert("missing name for mailers section.");
      return () => {};
    }
    const before = reading.draft.mailers.get(name);
    if (before !== undefined) {
      line.findings.put(
        "error",
        "Parsing:",
        "config/duplicate",
        line.at,
        `mailers section '${name}' has the same name as another mailers section declared at ${before.at.file}:${before.at.line}.`,
      );
    }
    const section: Mutable<Mailers> = { at: line.at, name, timeout: seconds(10), mailers: [] };
    reading.draft.mailers.set(name, section);
    return byTable(mailerKeywords, section, reading, unknownIn("mailers"));
  },
};

interface PeersDraft extends Mutable<PeersSection> {
  servers: ServerDraft[];
  defaults: ReturnType<typeof emptyServerWords>;
}

const peersKeywords: readonly SectionKeyword<PeersDraft>[] = [
  entry(
    "peer",
    "peer <name> [<address>:<port>] [<word>…]",
    "A peer; the local one may have its address in bind.",
    (line, section) => {
      if (line.text(1) === "") {
        line.alert("'peer' expects <name> as argument.");
        return;
      }
      if (line.text(2) === "") {
        section.peers.push({ at: line.at, name: line.text(1), address: undefined });
        return;
      }
      const result = parseSocketAddress(line.text(2), { ...NAMED, datagram: false });
      if (!result.ok || result.value.unresolved !== undefined) {
        const message = result.ok
          ? `invalid address: '${result.value.unresolved?.host}' in '${line.text(2)}'`
          : result.message;
        line.findings.alertPlace(
          "config/bad-address",
          line.at,
          `'server ${section.name}/${line.text(1)}' : ${message}`,
        );
        return;
      }
      section.peers.push({ at: line.at, name: line.text(1), address: result.value.address });
    },
  ),
  entry(
    "bind",
    "bind [<address>]:<port> [<word>…]",
    "Where the local peer listens.",
    (line, section, reading) =>
      readBind(
        line,
        reading,
        {
          label: `'bind ${line.text(1)}' in section 'peers'`,
          unknownLabel: `'bind ${line.text(1)}' in section 'peers':`,
          skip: 1,
          expects:
            "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.",
        },
        (bind) => section.binds.push(bind),
      ),
  ),
  entry(
    "server",
    "server <name> [<address>:<port>] [<word>…]",
    "A peer, with the words of a server.",
    (line, section, reading) => {
      if (line.text(2) === "")
        section.peers.push({ at: line.at, name: line.text(1), address: undefined });
      else {
        readServer(line, reading, section);
        section.peers.push({
          at: line.at,
          name: line.text(1),
          address: section.servers.at(-1)?.address,
        });
      }
    },
  ),
  entry(
    "default-server",
    "default-server [<word>…]",
    "Words for every server line after it.",
    (line, section, reading) => readServer(line, reading, section),
  ),
  entry("default-bind", "default-bind [<word>…]", "Words for the bind line.", () => {}),
  entry("log", "log …", "Logs of the peers' connections.", () => {}),
  entry("shards", "shards <number>", "Parts that keys are spread over.", (line, section) => {
    const shards = parseWhole(line.text(1)) ?? 0;
    if (shards < 1) line.alert(`'shards' : expects a positive number of shards as argument.`);
    else section.shards = shards;
  }),
  entry(
    "table",
    "table <name> type <type> size <n> …",
    "A table of this section.",
    (line, section, reading) => {
      if (line.text(1) === "") {
        line.alert("'table' : expects a stick-table name.");
        return;
      }
      const table = readStickTable(line, `${section.name}/${line.text(1)}`, 2, "table");
      if (table === undefined) return;
      section.tables.push(table);
      reading.draft.stickTables.set(table.name, table);
    },
  ),
  entry("disabled", "disabled", "Turns the section off.", (_line, section) => {
    section.disabled = true;
  }),
  entry("enabled", "enabled", "Undoes disabled.", (_line, section) => {
    section.disabled = false;
  }),
];

/** HAProxy configuration manual §3.5. */
export const peersSection: SectionKind = {
  name: "peers",
  doc: "Processes that share stick tables.",
  source: "§3.5",
  status: "later",
  keywords: peersKeywords,
  open: (line, reading) => {
    const name = line.text(1);
    if (name === "") {
      line.alert("missing name for peers section.");
      return () => {};
    }
    const before = reading.draft.peers.get(name);
    if (before !== undefined) {
      line.findings.put(
        "error",
        "Parsing:",
        "config/duplicate",
        line.at,
        `peers section '${name}' has the same name as another peers section declared at ${before.at.file}:${before.at.line}.`,
      );
    }
    const section: PeersDraft = {
      at: line.at,
      name,
      disabled: false,
      peers: [],
      binds: [],
      servers: [],
      shards: 0,
      tables: [],
      defaults: emptyServerWords(reading.draft.global),
    };
    reading.draft.peers.set(name, section);
    return byTable(peersKeywords, section, reading, unknownIn("peers"));
  },
};
