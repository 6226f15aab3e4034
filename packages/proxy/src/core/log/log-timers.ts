import {
  TIME_ACCEPT,
  TIME_CONNECTED,
  TIME_END,
  TIME_FIRST_BYTE,
  TIME_HANDSHAKE,
  TIME_QUEUED,
  TIME_REQUEST,
  TIME_RESPONSE,
  type Transaction,
} from "../transaction.ts";

/** One of HAProxy's timers in milliseconds; -1 is not reached. HAProxy configuration manual §8.4. */
export type TimerReader = (transaction: Transaction) => number;

function at(transaction: Transaction, index: number): number {
  return transaction.times[index] as number;
}

/** Milliseconds between two points; -1 when one was not reached. */
function between(from: number, to: number): number {
  return from < 0 || to < 0 ? -1 : Math.max(0, Math.round(to - from));
}

/** When it ended, or now for a line that is written before the end (`logasap`). */
function end(transaction: Transaction): number {
  const time = at(transaction, TIME_END);
  return time < 0 ? transaction.now : time;
}

function handshaken(transaction: Transaction): number {
  const time = at(transaction, TIME_HANDSHAKE);
  return time < 0 ? at(transaction, TIME_ACCEPT) : time;
}

/** Start of the request, or of the session in TCP mode. */
function firstByte(transaction: Transaction): number {
  const time = at(transaction, TIME_FIRST_BYTE);
  return time < 0 ? handshaken(transaction) : time;
}

/** When a server began to be sought: the request was complete, or the session open. */
function sought(transaction: Transaction): number {
  const time = at(transaction, TIME_REQUEST);
  return time < 0 && !transaction.http ? handshaken(transaction) : time;
}

export const TIMERS: Readonly<
  Record<string, { readonly doc: string; readonly read: TimerReader; readonly asap: boolean }>
> = {
  Th: {
    doc: "Handshake of PROXY protocol and TLS.",
    asap: false,
    read: (t) => between(at(t, TIME_ACCEPT), handshaken(t)),
  },
  Ti: {
    doc: "Idle before the request.",
    asap: false,
    read: (t) => between(handshaken(t), firstByte(t)),
  },
  TR: {
    doc: "From the request's first byte to the end of its head.",
    asap: false,
    read: (t) => between(at(t, TIME_FIRST_BYTE), at(t, TIME_REQUEST)),
  },
  Tq: {
    doc: "Th + Ti + TR.",
    asap: false,
    read: (t) => between(at(t, TIME_ACCEPT), at(t, TIME_REQUEST)),
  },
  Tw: { doc: "In queues.", asap: false, read: (t) => between(sought(t), at(t, TIME_QUEUED)) },
  Tc: {
    doc: "Connecting to the server.",
    asap: false,
    read: (t) => between(at(t, TIME_QUEUED), at(t, TIME_CONNECTED)),
  },
  Tr: {
    doc: "From the connection to the end of the response's head.",
    asap: false,
    read: (t) => between(at(t, TIME_CONNECTED), at(t, TIME_RESPONSE)),
  },
  Td: {
    doc: "Transfer of the data.",
    asap: true,
    read: (t) => between(at(t, t.http ? TIME_RESPONSE : TIME_CONNECTED), end(t)),
  },
  Ta: {
    doc: "Active time: from the request's first byte to the end.",
    asap: true,
    read: (t) => between(firstByte(t), end(t)),
  },
  Tt: {
    doc: "From accept to the end.",
    asap: true,
    read: (t) => between(at(t, TIME_ACCEPT), end(t)),
  },
  Tu: {
    doc: "As the user sees it: Tt less idle time.",
    asap: true,
    read: (t) =>
      between(at(t, TIME_ACCEPT), end(t)) - Math.max(0, between(handshaken(t), firstByte(t))),
  },
};

/** Whether the line is written before the end, so that times and sizes get a `+`. */
export function isEarly(transaction: Transaction): boolean {
  return at(transaction, TIME_END) < 0;
}

/** Wall time, milliseconds since 1970, of a point in the ring's time. */
export function wallTime(transaction: Transaction, index: number, wallNow: number): number {
  const time = at(transaction, index);
  return time < 0 ? wallNow : wallNow - (transaction.now - time);
}
