import type { Transaction } from "../transaction.ts";

/** A compiled log-format string. Writes bytes; makes no string where its parts make none. */
export interface Template {
  /** The bytes when nothing in it varies, else undefined. */
  readonly constant: Uint8Array | undefined;
  /**
   * Writes from `at`, never at or past `limit` (the rest is cut off, as HAProxy cuts at its buffer); gives the
   * end. `out` must not be the part of the slab that the transaction's scratch is writing to.
   */
  write(transaction: Transaction, out: Uint8Array, at: number, limit: number): number;
}
