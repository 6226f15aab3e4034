import { CONTENT_LENGTH } from "../http/framing.ts";
import { fieldName, type Head } from "../http/head.ts";
import { FIELD_OVERHEAD, isConnectionField, writeField, writeStatus } from "./hpack-encoder.ts";

/**
 * Writes a response's head as a header block to `at`, not past `limit`: the end, or -1 when there is no room. Fields
 * that belong to a connection are left out. RFC 9113 §8.2.2, §8.3.2.
 *
 * @param isUpgrade It answers an extended CONNECT: what only HTTP/1's handshake needs is left out as well. RFC 8441 §5
 */
export function writeResponseBlock(
  bytes: Uint8Array,
  head: Head,
  out: Uint8Array,
  at: number,
  limit: number,
  isUpgrade = false,
): number {
  if (at + 5 > limit) return -1;
  const { nameHash, nameStart, nameEnd, valueStart, valueEnd } = head;
  let to = writeStatus(out, at, head.status);
  for (let field = 0; field < head.fields; field++) {
    const name = nameStart[field] as number;
    const nameStop = nameEnd[field] as number;
    if (name === nameStop) continue;
    const hash = nameHash[field] as number;
    if (isConnectionField(hash, bytes, head, field)) continue;
    if (isUpgrade && (hash === ACCEPT.hash || hash === CONTENT_LENGTH.hash)) continue;
    const value = valueStart[field] as number;
    const valueStop = valueEnd[field] as number;
    if (to + (nameStop - name) + (valueStop - value) + FIELD_OVERHEAD > limit) return -1;
    to = writeField(out, to, bytes, name, nameStop, hash, value, valueStop);
  }
  return to;
}

const ACCEPT = fieldName("sec-websocket-accept");
