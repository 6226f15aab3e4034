import { AF_NETLINK, netlinkSocketAddress, SOCK_RAW } from "./kernel-address.ts";
import {
  NLM_F_DUMP,
  NLM_F_DUMP_INTERRUPTED,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  netlinkMessage,
  type ParsedMessage,
  readNetlinkMessages,
} from "./netlink-codec.ts";
import { createBatch, messageOf, SocketDoor } from "./socket-door.ts";
import { SystemError, systemError } from "./system-error.ts";

const NETLINK_ROUTE = 0;
/** The kernel fills at most 32 KiB at a time. */
const SLOT = 32_768;
const ATTEMPTS = 5;

/**
 * All entries of a kernel table, at once: the kernel makes the answer while it is asked for, so nothing waits. A dump
 * during which the table changed is asked for again. Throws `SystemError`.
 */
export function dumpMessages(type: number, body: Uint8Array = new Uint8Array(16)): ParsedMessage[] {
  const kind = { domain: AF_NETLINK, type: SOCK_RAW, protocol: NETLINK_ROUTE };
  const socket = SocketDoor.open("open a netlink socket", kind);
  try {
    socket.bind("bind a netlink socket", netlinkSocketAddress(0, 0));
    let messages: ParsedMessage[] = [];
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const dump = dumpOnce(socket, type, body, attempt);
      messages = dump.messages;
      if (!dump.interrupted) break;
    }
    return messages;
  } finally {
    socket.close();
  }
}

function dumpOnce(
  socket: SocketDoor,
  type: number,
  body: Uint8Array,
  sequence: number,
): { messages: ParsedMessage[]; interrupted: boolean } {
  const flags = NLM_F_REQUEST | NLM_F_DUMP;
  const sent = socket.send(netlinkMessage({ type, flags, sequence, body }));
  if (sent < 0) throw systemError("ask netlink for a table", sent);
  const batch = createBatch(1, SLOT);
  const messages: ParsedMessage[] = [];
  let interrupted = false;
  for (;;) {
    const count = socket.receive(batch);
    if (count <= 0) throw systemError("read a netlink table", count);
    for (const message of readNetlinkMessages(messageOf(batch, 0).data.slice())) {
      if (message.sequence !== sequence) continue;
      if ((message.flags & NLM_F_DUMP_INTERRUPTED) !== 0) interrupted = true;
      if (message.type === NLMSG_DONE) return { messages, interrupted };
      if (message.type === NLMSG_ERROR) {
        throw new SystemError("read a netlink table", "EPROTO");
      }
      messages.push(message);
    }
  }
}
