import type { Frontend } from "../config/proxy-model.ts";
import { type FieldName, fieldName } from "../http/head.ts";
import type { Message } from "../http/message.ts";
import { cookieAfter } from "../sample/fetches/http-cookies.ts";
import { createSample, encodeText } from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";

/** What a frontend's `capture` lines do to each head, and the lengths of their slots. */
export interface Captures {
  readonly lengths: { readonly request: number[]; readonly response: number[] };
  /** Undefined where there is nothing to capture. Run on a head as it came, before rules. */
  readonly request: ((transaction: Transaction) => void) | undefined;
  readonly response: ((transaction: Transaction) => void) | undefined;
}

/** HAProxy configuration manual §4.2, capture cookie, capture request header, declare capture. */
export function compileCaptures(
  frontend: Pick<Frontend, "captures" | "declaredCaptures" | "captureCookie">,
): Captures {
  const slotsOf = (side: "request" | "response"): Slot[] =>
    frontend.captures
      .filter((line) => line.side === side)
      .map(({ header, length }) => ({ name: fieldName(header), length }));
  const declared = (side: "request" | "response"): number[] =>
    frontend.declaredCaptures.filter((line) => line.side === side).map(({ length }) => length);
  const [request, response] = [slotsOf("request"), slotsOf("response")];
  const { captureCookie } = frontend;
  return {
    lengths: {
      request: [...request.map(({ length }) => length), ...declared("request")],
      response: [...response.map(({ length }) => length), ...declared("response")],
    },
    request: both(
      request.length === 0
        ? undefined
        : (t) => captureFields(t.request, request, t.requestCaptures),
      captureCookie === undefined ? undefined : cookieCapture(captureCookie, "request"),
    ),
    response: both(
      response.length === 0
        ? undefined
        : (t) => captureFields(t.response, response, t.responseCaptures),
      captureCookie === undefined ? undefined : cookieCapture(captureCookie, "response"),
    ),
  };
}

interface Slot {
  readonly name: FieldName;
  readonly length: number;
}

type Capture = ((transaction: Transaction) => void) | undefined;

function both(a: Capture, b: Capture): Capture {
  if (a === undefined || b === undefined) return a ?? b;
  return (transaction) => {
    a(transaction);
    b(transaction);
  };
}

/** The last line of each header, cut at the slot's length. */
function captureFields(
  message: Message,
  slots: readonly Slot[],
  captures: (Uint8Array | undefined)[],
): void {
  const { bytes, head } = message;
  for (let slot = 0; slot < slots.length; slot++) {
    const { name, length } = slots[slot] as Slot;
    const field = message.findLast(name);
    if (field === -1) {
      captures[slot] = undefined;
      continue;
    }
    const start = head.valueStart[field] as number;
    captures[slot] = bytes.slice(start, Math.min(head.valueEnd[field] as number, start + length));
  }
}

const COOKIE = fieldName("cookie");
const SET_COOKIE = fieldName("set-cookie");

/** The first cookie whose name is (or begins with) the given one: `name=value`, cut at its length. */
function cookieCapture(
  {
    name,
    length,
    exact,
  }: { readonly name: string; readonly length: number; readonly exact: boolean },
  side: "request" | "response",
): (transaction: Transaction) => void {
  const field = side === "request" ? COOKIE : SET_COOKIE;
  const wanted = encodeText(name);
  const sample = createSample();
  return (transaction) => {
    const message = side === "request" ? transaction.request : transaction.response;
    const { bytes, head } = message;
    for (let at = message.find(field); at !== -1; at = message.find(field, at + 1)) {
      const end = head.valueEnd[at] as number;
      let from = head.valueStart[at] as number;
      while (from < end) {
        const next = cookieAfter(bytes, from, end, undefined, side === "response", sample);
        if (next < 0) break;
        const start = nameStart(bytes, from, sample.start);
        if (begins(bytes, start, sample.start, wanted, exact)) {
          const text = bytes.slice(start, Math.min(sample.end, start + length));
          if (side === "request") transaction.requestCookieCapture = text;
          else transaction.responseCookieCapture = text;
          return;
        }
        from = next;
      }
    }
  };
}

/** Where the name of a cookie begins that was looked for from `from`: after separators. */
function nameStart(bytes: Uint8Array, from: number, value: number): number {
  let at = value;
  while (at > from && bytes[at - 1] !== 0x3b) at--;
  while (at < value && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
  return at;
}

function begins(
  bytes: Uint8Array,
  start: number,
  end: number,
  name: Uint8Array,
  exact: boolean,
): boolean {
  if (end - start < name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false;
  return !exact || bytes[start + name.length] === 0x3d;
}
