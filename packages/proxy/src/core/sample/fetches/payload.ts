import type { Token } from "../../config/token.ts";
import type { Transaction } from "../../transaction.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Fetch, FetchKeyword } from "../fetch-keyword.ts";
import {
  BIN,
  BOOL,
  encodeText,
  type Sample,
  SINT,
  STR,
  setBool,
  setInt,
  setRange,
} from "../sample.ts";
import { clientHello, HELLO_INCOMPLETE, HELLO_NONE } from "./client-hello.ts";
import { type Family, plain } from "./declare.ts";

const SOURCE = "HAProxy configuration manual §7.3.5";
const REQUEST: Family = { layer: "request content", source: SOURCE };
const RESPONSE: Family = { layer: "response content", source: SOURCE };

/** Bytes of either side before they are forwarded. */
interface Buffered {
  readonly start: number;
  readonly end: number;
  /** No more will come. */
  readonly complete: boolean;
}

type Side = (t: Transaction) => Buffered;

/** What is there of the request: the TCP payload, or in HTTP the body. */
const requestBytes: Side = (t) =>
  t.http
    ? { start: t.request.bodyStart, end: t.request.bodyEnd, complete: t.request.bodyComplete }
    : { start: t.payloadStart, end: t.payloadEnd, complete: t.payloadComplete || !t.inspecting };
const responseBytes: Side = (t) =>
  t.http
    ? { start: t.response.bodyStart, end: t.response.bodyEnd, complete: t.response.bodyComplete }
    : {
        start: t.responsePayloadStart,
        end: t.responsePayloadEnd,
        complete: t.responsePayloadComplete || !t.inspecting,
      };

/** Layer 6: what the connection carries before it is understood. */
export const PAYLOAD_FETCHES: readonly FetchKeyword[] = [
  length("req.len", ["req_len"], "Bytes of the request that are here.", REQUEST, requestBytes),
  length("res.len", [], "Bytes of the response that are here.", RESPONSE, responseBytes),
  payload("req.payload", ["payload"], REQUEST, requestBytes),
  payload("res.payload", [], RESPONSE, responseBytes),
  lengthValue("req.payload_lv", ["payload_lv"], REQUEST, requestBytes),
  lengthValue("res.payload_lv", [], RESPONSE, responseBytes),
  plain(
    REQUEST,
    "req.proto_http",
    BOOL,
    "Whether the request is valid HTTP.",
    () => (t, sample) => {
      if (t.http) return setBool(sample, true);
      return looksLikeHttp(t, sample);
    },
    ["req_proto_http"],
  ),
  plain(REQUEST, "wait_end", BOOL, "True at the end of inspect-delay.", () => (t, sample) => {
    if (!t.inspecting) return setBool(sample, true);
    sample.mayChange = true;
    return false;
  }),
  hello(
    "req.ssl_hello_type",
    ["req_ssl_hello_type"],
    SINT,
    "1 when the client sent a TLS ClientHello.",
    (hello, _bytes, sample) => setInt(sample, hello.type),
  ),
  hello(
    "req.ssl_ver",
    ["req_ssl_ver"],
    SINT,
    "TLS version of the ClientHello: 65536 for each major, 1 for each minor.",
    (hello, _bytes, sample) => setInt(sample, hello.version),
  ),
  hello(
    "req.ssl_sni",
    ["req_ssl_sni"],
    STR,
    "Server name that the client asks for.",
    (hello, bytes, sample) =>
      hello.sniEnd > hello.sniStart && setRange(sample, STR, bytes, hello.sniStart, hello.sniEnd),
  ),
  hello(
    "req.ssl_alpn",
    [],
    STR,
    "Protocol that the client offers first.",
    (hello, _bytes, sample) =>
      hello.alpn.length > 0 && setRange(sample, STR, encodeText(hello.alpn), 0, hello.alpn.length),
  ),
  hello(
    "req.ssl_ec_ext",
    [],
    BOOL,
    "Whether the client supports elliptic curves.",
    (hello, _bytes, sample) => setBool(sample, hello.curves),
  ),
  hello(
    "req.ssl_st_ext",
    [],
    SINT,
    "0 no session ticket extension, 1 empty, 2 with a ticket.",
    (hello, _bytes, sample) => setInt(sample, hello.ticket),
  ),
  plain(
    RESPONSE,
    "res.ssl_hello_type",
    SINT,
    "2 when the server sent a TLS ServerHello.",
    () => (t, sample) => {
      const { start, end, complete } = responseBytes(t);
      if (end - start < 6) {
        sample.mayChange = !complete;
        return false;
      }
      return (
        t.bytes[start] === 0x16 &&
        t.bytes[start + 1] === 3 &&
        setInt(sample, t.bytes[start + 5] as number)
      );
    },
    ["rep_ssl_hello_type"],
  ),
  {
    name: "req.rdp_cookie",
    aliases: ["rdp_cookie"],
    syntax: "req.rdp_cookie([<name>])",
    doc: "The value of the cookie (default: of any name) at the start of an RDP connection.",
    ...REQUEST,
    type: STR,
    arity: [0, 1],
    compile: ([name]) => rdpCookie(name?.text),
  },
  {
    name: "req.rdp_cookie_cnt",
    aliases: ["rdp_cookie_cnt"],
    syntax: "req.rdp_cookie_cnt([<name>])",
    doc: "1 when there is such a cookie at the start of an RDP connection.",
    ...REQUEST,
    type: SINT,
    arity: [0, 1],
    compile: ([name]) => {
      const fetch = rdpCookie(name?.text);
      return (t, sample) => {
        const found = fetch(t, sample);
        return found ? setInt(sample, 1) : !sample.mayChange && setInt(sample, 0);
      };
    },
  },
];

function length(
  name: string,
  aliases: readonly string[],
  doc: string,
  family: Family,
  side: Side,
): FetchKeyword {
  return plain(
    family,
    name,
    SINT,
    doc,
    () => (t, sample) => {
      const { start, end, complete } = side(t);
      sample.mayChange = !complete;
      return setInt(sample, end - start);
    },
    aliases,
  );
}

function wholeNumbers(
  args: readonly Argument[],
  context: CompileContext,
  token: Token,
): number[] | undefined {
  const values = args.map(({ text }) => (/^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN));
  if (values.some(Number.isNaN))
    return refuse(context, token, "offsets and lengths are whole numbers");
  return values;
}

function payload(
  name: string,
  aliases: readonly string[],
  family: Family,
  side: Side,
): FetchKeyword {
  return {
    name,
    aliases,
    syntax: `${name}(<offset>,<length>)`,
    doc: "<length> bytes from <offset>; all that are here from it when <length> is 0.",
    ...family,
    type: BIN,
    arity: [2, 2],
    compile: (args, context, token) => {
      const [offset, size] = wholeNumbers(args, context, token) ?? [];
      if (offset === undefined || size === undefined) return undefined;
      if (offset < 0 || size < 0)
        return refuse(context, token, "offset and length cannot be negative");
      return (t, sample) => {
        const { start, end, complete } = side(t);
        const wanted = size === 0 ? end - start - offset : size;
        if (start + offset + wanted > end || wanted <= 0) {
          sample.mayChange = !complete;
          return false;
        }
        sample.mayChange = size === 0 && !complete;
        return setRange(sample, BIN, t.bytes, start + offset, start + offset + wanted);
      };
    },
  };
}

function lengthValue(
  name: string,
  aliases: readonly string[],
  family: Family,
  side: Side,
): FetchKeyword {
  return {
    name,
    aliases,
    syntax: `${name}(<offset1>,<length>[,<offset2>])`,
    doc: "Bytes whose number stands in <length> bytes at <offset1>; they follow it, or begin at <offset2> (with a sign: relative).",
    ...family,
    type: BIN,
    arity: [2, 3],
    compile: (args, context, token) => {
      const values = wholeNumbers(args, context, token);
      if (values === undefined) return undefined;
      const [offset, size, second] = values as [number, number, number | undefined];
      if (size < 1 || size > 4 || offset < 0)
        return refuse(context, token, "the length's own size must be 1 to 4 bytes");
      const isRelative = /^[+-]/.test(args[2]?.text ?? "");
      return (t, sample) => {
        const { start, end, complete } = side(t);
        sample.mayChange = !complete;
        if (start + offset + size > end) return false;
        let count = 0;
        for (let i = 0; i < size; i++)
          count = count * 256 + (t.bytes[start + offset + i] as number);
        const after = offset + size;
        const from = start + (second === undefined ? after : isRelative ? after + second : second);
        if (from < start || count === 0 || from + count > end) return false;
        sample.mayChange = false;
        return setRange(sample, BIN, t.bytes, from, from + count);
      };
    },
  };
}

type Hello = Exclude<ReturnType<typeof clientHello>, number>;

function hello(
  name: string,
  aliases: readonly string[],
  type: typeof SINT | typeof STR | typeof BOOL,
  doc: string,
  read: (hello: Hello, bytes: Uint8Array, sample: Sample) => boolean,
): FetchKeyword {
  return plain(
    REQUEST,
    name,
    type,
    doc,
    () => (t, sample) => {
      const { start, end, complete } = requestBytes(t);
      const found = clientHello(t.bytes, start, end);
      if (found === HELLO_INCOMPLETE) {
        sample.mayChange = !complete;
        return false;
      }
      return found !== HELLO_NONE && read(found as Hello, t.bytes, sample);
    },
    aliases,
  );
}

/** Whether a TCP payload begins as an HTTP request does. */
function looksLikeHttp(t: Transaction, sample: Sample): boolean {
  const { start, end, complete } = requestBytes(t);
  for (let at = start; at < end; at++) {
    const byte = t.bytes[at] as number;
    if (byte === 0x20) {
      if (at === start) return setBool(sample, false);
      let line = at;
      while (line < end && t.bytes[line] !== 10) line++;
      if (line === end) {
        sample.mayChange = !complete;
        return complete && setBool(sample, false);
      }
      return setBool(sample, hasVersion(t.bytes, at, line));
    }
    const isToken =
      (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2d;
    if (!isToken) return setBool(sample, false);
  }
  sample.mayChange = !complete;
  return complete && setBool(sample, false);
}

function hasVersion(bytes: Uint8Array, from: number, end: number): boolean {
  const wanted = " HTTP/";
  for (let at = end - 1; at > from; at--) {
    if (bytes[at] !== 0x20) continue;
    for (let i = 0; i < wanted.length; i++)
      if (bytes[at + i] !== wanted.charCodeAt(i)) return false;
    return true;
  }
  return false;
}

/** `Cookie: name=value` in the first packet of RDP (MS-RDPBCGR 2.2.1.1), after TPKT and X.224 headers. */
export function rdpCookie(name: string | undefined): Fetch {
  const wanted = name === undefined ? undefined : encodeText(name.toLowerCase());
  return (t, sample) => {
    const { start, end, complete } = requestBytes(t);
    const { bytes } = t;
    sample.mayChange = !complete;
    if (end - start <= 11 + PREFIX.length) return false;
    const isRdp =
      bytes[start] === 3 &&
      bytes[start + 1] === 0 &&
      ((bytes[start + 5] as number) & 0xf0) === 0xe0;
    let at = start + 11;
    if (!isRdp || !startsWith(bytes, at, end, PREFIX)) {
      sample.mayChange = false;
      return false;
    }
    at += PREFIX.length;
    let equals = at;
    while (equals < end && bytes[equals] !== 0x3d && bytes[equals] !== 13) equals++;
    let stop = equals;
    while (stop < end && bytes[stop] !== 13) stop++;
    if (stop === end) return false;
    sample.mayChange = false;
    if (bytes[equals] !== 0x3d) return false;
    if (
      wanted !== undefined &&
      (equals - at !== wanted.length || !startsWith(bytes, at, end, wanted))
    )
      return false;
    return setRange(sample, STR, bytes, equals + 1, stop);
  };
}

const PREFIX = encodeText("cookie: ");

/** Ignoring case; `lower` is lower case. */
function startsWith(bytes: Uint8Array, at: number, end: number, lower: Uint8Array): boolean {
  if (end - at < lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    let byte = bytes[at + i] as number;
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    if (byte !== lower[i]) return false;
  }
  return true;
}
