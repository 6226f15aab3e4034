import { asciiBytes, equalsIgnoringCase } from "../http/bytes.ts";
import { CONTENT_LENGTH, HOST_FIELD, HTTP2_SETTINGS, isNamed, UPGRADE } from "../http/framing.ts";
import { fieldName, type Head, METHOD_CONNECT, METHOD_GET, METHOD_POST } from "../http/head.ts";
import { TE } from "./field-text.ts";
import {
  FIELD_OVERHEAD,
  isConnectionField,
  writeField,
  writeIndexed,
  writeNamed,
} from "./hpack-encoder.ts";
import {
  STATIC_AUTHORITY,
  STATIC_METHOD_GET,
  STATIC_METHOD_POST,
  STATIC_PATH,
  STATIC_SCHEME_HTTP,
  STATIC_SCHEME_HTTPS,
} from "./static-table.ts";

const KEY = fieldName("sec-websocket-key");
const PROTOCOL = fieldName(":protocol");
const TRAILERS = asciiBytes("trailers");
const CONNECT = asciiBytes("CONNECT");
const SLASH = asciiBytes("/");

/**
 * Writes a request's head as a header block to `at`, not past `limit`: the end, or -1 when there is no room. Host becomes
 * `:authority`; fields that belong to a connection are left out. RFC 9113 §8.2.2, §8.3.1.
 *
 * @param isSecure Whether the scheme is https.
 * @param isUpgrade Asks for its upgrade by extended CONNECT. RFC 8441 §4
 */
export function writeRequestBlock(
  bytes: Uint8Array,
  head: Head,
  out: Uint8Array,
  at: number,
  limit: number,
  isSecure: boolean,
  isUpgrade: boolean,
): number {
  const target = head.targetEnd - head.targetStart;
  const host = hostOf(bytes, head);
  const authority =
    host < 0 ? 0 : (head.valueEnd[host] as number) - (head.valueStart[host] as number);
  if (at + target + authority + (head.methodEnd - head.methodStart) + 80 > limit) return -1;
  let to = at;
  const isConnect = head.method === METHOD_CONNECT;
  if (isUpgrade) to = writeNamed(out, to, STATIC_METHOD_GET, CONNECT, 0, CONNECT.length);
  else if (head.method === METHOD_GET) to = writeIndexed(out, to, STATIC_METHOD_GET);
  else if (head.method === METHOD_POST) to = writeIndexed(out, to, STATIC_METHOD_POST);
  else to = writeNamed(out, to, STATIC_METHOD_GET, bytes, head.methodStart, head.methodEnd);
  if (isConnect) {
    to = writeNamed(out, to, STATIC_AUTHORITY, bytes, head.targetStart, head.targetEnd);
  } else {
    to = writeIndexed(out, to, isSecure ? STATIC_SCHEME_HTTPS : STATIC_SCHEME_HTTP);
    if (host >= 0) {
      const start = head.valueStart[host] as number;
      to = writeNamed(out, to, STATIC_AUTHORITY, bytes, start, start + authority);
    }
    if (head.pathStart === head.targetEnd) to = writeNamed(out, to, STATIC_PATH, SLASH, 0, 1);
    else to = writeNamed(out, to, STATIC_PATH, bytes, head.pathStart, head.targetEnd);
  }
  if (isUpgrade) to = writeProtocol(bytes, head, out, to, limit);
  if (to < 0) return -1;
  const { nameHash, nameStart, nameEnd, valueStart, valueEnd } = head;
  for (let field = 0; field < head.fields; field++) {
    const name = nameStart[field] as number;
    const nameStop = nameEnd[field] as number;
    if (name === nameStop || isLeftOut(bytes, head, field, isUpgrade)) continue;
    const value = valueStart[field] as number;
    const valueStop = valueEnd[field] as number;
    if (to + (nameStop - name) + (valueStop - value) + FIELD_OVERHEAD > limit) return -1;
    to = writeField(out, to, bytes, name, nameStop, nameHash[field] as number, value, valueStop);
  }
  return to;
}

function hostOf(bytes: Uint8Array, head: Head): number {
  for (let field = 0; field < head.fields; field++) {
    if (head.nameHash[field] !== HOST_FIELD.hash) continue;
    if (isNamed(bytes, head, field, HOST_FIELD)) return field;
  }
  return -1;
}

/** `:protocol`, from Upgrade. */
function writeProtocol(
  bytes: Uint8Array,
  head: Head,
  out: Uint8Array,
  at: number,
  limit: number,
): number {
  for (let field = 0; field < head.fields; field++) {
    if (head.nameHash[field] !== UPGRADE.hash || !isNamed(bytes, head, field, UPGRADE)) continue;
    const start = head.valueStart[field] as number;
    const end = head.valueEnd[field] as number;
    if (at + PROTOCOL.bytes.length + (end - start) + FIELD_OVERHEAD > limit) return -1;
    const name = PROTOCOL.bytes;
    if (end - start >= 127) return -1;
    out[at] = 0;
    out[at + 1] = name.length;
    out.set(name, at + 2);
    const to = at + 2 + name.length;
    out[to] = end - start;
    out.set(bytes.subarray(start, end), to + 1);
    return to + 1 + (end - start);
  }
  return -1;
}

function isLeftOut(bytes: Uint8Array, head: Head, field: number, isUpgrade: boolean): boolean {
  const hash = head.nameHash[field] as number;
  if (hash === HOST_FIELD.hash) return isNamed(bytes, head, field, HOST_FIELD);
  if (hash === HTTP2_SETTINGS.hash) return isNamed(bytes, head, field, HTTP2_SETTINGS);
  if (hash === TE.hash && isNamed(bytes, head, field, TE)) {
    const start = head.valueStart[field] as number;
    return !equalsIgnoringCase(bytes, start, head.valueEnd[field] as number, TRAILERS);
  }
  if (isUpgrade) {
    if (hash === KEY.hash) return isNamed(bytes, head, field, KEY);
    if (hash === CONTENT_LENGTH.hash) return isNamed(bytes, head, field, CONTENT_LENGTH);
  }
  return isConnectionField(hash, bytes, head, field);
}
