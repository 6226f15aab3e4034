import { PASS } from "../condition/condition.ts";
import { CONTINUE, type Rule } from "../rule/rule.ts";
import type { Transaction } from "../transaction.ts";
import { fieldName, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_TRACE } from "./head.ts";

const SET_COOKIE = fieldName("set-cookie");
const SET_COOKIE2 = fieldName("set-cookie2");
const CACHE_CONTROL = fieldName("cache-control");
const PRAGMA = fieldName("pragma");
const BLOCKED = { type: "respond", status: 502, by: "deny" } as const;
/** Statuses that caches keep unless told otherwise. RFC 9110 §15.1 */
const CACHEABLE: ReadonlySet<number> = new Set([
  200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501,
]);

/**
 * `option checkcache`: an answer that a cache may keep and that sets a cookie becomes a 502, lest one user's session
 * be another's. The last of a proxy's response rules. HAProxy configuration manual §4.2. Differs from haproxy 2.6.12
 * as observed, which blocks other answers than its manual says, under a 200.
 */
export function cacheableCookie(at: Rule["at"]): Rule {
  return {
    at,
    condition: () => PASS,
    action: (transaction) => (isDangerous(transaction) ? BLOCKED : CONTINUE),
  };
}

function isDangerous(transaction: Transaction): boolean {
  const { response, request } = transaction;
  if (response.find(SET_COOKIE) < 0 && response.find(SET_COOKIE2) < 0) return false;
  const { method } = request.head;
  const isSafe =
    method === METHOD_GET ||
    method === METHOD_HEAD ||
    method === METHOD_OPTIONS ||
    method === METHOD_TRACE;
  let cacheable = isSafe && CACHEABLE.has(response.head.status);
  const pragma = response.find(PRAGMA);
  if (pragma >= 0 && fieldText(transaction, pragma).startsWith("no-cache")) return false;
  for (
    let field = response.find(CACHE_CONTROL);
    field >= 0;
    field = response.find(CACHE_CONTROL, field + 1)
  ) {
    for (const directive of fieldText(transaction, field).matchAll(/[^,"\s]+(?:"[^"]*"?)?/g)) {
      if (PROTECTS.test(directive[0])) return false;
      if (directive[0] === "public") cacheable = true;
    }
  }
  return cacheable;
}

/** Directives that keep an answer, or its cookie, out of shared caches. */
const PROTECTS =
  /^(?:private|no-store|no-cache|max-age=0|s-maxage=0|no-cache="(?:set-cookie2?)(?:[",].*)?)$/;

/** Lower case. Made only for answers that set a cookie. */
function fieldText({ bytes, response: { head } }: Transaction, field: number): string {
  let text = "";
  const end = head.valueEnd[field] as number;
  for (let at = head.valueStart[field] as number; at < end; at++) {
    text += String.fromCharCode(bytes[at] as number);
  }
  return text.toLowerCase();
}
