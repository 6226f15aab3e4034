import { createHash, randomFillSync } from "node:crypto";
import { fieldName, type Head } from "../../core/http/head.ts";

const ACCEPT = fieldName("sec-websocket-accept");
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A fresh value for `sec-websocket-key`. RFC 6455 §4.1. */
export function webSocketKey(): Uint8Array {
  return new TextEncoder().encode(randomFillSync(Buffer.alloc(16)).toString("base64"));
}

/** What `sec-websocket-accept` must be. RFC 6455 §4.2.2. */
export function webSocketAccept(key: Uint8Array): string {
  return createHash("sha1").update(key).update(GUID).digest("base64");
}

/** Whether a server's 101 answers the key that went out with the request; without one there is nothing to answer. */
export function answersKey(bytes: Uint8Array, head: Head, key: Uint8Array | undefined): boolean {
  if (key === undefined) return true;
  const expected = webSocketAccept(key);
  for (let field = 0; field < head.fields; field++) {
    if (head.nameHash[field] !== ACCEPT.hash) continue;
    const start = head.valueStart[field] as number;
    if ((head.valueEnd[field] as number) - start !== expected.length) return false;
    for (let i = 0; i < expected.length; i++) {
      if (bytes[start + i] !== expected.charCodeAt(i)) return false;
    }
    return true;
  }
  return false;
}
