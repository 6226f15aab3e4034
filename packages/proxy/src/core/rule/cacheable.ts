import { type FieldName, fieldName, METHOD_GET, METHOD_HEAD } from "../http/head.ts";
import type { Message } from "../http/message.ts";
import { latin1 } from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";

const CACHE_CONTROL = fieldName("cache-control");
const PRAGMA = fieldName("pragma");
const EXPLICIT = ["expires", "etag", "last-modified"].map(fieldName);
const STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501,
]);

/**
 * Whether a cache on the way might keep the response: what `cookie … nocache` guards against. Only GET, only
 * with an age or a validator, and not where the server forbids it already. Observed: haproxy 2.6.
 */
export function isCacheable({ requestHead, response }: Transaction): boolean {
  if (requestHead.method !== METHOD_GET && requestHead.method !== METHOD_HEAD) return false;
  if (!STATUSES.has(response.head.status)) return false;
  const control = textOf(response, CACHE_CONTROL);
  if (control === "" && /no-cache/.test(textOf(response, PRAGMA))) return false;
  if (/(?:^|[\s,])(?:no-store|private|no-cache(?!=)|(?:s-maxage|max-age)=0(?!\d))/.test(control))
    return false;
  return (
    /(?:s-maxage|max-age)=/.test(control) || EXPLICIT.some((field) => response.find(field) !== -1)
  );
}

function textOf(message: Message, field: FieldName): string {
  const { bytes, head } = message;
  const values: string[] = [];
  for (let at = message.find(field); at !== -1; at = message.find(field, at + 1)) {
    values.push(latin1(bytes, head.valueStart[at] as number, head.valueEnd[at] as number));
  }
  return values.join(", ").toLowerCase();
}
