import type { ColumnName } from "./column.ts";

export type ObjectType = "frontend" | "backend" | "server" | "listener";

/** Values by column; absent is an empty field. */
export type RowValues = { readonly [Name in ColumnName]?: number | string };

/** One line of `show stat`. */
export interface StatRow {
  readonly object: ObjectType;
  /** The proxy's number in `World.proxies`. */
  readonly proxy: number;
  /** `iid`. */
  readonly proxyId: number;
  /** `sid`; 0 of a frontend or backend. */
  readonly id: number;
  readonly values: RowValues;
}
