import type { Template } from "../log/template.ts";
import type { World } from "../sample/world.ts";
import type { Transaction } from "../transaction.ts";

/**
 * Writes the template's text into the transaction's scratch: it ends at `scratch.used`. Gives where it begins, or
 * -1 when there is no room for it (the rule fails then, as in HAProxy).
 */
export function writeToScratch(template: Template, transaction: Transaction, world: World): number {
  const { work } = world;
  const size = template.write(transaction, work, 0, work.length);
  const { scratch } = transaction;
  if (!scratch.reserve(size)) return -1;
  const start = scratch.used;
  const { bytes } = transaction;
  for (let i = 0; i < size; i++) bytes[start + i] = work[i] as number;
  scratch.used = start + size;
  return start;
}

/** The template's text as bytes of their own: for replies, map keys and other slow paths. */
export function writeToBytes(
  template: Template,
  transaction: Transaction,
  world: World,
): Uint8Array {
  if (template.constant !== undefined) return template.constant;
  const { work } = world;
  return work.slice(0, template.write(transaction, work, 0, work.length));
}
