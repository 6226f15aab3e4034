import { type AddressRules, parseSocketAddress } from "./address.ts";
import type { Bind } from "./bind-model.ts";
import { finishTls } from "./bind-tls.ts";
import { type BindDraft, bindWordByName, bindWords } from "./bind-words.ts";
import type { GlobalDraft } from "./draft.ts";
import { warnIgnored } from "./keyword.ts";
import { MAX_BIND_ADDRESSES } from "./limits.ts";
import { didYouMean, type Line } from "./line.ts";
import type { SocketAddress } from "./model.ts";
import { type Reading, readAddress } from "./reading.ts";

/** How messages name the line: `'bind :80' in section 'frontend'`, or `'stats socket'`. */
export interface BindPlace {
  readonly label: string;
  /** Words before the address. */
  readonly skip: number;
  /** For `unknown keyword` HAProxy writes no blank before the colon on a bind line. */
  readonly unknownLabel: string;
  /** A port must be there (`bind`); a stats socket may do without, being a path. */
  readonly expects: string;
}

/** Reads a `bind` line: one `Bind` for each address and port. Names are resolved later, in place. */
export function readBind(
  line: Line,
  reading: Reading,
  place: BindPlace,
  add: (bind: Bind) => void,
): void {
  const addresses = line.text(place.skip);
  if (addresses === "") {
    line.alert(place.expects);
    return;
  }
  for (const part of addresses.split(",")) {
    const result = parseSocketAddress(part, LISTEN);
    if (result.ok) continue;
    line.alert(
      `'${place.skip === 1 ? line.name : place.label.replaceAll("'", "")}' : ${result.message}`,
    );
    return;
  }
  const draft = emptyBind(line, reading.draft.global, addresses);
  if (!readWords(line, reading, place, draft)) return;
  finishTls(draft, line, reading);

  const {
    settings: _settings,
    ssl: _ssl,
    refusedVersions: _refused,
    levelSet: _set,
    ...model
  } = draft;
  for (const part of addresses.split(",")) {
    const made: { -readonly [K in keyof Bind]: Bind[K] }[] = [];
    const parsed = readAddress(
      reading,
      part,
      { ...LISTEN, unixPrefix: reading.draft.global.unixBind.prefix },
      (address) => {
        for (const [i, bind] of made.entries()) bind.address = shiftPort(address, i);
      },
      (host) => {
        line.alert(`'${line.name}' : invalid address: '${host}' in '${part}'`);
      },
    );
    if (typeof parsed === "string") {
      line.alert(`'${place.skip === 1 ? line.name : place.label}' : ${parsed}`);
      return;
    }
    const { address, lastPort } = parsed;
    if (address.kind === "fd" && !reading.host.isOpenDescriptor(address.fd)) {
      line.alert(
        `'${line.name}' : cannot use file descriptor '${address.fd}' : Bad file descriptor.`,
      );
      return;
    }
    const first = address.kind === "inet" ? address.port : 0;
    for (
      let port = first;
      port <= Math.max(first, lastPort) && made.length < MAX_BIND_ADDRESSES;
      port++
    ) {
      const bind = { ...model, text: part, address: shiftPort(address, port - first) };
      made.push(bind);
      add(bind);
    }
  }
}

const LISTEN: AddressRules = {
  port: "required",
  portRange: true,
  stream: true,
  datagram: false,
  inherited: true,
  local: true,
  names: true,
};

/** Reads the words after the address; false when the line cannot be used. */
function readWords(line: Line, reading: Reading, place: BindPlace, draft: BindDraft): boolean {
  let good = true;
  for (let i = place.skip + 1; line.text(i) !== ""; i++) {
    const name = line.text(i);
    const word = bindWordByName.get(name);
    if (word === undefined) {
      line.alert(
        `${place.unknownLabel} unknown keyword '${name}'${didYouMean(
          name,
          bindWords.map(({ name }) => name),
        )}`,
        undefined,
        "config/unknown-keyword",
      );
      return false;
    }
    if (word.status === "not served") {
      line.alert(`${place.label} : '${name}' : QUIC is not served by lbproxy.`);
      good = false;
    }
    warnIgnored(word, line, " on a bind line");
    if (word.status === "later") {
      reading.draft.later.push({ at: line.at, feature: `'${name}' on a bind line` });
    }
    let value = "";
    if (word.missing !== undefined) {
      value = line.text(++i);
      if (value === "") {
        line.alert(`${place.label} : '${name}' : ${word.missing}`);
        return false;
      }
    }
    const wrong = word.read(draft, value, { reading, line });
    if (typeof wrong === "string") {
      line.alert(`${place.label} : ${wrong}`);
      good = false;
    }
  }
  return good;
}

function shiftPort(address: SocketAddress, by: number): SocketAddress {
  return by === 0 || address.kind !== "inet" ? address : { ...address, port: address.port + by };
}

function emptyBind(line: Line, { unixBind, tls }: GlobalDraft, text: string): BindDraft {
  const defaults = tls.bind;
  return {
    at: line.at,
    text,
    address: { kind: "unix", path: "", protocol: "stream" },
    name: undefined,
    id: 0,
    tls: undefined,
    protocol: undefined,
    acceptProxy: false,
    acceptNetscalerCip: undefined,
    backlog: undefined,
    maxconn: 0,
    deferAccept: false,
    fastOpen: false,
    transparent: false,
    v4v6: false,
    v6only: false,
    interface: undefined,
    namespace: undefined,
    mss: undefined,
    userTimeout: undefined,
    congestionControl: undefined,
    mptcp: text.startsWith("mptcp"),
    unix: { mode: unixBind.mode, uid: unixBind.uid, gid: unixBind.gid },
    level: "operator",
    severityOutput: "none",
    exposeFdListeners: false,
    threads: [],
    shards: 1,
    idlePing: undefined,
    settings: {
      minVersion: defaults.minVersion,
      maxVersion: defaults.maxVersion,
      ciphers: defaults.ciphers,
      ciphersuites: defaults.ciphersuites,
      curves: defaults.curves,
      sigalgs: defaults.sigalgs,
      clientSigalgs: defaults.clientSigalgs,
      alpn: undefined,
      npn: undefined,
      caFile: undefined,
      crlFile: undefined,
      tickets: defaults.tickets,
      certificates: [],
      certificateLists: [],
      certificateCount: 0,
      verify: "none",
      caVerifyFile: undefined,
      caIgnoreErrors: [],
      crtIgnoreErrors: [],
      strictSni: defaults.strictSni,
      defaultCertificates: [],
      preferClientCiphers: defaults.preferClientCiphers,
      preferServerCiphers: false,
      earlyData: false,
      ecdhe: undefined,
      generateCertificates: false,
      caSignFile: undefined,
      caSignPass: undefined,
      ticketKeysFile: undefined,
      noCaNames: false,
      noRenegotiate: true,
    },
    ssl: false,
    refusedVersions: new Set(defaults.refusedVersions),
    levelSet: false,
  };
}
