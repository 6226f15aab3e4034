import { createSocket } from "node:dgram";
import type { AddressInfo } from "node:net";

/** What a name has: IPv4 addresses, or services of `weight port target`. */
export type NameRecords = ReadonlyMap<string, readonly string[]>;

/** A name server with a table that a test may change. Names that it does not have do not exist. */
export interface TestNameServer {
  readonly port: number;
  records: NameRecords;
  /** Answers nothing any more, as a machine that is gone. */
  isSilent: boolean;
  readonly asked: string[];
  close(): void;
}

const TYPE_A = 1;
const TYPE_SRV = 33;

export async function startNameServer(records: NameRecords): Promise<TestNameServer> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address() as AddressInfo;
  const server: TestNameServer = {
    port,
    records,
    isSilent: false,
    asked: [],
    close: () => socket.close(),
  };
  socket.on("message", (question, from) => {
    const { name, end } = readQuestion(question);
    const type = question.readUInt16BE(end);
    server.asked.push(`${name} ${type}`);
    if (server.isSilent) return;
    const known = server.records.get(name);
    const found = (known ?? []).flatMap((record) => encodeRecord(record, type));
    const head = Buffer.from(question.subarray(0, end + 4));
    head.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(found.length, 6);
    // The extension that a question may bring is not answered.
    head.writeUInt16BE(0, 10);
    socket.send(Buffer.concat([head, ...found]), from.port, from.address);
  });
  return server;
}

function readQuestion(bytes: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let size = bytes[at] ?? 0; size > 0; size = bytes[at] ?? 0) {
    labels.push(bytes.toString("latin1", at + 1, at + 1 + size).toLowerCase());
    at += size + 1;
  }
  return { name: labels.join("."), end: at + 1 };
}

function encodeRecord(record: string, type: number): Buffer[] {
  const service = /^(\d+) (\d+) (\S+)$/.exec(record);
  if (service === null) {
    return type === TYPE_A ? [wrap(TYPE_A, Buffer.from(record.split(".").map(Number)))] : [];
  }
  if (type !== TYPE_SRV) return [];
  const [, weight, port, target = ""] = service;
  const data = Buffer.alloc(6);
  data.writeUInt16BE(1, 0);
  data.writeUInt16BE(Number(weight), 2);
  data.writeUInt16BE(Number(port), 4);
  const labels = target.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  return [wrap(TYPE_SRV, Buffer.concat([data, Buffer.from([...labels, 0])]))];
}

/** With the question's name as its owner. */
function wrap(type: number, data: Buffer): Buffer {
  const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 1, 0, 0]);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
