import { randomBytes } from "node:crypto";
import { closeDescriptor, connectUnix, receiveDescriptors, sendDescriptors } from "@ha/linux/ring";
import { setTlsTicketSecret, TICKET_SECRET_BYTES } from "@ha/linux/tls";
import type { Config } from "../../core/config/model.ts";
import type { CommandLine } from "../cli.ts";
import { handoverAddress } from "../handover.ts";

/*
 * What session tickets are made with goes to the process that follows, so that clients resume across reloads: from a
 * master to its workers, and from a process to one with `-x` over its stats socket (`expose-fd listeners`). HAProxy has no such thing: its clients
 * start anew unless `tls-ticket-keys` are given. Sessions of the cache end with the process, as HAProxy's do.
 */

/** Asks for it. What does not know the question answers otherwise, and is not believed. */
export const TICKET_QUESTION = "_gettickets";
/** Before the secret. */
const MARK = "tickets 1\n";
/** Milliseconds. */
const PATIENCE = 2_000;

export function newTicketSecret(): Uint8Array {
  return new Uint8Array(randomBytes(TICKET_SECRET_BYTES));
}

/** The secret of the process that `-x` names; undefined when there is none to be had. */
export function takeOverTicketSecret({ takeOver }: CommandLine): Uint8Array | undefined {
  if (takeOver === undefined || takeOver === "/dev/null") return undefined;
  const line = connectUnix(handoverAddress(takeOver));
  if (line < 0) return undefined;
  try {
    const question = new TextEncoder().encode(`${TICKET_QUESTION}\n`);
    if (sendDescriptors(line, question, [], PATIENCE) < 0) return undefined;
    const answer = receiveDescriptors(line, 256, PATIENCE);
    return typeof answer === "number" ? undefined : readTicketAnswer(answer.bytes);
  } finally {
    closeDescriptor(line);
  }
}

/** The answer to `TICKET_QUESTION`. */
export function ticketAnswer(secret: Uint8Array): Uint8Array {
  const mark = new TextEncoder().encode(MARK);
  const answer = new Uint8Array(mark.length + secret.length);
  answer.set(mark);
  answer.set(secret, mark.length);
  return answer;
}

function readTicketAnswer(bytes: Uint8Array): Uint8Array | undefined {
  const mark = new TextEncoder().encode(MARK);
  if (bytes.length !== mark.length + TICKET_SECRET_BYTES) return undefined;
  return mark.every((byte, i) => bytes[i] === byte) ? bytes.slice(mark.length) : undefined;
}

/** Tickets of this process are made with it, where it has a bind with TLS. Before the first context. */
export function useTicketSecret({ frontends }: Config, secret: Uint8Array): void {
  if (frontends.some(({ binds }) => binds.some(({ tls }) => tls !== undefined))) {
    setTlsTicketSecret(secret);
  }
}
