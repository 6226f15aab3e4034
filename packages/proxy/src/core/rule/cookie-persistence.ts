import type { Backend, PersistenceCookie } from "../config/proxy-model.ts";
import type { Server } from "../config/server-model.ts";
import { xxh64 } from "../hash/xxhash.ts";
import { fieldName, METHOD_POST } from "../http/head.ts";
import type { Message } from "../http/message.ts";
import type { CompileContext } from "../sample/compile-context.ts";
import { cookieAfter } from "../sample/fetches/http-cookies.ts";
import { createSample, encodeBytes, encodeText, latin1, room } from "../sample/sample.ts";
import type { Servers } from "../server/servers.ts";
import { NONE, type Transaction } from "../transaction.ts";
import { isCacheable } from "./cacheable.ts";
import { cookieDate, dateOfCookie } from "./cookie-date.ts";

/** Persistence by a cookie. HAProxy configuration manual §4.2, cookie. */
export interface CookiePersistence {
  /** Reads the request's cookies: sets `wantedServer` and `cookieRequest`, and takes out what servers must not see. False without room. */
  request(transaction: Transaction): boolean;
  /** Changes the response's cookies as the mode says, and sets `cookieResponse`. False without room. */
  response(transaction: Transaction): boolean;
}

const COOKIE = fieldName("cookie");
const SET_COOKIE = fieldName("set-cookie");
const CACHE_CONTROL = fieldName("cache-control");
/** Parts the server's name from the application's value in prefix mode. */
const PREFIX_DELIMITER = "~";
/** Parts the server's name from dates, with maxidle or maxlife. */
const DATE_DELIMITER = "|";

/** Third letter of the termination state. HAProxy configuration manual §8.5. */
const REQUEST_NONE = letter("N");
const REQUEST_INVALID = letter("I");
const REQUEST_DOWN = letter("D");
const REQUEST_VALID = letter("V");
const REQUEST_EXPIRED = letter("E");
const REQUEST_OLD = letter("O");
/** Fourth letter. */
const RESPONSE_NONE = letter("N");
const RESPONSE_PASSED = letter("P");
const RESPONSE_DELETED = letter("D");
const RESPONSE_INSERTED = letter("I");
const RESPONSE_REWRITTEN = letter("R");
const RESPONSE_UPDATED = letter("U");

function letter(text: string): number {
  return text.charCodeAt(0);
}

export function compileCookie(
  backend: Backend,
  servers: Servers,
  context: CompileContext,
): CookiePersistence | undefined {
  const { cookie } = backend;
  if (cookie === undefined) return undefined;
  const values = backend.servers.map((server) =>
    serverCookie(server, cookie, backend.dynamicCookieKey),
  );
  const persistsAlways = backend.options.on.has("persist");
  const wanted = encodeText(cookie.name);
  const { variables, ports } = context.world;
  const dated = cookie.maxidle !== undefined || cookie.maxlife !== undefined;
  // Dates that the request's cookie brought, till the response: variables that no configuration can name.
  const lastDate = variables.hidden("txn", "cookie last date");
  const firstDate = variables.hidden("txn", "cookie first date");
  const now = (): number => Math.floor(ports.wallMicros() / 1_000_000);
  const dateOf = (which: typeof lastDate, transaction: Transaction): number => {
    const value = variables.get(which, transaction);
    return value !== undefined && "number" in value ? value.number : 0;
  };

  /** What one cookie of our name says: a letter, and perhaps a server. */
  const judge = (text: string, transaction: Transaction): number => {
    let name = text;
    if (cookie.mode === "prefix") {
      const end = text.indexOf(PREFIX_DELIMITER);
      if (end === -1) return REQUEST_INVALID;
      name = text.slice(0, end);
    } else if (dated) {
      const [given = "", last, first] = text.split(DATE_DELIMITER);
      name = given;
      const [lastSeen, firstSeen] = [dateOfCookie(last), dateOfCookie(first)];
      variables.set(lastDate, transaction, { type: "sint", number: lastSeen });
      variables.set(firstDate, transaction, { type: "sint", number: firstSeen });
      if (
        cookie.maxidle !== undefined &&
        lastSeen !== 0 &&
        (lastSeen < now() - cookie.maxidle / 1e6 || lastSeen > now() + CLOCK_SKEW)
      )
        return REQUEST_EXPIRED;
      if (
        cookie.maxlife !== undefined &&
        firstSeen !== 0 &&
        (firstSeen < now() - cookie.maxlife / 1e6 || firstSeen > now() + CLOCK_SKEW)
      )
        return REQUEST_OLD;
    }
    const server = values.indexOf(name);
    if (server === -1 || name === "") return REQUEST_INVALID;
    if (!isReachable(servers, server) && !persistsAlways && !transaction.forcePersist)
      return REQUEST_DOWN;
    transaction.wantedServer = server;
    return REQUEST_VALID;
  };

  return {
    request: (transaction) => {
      transaction.cookieRequest = REQUEST_NONE;
      if (dated) {
        variables.set(lastDate, transaction, undefined);
        variables.set(firstDate, transaction, undefined);
      }
      const hides = cookie.mode === "insert" && cookie.indirect;
      return eachCookie(transaction.request, transaction, wanted, (name, value) => {
        if (name !== cookie.name) return KEEP;
        if (!transaction.ignorePersist && transaction.wantedServer === NONE) {
          transaction.cookieRequest = judge(value, transaction);
        }
        if (hides) return undefined;
        if (cookie.mode !== "prefix") return KEEP;
        const end = value.indexOf(PREFIX_DELIMITER);
        return end === -1 ? KEEP : value.slice(end + 1);
      });
    },
    response: (transaction) => {
      const { server } = transaction;
      if (server === NONE || transaction.ignorePersist) return true;
      const own = values[server];
      const direct =
        transaction.cookieRequest === REQUEST_VALID && transaction.wantedServer === server;
      transaction.cookieResponse = RESPONSE_NONE;
      if (!changeSetCookies(transaction, cookie, own, direct)) return false;
      const found = transaction.cookieResponse === RESPONSE_PASSED;
      if (cookie.mode !== "insert" || (found && cookie.preserve)) return true;
      const last = dateOf(lastDate, transaction);
      const first = dateOf(firstDate, transaction);
      const refreshes =
        ((cookie.maxidle !== undefined || last !== 0) && last < now()) ||
        (cookie.maxlife !== undefined && first === 0) ||
        (cookie.maxlife === undefined && first !== 0);
      if (direct && !refreshes) return true;
      if (cookie.postonly && transaction.requestHead.method !== METHOD_POST) return true;
      if (!append(transaction, SET_COOKIE, cookieText(cookie, own, now(), first))) return false;
      transaction.cookieResponse =
        own !== undefined && direct ? RESPONSE_UPDATED : RESPONSE_INSERTED;
      return (
        !cookie.nocache ||
        !isCacheable(transaction) ||
        append(transaction, CACHE_CONTROL, "private")
      );
    },
  };
}

/** Seconds that a cookie's date may lie ahead: servers' clocks differ. As HAProxy: one day. */
const CLOCK_SKEW = 86_400;

/** Whether persistence may use it: up, whatever its weight. */
function isReachable(servers: Servers, server: number): boolean {
  return Atomics.load(servers.usable, server) !== 0;
}

/** The server's value: of its line, or made of its address with `dynamic`. */
export function serverCookie(
  server: Server,
  cookie: PersistenceCookie,
  key: string | undefined,
): string | undefined {
  if (server.cookie !== undefined || !cookie.dynamic || key === undefined) return server.cookie;
  const { address } = server;
  if (address.kind !== "inet" || address.address === undefined) return undefined;
  const bytes = [
    ...encodeText(key),
    ...address.address.bytes,
    ...[24, 16, 8, 0].map((shift) => (address.port >> shift) & 0xff),
  ];
  return xxh64(Uint8Array.from(bytes), 0, bytes.length, 0n).toString(16).padStart(16, "0");
}

function cookieText(
  cookie: PersistenceCookie,
  value: string | undefined,
  now: number,
  firstDate: number,
): string {
  let text: string;
  if (value === undefined) {
    text = `${cookie.name}=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/`;
  } else {
    text = `${cookie.name}=${value}`;
    if (cookie.maxidle !== undefined || cookie.maxlife !== undefined) {
      text += DATE_DELIMITER + cookieDate(now);
      if (cookie.maxlife !== undefined)
        text += DATE_DELIMITER + cookieDate(firstDate === 0 ? now : firstDate);
    }
    text += "; path=/";
  }
  if (cookie.domain !== undefined) text += `; domain=${cookie.domain}`;
  if (cookie.httponly) text += "; HttpOnly";
  if (cookie.secure) text += "; Secure";
  for (const attribute of cookie.attributes) text += `; ${attribute}`;
  return text;
}

function append(transaction: Transaction, name: typeof SET_COOKIE, text: string): boolean {
  const start = place(transaction, text);
  return start >= 0 && transaction.response.addField(name, start, start + text.length);
}

function place(transaction: Transaction, text: string): number {
  const start = room(transaction.scratch, text.length);
  if (start >= 0) transaction.bytes.set(encodeBytes(text), start);
  return start;
}

/** Where `cookieAfter` puts what it finds, which nobody looks at. */
const FOUND = createSample();

/** What to do with a cookie: `KEEP`, take it out (undefined), or give it a new value. */
const KEEP = null;
type Change = string | null | undefined;

/** Goes through the cookies of each field that has one of the name; the order and spelling of those kept stay. */
function eachCookie(
  message: Message,
  transaction: Transaction,
  wanted: Uint8Array,
  change: (name: string, value: string) => Change,
): boolean {
  const { bytes, head } = message;
  for (let at = message.find(COOKIE); at !== -1; at = message.find(COOKIE, at + 1)) {
    const [from, to] = [head.valueStart[at] as number, head.valueEnd[at] as number];
    // Most clients' first requests have none: no text is made for them.
    if (cookieAfter(bytes, from, to, wanted, false, FOUND) < 0) continue;
    const text = latin1(bytes, from, to);
    let changed = false;
    const kept: string[] = [];
    for (const part of text.split(";")) {
      const match = /^(\s*)([^=\s]+)(\s*=\s*)([\s\S]*?)(\s*)$/.exec(part);
      const outcome = match === null ? KEEP : change(match[2] as string, match[4] as string);
      if (outcome === KEEP) kept.push(part);
      else {
        changed = true;
        if (outcome !== undefined && match !== null)
          kept.push(`${match[1]}${match[2]}${match[3]}${outcome}${match[5]}`);
      }
    }
    if (!changed) continue;
    const left = kept.join(";").replace(/^[\s;]+/, "");
    if (left.trim() === "") {
      message.deleteAt(at);
      continue;
    }
    const start = place(transaction, left);
    if (start < 0) return false;
    message.replaceValue(at, start, start + left.length);
  }
  return true;
}

/** The server's own cookies of our name: passed, deleted, rewritten or prefixed. */
function changeSetCookies(
  transaction: Transaction,
  cookie: PersistenceCookie,
  own: string | undefined,
  direct: boolean,
): boolean {
  const { response } = transaction;
  const { bytes, head } = response;
  for (let at = response.find(SET_COOKIE); at !== -1; at = response.find(SET_COOKIE, at + 1)) {
    const text = latin1(bytes, head.valueStart[at] as number, head.valueEnd[at] as number);
    const match = /^([\s;]*[^=;\s]+)(\s*=\s*)([^;]*)([\s\S]*)$/.exec(text);
    if (match === null || match[1]?.trim() !== cookie.name) continue;
    transaction.cookieResponse = RESPONSE_PASSED;
    if (cookie.preserve) continue;
    if (cookie.mode === "insert" || (direct && cookie.indirect)) {
      response.deleteAt(at);
      transaction.cookieResponse = RESPONSE_DELETED;
      continue;
    }
    if (own === undefined || (cookie.mode !== "rewrite" && cookie.mode !== "prefix")) continue;
    const value = cookie.mode === "rewrite" ? own : `${own}${PREFIX_DELIMITER}${match[3]}`;
    const changed = `${match[1]}${match[2]}${value}${match[4]}`;
    const start = place(transaction, changed);
    if (start < 0) return false;
    response.replaceValue(at, start, start + changed.length);
    transaction.cookieResponse = RESPONSE_REWRITTEN;
  }
  return true;
}
