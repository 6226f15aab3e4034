import type { Backend } from "../config/proxy-model.ts";
import type { Token } from "../config/token.ts";
import { fullAvalanche } from "../hash/avalanche.ts";
import { KEY_HASHES, type KeyHash } from "../hash/key-hash.ts";
import { fieldName } from "../http/head.ts";
import { castChecked } from "../sample/cast.ts";
import { AT_SERVER_CHOICE, type CompileContext, refuse } from "../sample/compile-context.ts";
import { checkPlace, parseExpression } from "../sample/expression.ts";
import { rdpCookie } from "../sample/fetches/payload.ts";
import { queryParameter } from "../sample/fetches/query-parameter.ts";
import { BIN, createSample, encodeText, type Sample } from "../sample/sample.ts";
import type { Servers } from "../server/servers.ts";
import type { Transaction } from "../transaction.ts";
import { type Algorithm, algorithms, type BalanceOptions, type Balancer } from "./algorithm.ts";

/** How a backend chooses. */
export interface Balance {
  /** Gives the server, or NONE when the request has to wait: see `Balancer.pick`. */
  choose(transaction: Transaction, avoid: number): number;
}

/**
 * Compiles `balance`, `hash-type` and their companions. Reports what is wrong. Where the request has no key (no such
 * parameter, header or cookie), servers take turns, as in HAProxy.
 */
export function compileBalance(
  backend: Pick<Backend, "balance" | "hashType" | "hashBalanceFactor" | "options">,
  servers: Servers,
  section: CompileContext,
): Balance | undefined {
  const context: CompileContext = {
    ...section,
    at: AT_SERVER_CHOICE,
    place: "balance",
    iterates: false,
  };
  const [first] = backend.balance;
  const { name, inside, rest } = splitMethod(backend.balance);
  const { random } = context.world.ports;
  const options: BalanceOptions = {
    draws: drawsOf(name, inside),
    balanceFactor: backend.hashBalanceFactor,
    allBackups: backend.options.on.has("allbackups"),
    chance: () => Math.floor(random.next() * 2 ** 32),
  };
  const plain = algorithmNamed(name);
  if (plain !== undefined) {
    const balancer = plain.create(servers, options);
    return { choose: (_transaction, avoid) => balancer.pick(0, avoid) };
  }
  const key = compileKey(name, inside, rest, backend, context, first);
  if (key === undefined) return undefined;
  const lookup = algorithmNamed(`hash-type ${backend.hashType.method}`)?.create(servers, options);
  const turns = algorithmNamed("roundrobin")?.create(servers, options);
  if (lookup === undefined || turns === undefined) return undefined;
  return hashing(key, lookup, turns);
}

function hashing(key: KeyReader, lookup: Balancer, turns: Balancer): Balance {
  return {
    choose: (transaction, avoid) => {
      const hash = key(transaction);
      return hash === NO_KEY ? turns.pick(0, avoid) : lookup.pick(hash, avoid);
    },
  };
}

function algorithmNamed(name: string): Algorithm | undefined {
  return algorithms.find((algorithm) => algorithm.name === name);
}

/** `hdr(host) use_domain_only` is name, inside and rest. */
function splitMethod(words: readonly Token[]): {
  readonly name: string;
  readonly inside: string | undefined;
  readonly rest: readonly Token[];
} {
  const [head, ...rest] = words;
  // The newest HAProxy draws by chance where nothing is said.
  const text = head?.text ?? "random";
  const open = text.indexOf("(");
  if (open === -1) return { name: text, inside: undefined, rest };
  return { name: text.slice(0, open), inside: text.slice(open + 1).replace(/\)$/, ""), rest };
}

function drawsOf(name: string, inside: string | undefined): number {
  return name === "random" && inside !== undefined && /^\d+$/.test(inside)
    ? Math.max(1, Number(inside))
    : 2;
}

/** The request's hash, 0 to 2^32-1, or `NO_KEY`. */
type KeyReader = (transaction: Transaction) => number;

/** The request has nothing to hash. */
export const NO_KEY = -1;

function compileKey(
  name: string,
  inside: string | undefined,
  rest: readonly Token[],
  { hashType }: Pick<Backend, "hashType">,
  context: CompileContext,
  token: Token | undefined,
): KeyReader | undefined {
  const hash = KEY_HASHES[hashType.function];
  const spread = hashType.avalanche;
  switch (name) {
    case "source":
      return sourceKey(spread);
    case "uri":
      return uriKey(rest, hash, spread, context);
    case "url_param":
      return parameterKey(rest, hash, spread, context, token);
    case "hdr":
      return headerKey(inside, rest, hash, spread, context, token);
    case "rdp-cookie": {
      const fetch = rdpCookie(inside);
      return sampleKey((transaction, sample) => fetch(transaction, sample), hash, spread);
    }
    case "hash": {
      const parsed = parseExpression(rest, 0, context);
      if (parsed === undefined || !checkPlace(parsed.expression, rest[0], context))
        return undefined;
      const { expression } = parsed;
      return sampleKey(
        (transaction, sample) =>
          expression.evaluate(transaction, sample) && castChecked(sample, BIN, transaction),
        hash,
        spread,
      );
    }
    default:
      return refuse(
        context,
        token,
        `unknown balance algorithm '${name}'`,
        `there are: roundrobin, static-rr, leastconn, first, random, source, uri, url_param, hdr, hash, rdp-cookie`,
      );
  }
}

function finish(value: number, spread: boolean): number {
  return spread ? fullAvalanche(value) : value;
}

function sampleKey(
  fetch: (transaction: Transaction, sample: Sample) => boolean,
  hash: KeyHash,
  spread: boolean,
): KeyReader {
  const sample = createSample();
  return (transaction) => {
    sample.cursor = 0;
    return fetch(transaction, sample)
      ? finish(hash(sample.bytes, sample.start, sample.end), spread)
      : NO_KEY;
  };
}

/** The address's 32-bit words, XORed: HAProxy takes no hash function here. */
function sourceKey(spread: boolean): KeyReader {
  return ({ session: { source } }) => {
    if (source.family === 0) return NO_KEY;
    const size = source.family === 4 ? 4 : 16;
    let hash = 0;
    for (let at = 0; at < size; at += 4) {
      hash ^=
        ((source.address[at] as number) << 24) |
        ((source.address[at + 1] as number) << 16) |
        ((source.address[at + 2] as number) << 8) |
        (source.address[at + 3] as number);
    }
    return finish(hash >>> 0, spread);
  };
}

/** `balance uri [len <n>] [depth <n>] [whole] [path-only]`. */
function uriKey(
  words: readonly Token[],
  hash: KeyHash,
  spread: boolean,
  context: CompileContext,
): KeyReader | undefined {
  let length = Number.POSITIVE_INFINITY;
  let depth = Number.POSITIVE_INFINITY;
  let whole = false;
  let pathOnly = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as Token;
    if (word.text === "whole") whole = true;
    else if (word.text === "path-only") pathOnly = true;
    else if (word.text === "len" || word.text === "depth") {
      const value = Number(words[++at]?.text);
      if (!Number.isInteger(value) || value < 1)
        return refuse(context, word, `'${word.text}' needs a number of at least 1`);
      if (word.text === "len") length = value;
      else depth = value;
    } else
      return refuse(
        context,
        word,
        `unexpected '${word.text}' in 'balance uri'`,
        "write: balance uri [len <n>] [depth <n>] [whole] [path-only]",
      );
  }
  return (transaction) => {
    if (!transaction.http) return NO_KEY;
    const { bytes, head } = transaction.request;
    const start = pathOnly ? head.pathStart : head.targetStart;
    const most = Math.min(head.targetEnd, start + length);
    let slashes = 0;
    let end = start;
    for (; end < most; end++) {
      const byte = bytes[end];
      // The slash that would begin level depth+1 ends the key.
      if (byte === SLASH && ++slashes === depth + 1) break;
      if (byte === QUESTION && !whole) break;
    }
    return finish(hash(bytes, start, end), spread);
  };
}

const SLASH = 0x2f;
const QUESTION = 0x3f;

/** `balance url_param <name> [check_post [<wait>]]`. */
function parameterKey(
  [name, checkPost, wait, extra]: readonly Token[],
  hash: KeyHash,
  spread: boolean,
  context: CompileContext,
  token: Token | undefined,
): KeyReader | undefined {
  const isWhole =
    name !== undefined &&
    extra === undefined &&
    (checkPost === undefined || checkPost.text === "check_post") &&
    (wait === undefined || /^\d+$/.test(wait.text));
  if (!isWhole)
    return refuse(
      context,
      token,
      "'balance url_param' has wrong arguments",
      "write: balance url_param <name> [check_post]",
    );
  const key = encodeText(name.text);
  const sample = createSample();
  return (transaction) => {
    if (!transaction.http) return NO_KEY;
    const { bytes, head, bodyStart, bodyEnd } = transaction.request;
    const inQuery = queryParameter(bytes, head.queryStart + 1, head.targetEnd, key, sample, false);
    const found =
      inQuery ||
      (checkPost !== undefined &&
        head.method === METHOD_POST &&
        queryParameter(bytes, bodyStart, bodyEnd, key, sample, false));
    return found ? finish(hash(bytes, sample.start, sample.end), spread) : NO_KEY;
  };
}

const METHOD_POST = 3;

/** `balance hdr(<name>) [use_domain_only]`. */
function headerKey(
  name: string | undefined,
  [option, extra]: readonly Token[],
  hash: KeyHash,
  spread: boolean,
  context: CompileContext,
  token: Token | undefined,
): KeyReader | undefined {
  const isWhole =
    name !== undefined &&
    name !== "" &&
    extra === undefined &&
    (option === undefined || option.text === "use_domain_only");
  if (!isWhole)
    return refuse(
      context,
      token,
      "'balance hdr' has wrong arguments",
      "write: balance hdr(<name>) [use_domain_only]",
    );
  const field = fieldName(name);
  return (transaction) => {
    if (!transaction.http) return NO_KEY;
    const { request } = transaction;
    const at = request.find(field);
    if (at === -1) return NO_KEY;
    const { bytes, head } = request;
    let start = head.valueStart[at] as number;
    let end = head.valueEnd[at] as number;
    if (option !== undefined) {
      // The two labels before the port at most: www.example.com gives example.
      for (let colon = start; colon < end; colon++) if (bytes[colon] === 0x3a) end = colon;
      [start, end] = domainOf(bytes, start, end);
    }
    return finish(hash(bytes, start, end), spread);
  };
}

/** From the last label but one to before the last dot, as HAProxy's use_domain_only; all of it without two dots. */
function domainOf(bytes: Uint8Array, start: number, end: number): [number, number] {
  let at = end;
  let stop = end;
  let dots = 0;
  while (at > start) {
    if (bytes[at - 1] === 0x2e) {
      dots++;
      if (dots === 1) stop = at - 1;
      else break;
    }
    at--;
  }
  return dots === 0 ? [start, end] : [at, stop];
}
