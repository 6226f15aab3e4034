import type { World } from "../sample/world.ts";
import type { Transaction } from "../transaction.ts";

/** The transaction's unique id, made when first asked for; undefined without `unique-id-format`. */
export function uniqueIdOf(transaction: Transaction, world: World): Uint8Array | undefined {
  if (transaction.uniqueId !== undefined) return transaction.uniqueId;
  const template = world.uniqueIds[transaction.frontend];
  if (template === undefined) return undefined;
  const out = new Uint8Array(UNIQUE_ID_LIMIT);
  const end = template.write(transaction, out, 0, out.length);
  transaction.uniqueId = out.slice(0, end);
  return transaction.uniqueId;
}

/** Longest unique id: HAProxy's. */
const UNIQUE_ID_LIMIT = 128;
