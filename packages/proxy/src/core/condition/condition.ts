import type { Transaction } from "../transaction.ts";

/**
 * What a condition says. `MISS`: not true now, but more bytes from the peer may make it so; rulesets that do not
 * wait take it for `FAIL`. The numbers let AND be the smaller and OR the greater.
 */
export const FAIL = 0;
export const MISS = 1;
export const PASS = 2;

/** A compiled `if …` or `unless …`. Has nothing left to check, makes nothing, and never throws. */
export type Condition = (transaction: Transaction) => number;

/** Of a line without condition. */
export const ALWAYS: Condition = () => PASS;
