import { compileCondition, splitCondition } from "../condition/compile-condition.ts";
import { type Condition, PASS } from "../condition/condition.ts";
import type { Backend, RuleLine } from "../config/proxy-model.ts";
import type { Token } from "../config/token.ts";
import { sdbm } from "../hash/key-hash.ts";
import {
  AT_REQUEST,
  AT_REQUEST_CONTENT,
  AT_RESPONSE,
  AT_RESPONSE_CONTENT,
  type CompileContext,
} from "../sample/compile-context.ts";
import { checkPlace, type Expression, parseExpression } from "../sample/expression.ts";
import { createSample, encodeText } from "../sample/sample.ts";
import type { Servers } from "../server/servers.ts";
import { NO_ENTRY, type StickTable } from "../server/stick-table.ts";
import { makeKey } from "../server/table-key.ts";
import { findTable } from "../server/tracked.ts";
import { NONE, type Transaction } from "../transaction.ts";
import { placed } from "./compile-rules.ts";

/** `stick` lines of a backend. HAProxy configuration manual §4.2, stick on, match, store-request, store-response. */
export interface StickRules {
  /** Finds `wantedServer` in the tables unless it is set, and remembers keys to be stored. */
  request(transaction: Transaction): void;
  /** Stores which server took the transaction. Call it when the response is there; in TCP mode when connected. */
  response(transaction: Transaction): void;
}

interface StickRule {
  readonly condition: Condition;
  readonly expression: Expression;
  readonly table: StickTable;
  readonly matches: boolean;
  readonly stores: boolean;
}

/** Keys that one transaction may store. HAProxy's own limit. */
const MOST_STORED = 8;

interface PendingStore {
  readonly table: StickTable;
  readonly key: Uint8Array;
}

export function compileStick(
  backend: Backend,
  servers: Servers,
  section: CompileContext,
): StickRules | undefined {
  const http = backend.mode === "http";
  const request = placed(section, http ? AT_REQUEST : AT_REQUEST_CONTENT, "stick");
  const response = placed(
    section,
    http ? AT_RESPONSE : AT_RESPONSE_CONTENT,
    "stick store-response",
  );
  const requestRules: StickRule[] = [];
  const responseRules: StickRule[] = [];
  for (const line of backend.rules.stick) {
    const isResponse = line.words[0]?.text === "store-response";
    const rule = compileLine(line, isResponse ? response : request);
    if (rule !== undefined) (isResponse ? responseRules : requestRules).push(rule);
  }
  if (requestRules.length === 0 && responseRules.length === 0) return undefined;

  const persistsAlways = backend.options.on.has("persist");
  const byId = new Map(backend.servers.map((server, at) => [server.id, at]));
  const nameHashes = backend.servers.map(({ name }) => serverKey(name));
  const sample = createSample();
  const pending = new WeakMap<Transaction, PendingStore[]>();

  const find = ({ table }: StickRule, transaction: Transaction): number => {
    const entry = table.find(sample.bytes, sample.start, sample.end, transaction.now);
    if (entry === NO_ENTRY) return NONE;
    const server = storedServer(table, entry, transaction.now, byId, nameHashes);
    if (server !== NONE) table.touch(entry, transaction.now);
    table.release(entry);
    return server;
  };

  return {
    request: (transaction) => {
      const keys: PendingStore[] = [];
      for (const rule of requestRules) {
        if (rule.condition(transaction) !== PASS) continue;
        if (
          !rule.expression.evaluate(transaction, sample) ||
          !makeKey(sample, rule.table, transaction)
        )
          continue;
        if (rule.matches && transaction.wantedServer === NONE && !transaction.ignorePersist) {
          const server = find(rule, transaction);
          const isUp = server !== NONE && Atomics.load(servers.usable, server) !== 0;
          if (server !== NONE && (isUp || persistsAlways || transaction.forcePersist))
            transaction.wantedServer = server;
        }
        if (rule.stores && keys.length < MOST_STORED) {
          keys.push({ table: rule.table, key: sample.bytes.slice(sample.start, sample.end) });
        }
      }
      if (keys.length > 0) pending.set(transaction, keys);
      else pending.delete(transaction);
    },
    response: (transaction) => {
      const { server, now } = transaction;
      const keys = pending.get(transaction) ?? [];
      pending.delete(transaction);
      for (const rule of responseRules) {
        if (keys.length >= MOST_STORED || rule.condition(transaction) !== PASS) continue;
        if (
          !rule.expression.evaluate(transaction, sample) ||
          !makeKey(sample, rule.table, transaction)
        )
          continue;
        keys.push({ table: rule.table, key: sample.bytes.slice(sample.start, sample.end) });
      }
      const chosen = backend.servers[server];
      if (chosen === undefined || chosen.nonStick) return;
      for (const { table, key } of keys) {
        const entry = table.obtain(key, 0, key.length, now);
        if (entry === NO_ENTRY) continue;
        const id = table.field("server_id");
        const hash = table.field("server_key");
        if (id !== undefined) table.set(entry, id, 0, chosen.id, now);
        if (hash !== undefined) table.set(entry, hash, 0, nameHashes[server] as number, now);
        table.release(entry);
      }
    },
  };
}

/** The server's name as a table's `server_key` holds it: a 32-bit hash, never 0. */
export function serverKey(name: string): number {
  const bytes = encodeText(name);
  return sdbm(bytes, 0, bytes.length) || 1;
}

/** By name where the table keeps it (ids change when servers are reordered), else by id. */
function storedServer(
  table: StickTable,
  entry: number,
  now: number,
  byId: ReadonlyMap<number, number>,
  nameHashes: readonly number[],
): number {
  const hash = table.field("server_key");
  if (hash !== undefined) {
    const stored = table.read(entry, hash, 0, now);
    const server = stored === 0 ? NONE : nameHashes.indexOf(stored);
    if (server !== NONE) return server;
  }
  const id = table.field("server_id");
  if (id === undefined) return NONE;
  return byId.get(table.read(entry, id, 0, now)) ?? NONE;
}

function compileLine(line: RuleLine, context: CompileContext): StickRule | undefined {
  const { before, condition } = splitCondition(line.words);
  const [kind, ...words] = before;
  const head: Token = kind ?? { text: "stick", at: line.at };
  const actions = {
    on: { matches: true, stores: true },
    match: { matches: true, stores: false },
    "store-request": { matches: false, stores: true },
    "store-response": { matches: false, stores: true },
  };
  if (!Object.hasOwn(actions, head.text)) {
    context.diagnostics.error(
      "config/rule",
      head.at,
      `unknown 'stick ${head.text}'`,
      "write: stick on, match, store-request or store-response",
    );
    return undefined;
  }
  const parsed = parseExpression(words, 0, context);
  if (parsed === undefined || !checkPlace(parsed.expression, words[0], context)) return undefined;
  const [word, name, extra] = words.slice(parsed.next);
  if (
    extra !== undefined ||
    (word !== undefined && (word.text !== "table" || name === undefined))
  ) {
    context.diagnostics.error(
      "config/rule",
      (extra ?? word ?? head).at,
      `unexpected '${(extra ?? word)?.text}' in 'stick ${head.text}'`,
      "write: stick on <expr> [table <name>] [if <condition>]",
    );
    return undefined;
  }
  const table = findTable(name, context, head);
  const compiled = compileCondition(condition, context);
  if (table === undefined || compiled === undefined) return undefined;
  table.keepServers();
  const { matches, stores } = actions[head.text as keyof typeof actions];
  return { condition: compiled, expression: parsed.expression, table, matches, stores };
}
