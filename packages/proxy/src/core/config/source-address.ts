import type { Mutable } from "./draft.ts";
import type { Line } from "./line.ts";
import { type Reading, readAddress } from "./reading.ts";
import type { SourceAddress } from "./server-model.ts";

/**
 * Reads `<address>[:<port>[-<port>]] [usesrc …] [interface <name>]` from word `from` on. HAProxy configuration
 * manual §4.2, source. Gives the index after the last word taken, or what is wrong.
 */
export function readSource(
  line: Line,
  reading: Reading,
  from: number,
  set: (source: SourceAddress) => void,
): number | string {
  const source: Mutable<SourceAddress> = {
    address: undefined,
    ports: undefined,
    useSource: undefined,
    interface: undefined,
  };
  const rules = {
    port: "optional",
    portZero: true,
    portRange: true,
    stream: true,
    datagram: false,
    inherited: false,
    local: false,
    names: true,
  } as const;
  const text = line.text(from);
  const parsed = readAddress(
    reading,
    text,
    rules,
    (address) => {
      source.address = address;
    },
    (host) => line.alert(`'source' : invalid address: '${host}' in '${text}'`),
  );
  if (typeof parsed === "string") return `'source ${text}' : ${parsed}`;
  if (parsed.address.kind === "inet" && parsed.address.port > 0) {
    const first = parsed.address.port;
    source.ports = { first, last: Math.max(first, parsed.lastPort) };
  }

  let i = from + 1;
  for (;;) {
    const word = line.text(i);
    if (word === "interface") {
      if (line.text(i + 1) === "") return "'interface' : missing interface name.";
      source.interface = line.text(i + 1);
      i += 2;
    } else if (word === "usesrc") {
      const wrong = readUseSource(line, reading, line.text(i + 1), source);
      if (wrong !== undefined) return wrong;
      i += 2;
    } else break;
  }
  set(source);
  return i;
}

function readUseSource(
  line: Line,
  reading: Reading,
  word: string,
  source: Mutable<SourceAddress>,
): string | undefined {
  if (word === "") {
    return "'usesrc' expects <addr>[:<port>], 'client', 'clientip', or 'hdr_ip(name,#)' as argument.";
  }
  if (word === "client" || word === "clientip") {
    source.useSource = { kind: word };
    return undefined;
  }
  const header = /^hdr_ip\(([^,)]+)(?:,(-?\d+))?\)$/.exec(word);
  if (header !== null) {
    source.useSource = {
      kind: "header",
      name: (header[1] as string).trim(),
      occurrence: Number(header[2] ?? -1),
    };
    return undefined;
  }
  const parsed = readAddress(
    reading,
    word,
    {
      port: "optional",
      portZero: true,
      stream: true,
      datagram: false,
      inherited: false,
      local: false,
      names: true,
    },
    (address) => {
      source.useSource = { kind: "address", address };
    },
    (host) => line.alert(`'usesrc' : invalid address: '${host}' in '${word}'`),
  );
  return typeof parsed === "string" ? `'usesrc ${word}' : ${parsed}` : undefined;
}
