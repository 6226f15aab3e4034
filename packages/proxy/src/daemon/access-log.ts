import type { Transaction } from "../core/transaction.ts";

/** Writes one line for a transaction that is over, without waiting. */
export interface AccessLog {
  /** @param wallTime Milliseconds since 1970, now. */
  write(transaction: Transaction, wallTime: number): void;
}
