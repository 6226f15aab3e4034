import type { Token } from "../config/token.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import type { Transaction } from "../transaction.ts";
import { type StickTable, Tracked } from "./stick-table.ts";

/** Counters that one transaction may track: `tune.stick-counters`, 3 by default. */
export function stickCounters({ world }: CompileContext): number {
  return world.stickCounters ?? 3;
}

/** `track-sc3` and beyond, of which messages do not tell: most have three. */
export const FURTHER_COUNTER = /^track-sc([3-9]|\d\d)$/;

/** The greatest number that `tune.stick-counters` takes. */
export const MOST_STICK_COUNTERS = 64;

/** What counter `counter` tracks: the transaction's own, else its session's. */
export function trackedBy(transaction: Transaction, counter: number): Tracked | undefined {
  const tracked = transaction.tracked[counter] ?? transaction.session.tracked[counter];
  return tracked instanceof Tracked ? tracked : undefined;
}

/** The named table, or the section's own. Reports one that is not there. */
export function findTable(
  name: { readonly text: string; readonly at?: Token["at"] } | undefined,
  context: CompileContext,
  head: Token,
): StickTable | undefined {
  const wanted = name?.text ?? context.proxy?.name ?? "";
  const table = context.world.tables.get(wanted);
  return (
    table ??
    refuse(
      context,
      head,
      name === undefined
        ? `there is no stick-table in '${wanted}'`
        : `unable to find stick-table '${wanted}'`,
    )
  );
}

/** Adds to `gpc` number `index`, which may be an element of an array or one of the two old ones. Gives its new value. */
export function addToCounter(
  { table, entry }: Pick<Tracked, "table" | "entry">,
  index: number,
  amount: number,
  now: number,
): number {
  const array = table.field("gpc");
  const old = index <= 1 ? table.field(`gpc${index}`) : undefined;
  const rates = table.field("gpc_rate");
  const oldRate = index <= 1 ? table.field(`gpc${index}_rate`) : undefined;
  if (rates !== undefined && index < rates.elements) table.add(entry, rates, index, amount, now);
  else if (oldRate !== undefined) table.add(entry, oldRate, 0, amount, now);
  if (array !== undefined && index < array.elements)
    return table.add(entry, array, index, amount, now);
  return old === undefined ? 0 : table.add(entry, old, 0, amount, now);
}
