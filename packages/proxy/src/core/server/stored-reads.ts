import type { StickTable } from "./stick-table.ts";

/** One thing that fetches (`sc_…`, `src_…`) and converters (`table_…`) read of an entry. */
export interface StoredRead {
  readonly suffix: string;
  readonly doc: string;
  /** Takes the number of an element first. */
  readonly indexed: boolean;
}

/** HAProxy configuration manual §7.3.1 (table_…) and §7.3.3 (sc_…, src_…). */
export const STORED_READS: readonly StoredRead[] = [
  plain("bytes_in_rate", "Bytes from clients in the period."),
  plain("bytes_out_rate", "Bytes to clients in the period."),
  plain("conn_cnt", "Connections in all."),
  plain("conn_cur", "Connections now."),
  plain("conn_rate", "Connections in the period."),
  { suffix: "get_gpc", doc: "General purpose counter <idx>.", indexed: true },
  plain("get_gpc0", "General purpose counter 0."),
  plain("get_gpc1", "General purpose counter 1."),
  { suffix: "get_gpt", doc: "General purpose tag <idx>.", indexed: true },
  plain("get_gpt0", "General purpose tag 0."),
  { suffix: "gpc_rate", doc: "Rate of general purpose counter <idx>.", indexed: true },
  plain("gpc0_rate", "Rate of general purpose counter 0."),
  plain("gpc1_rate", "Rate of general purpose counter 1."),
  plain("http_err_cnt", "HTTP errors by clients in all."),
  plain("http_err_rate", "HTTP errors by clients in the period."),
  plain("http_fail_cnt", "HTTP failures of servers in all."),
  plain("http_fail_rate", "HTTP failures of servers in the period."),
  plain("http_req_cnt", "HTTP requests in all."),
  plain("http_req_rate", "HTTP requests in the period."),
  plain("kbytes_in", "Kilobytes from clients in all."),
  plain("kbytes_out", "Kilobytes to clients in all."),
  plain("sess_cnt", "Sessions in all."),
  plain("sess_rate", "Sessions in the period."),
];

function plain(suffix: string, doc: string): StoredRead {
  return { suffix, doc, indexed: false };
}

/** Which stored data answer a read, in the order tried: the arrays stand in for the old single ones. */
const SOURCES: Readonly<Record<string, readonly (readonly [string, number | undefined])[]>> = {
  get_gpc: [["gpc", undefined]],
  get_gpc0: [
    ["gpc", 0],
    ["gpc0", 0],
  ],
  get_gpc1: [
    ["gpc", 1],
    ["gpc1", 0],
  ],
  get_gpt: [["gpt", undefined]],
  get_gpt0: [
    ["gpt", 0],
    ["gpt0", 0],
  ],
  gpc_rate: [["gpc_rate", undefined]],
  gpc0_rate: [
    ["gpc_rate", 0],
    ["gpc0_rate", 0],
  ],
  gpc1_rate: [
    ["gpc_rate", 1],
    ["gpc1_rate", 0],
  ],
  kbytes_in: [["bytes_in_cnt", 0]],
  kbytes_out: [["bytes_out_cnt", 0]],
};

/** The value, or undefined when the table does not keep it. `index` counts for the indexed reads only. */
export function readStored(
  { table, entry }: { readonly table: StickTable; readonly entry: number },
  suffix: string,
  index: number,
  now: number,
): number | undefined {
  const sources = SOURCES[suffix];
  if (sources === undefined) {
    const field = table.field(suffix);
    return field === undefined ? undefined : table.read(entry, field, 0, now);
  }
  for (const [name, fixed] of sources) {
    const field = table.field(name);
    const element = fixed ?? index;
    if (field === undefined || element >= field.elements) continue;
    const value = table.read(entry, field, element, now);
    return suffix.startsWith("kbytes") ? Math.floor(value / 1024) : value;
  }
  return undefined;
}
