import { CHECK_STATUSES } from "../check/check-status.ts";
import { ABUSES } from "../http2/abuse.ts";
import { ALL_COLUMNS, type Column, type ColumnName, MODULE_COLUMNS, tagOf } from "./column.ts";
import { type Metric, OBJECT_METRICS, PROCESS_METRICS } from "./metric.ts";
import { infoFields, type ProcessFigures } from "./process-info.ts";
import type { ObjectType, StatRow } from "./row.ts";
import type { StatsSource } from "./source.ts";

/** What a scrape asked for. */
export interface ScrapeRequest {
  readonly scopes: ReadonlySet<Scope>;
  /** `metrics=`: names that alone are wanted (empty: all), and those that are not. */
  readonly wanted: ReadonlySet<string>;
  readonly unwanted: ReadonlySet<string>;
  readonly noMaint: boolean;
  /** Counters of single protocols, each with a label `mod`. */
  readonly extraCounters: boolean;
  /** A label `desc` with the proxy's description. */
  readonly descLabels: boolean;
}

const SCOPES = ["global", "frontend", "listener", "backend", "server", "sticktable"] as const;
export type Scope = (typeof SCOPES)[number];

/** Reads the query. Undefined: 400, as HAProxy answers to a scope that it does not know. */
export function readScrapeRequest(query: string): ScrapeRequest | undefined {
  let scopes: Set<Scope> | undefined;
  const wanted = new Set<string>();
  const unwanted = new Set<string>();
  const flags = new Set<string>();
  for (const parameter of query.split("&")) {
    if (parameter === "") continue;
    const equals = parameter.indexOf("=");
    const name = equals === -1 ? parameter : parameter.slice(0, equals);
    const value = decode(equals === -1 ? "" : parameter.slice(equals + 1));
    if (value === undefined) return undefined;
    if (name === "scope") {
      scopes ??= new Set();
      if (value === "") scopes.clear();
      else if (value === "*") for (const scope of SCOPES) scopes.add(scope);
      else {
        const scope = SCOPES.find((known) => known === value);
        if (scope === undefined) return undefined;
        scopes.add(scope);
      }
    } else if (name === "metrics") {
      for (const metric of value.split(",")) {
        if (metric.startsWith("-")) unwanted.add(metric.slice(1));
        else if (metric !== "") wanted.add(metric);
      }
    } else flags.add(name);
  }
  return {
    scopes: scopes ?? new Set(SCOPES),
    wanted,
    unwanted,
    noMaint: flags.has("no-maint"),
    extraCounters: flags.has("extra-counters"),
    descLabels: flags.has("desc-labels"),
  };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

/**
 * The text format 0.0.4: each name's help, type and all of its series together; a name without a series is left
 * out. What is not known for an object is NaN. Observed: haproxy 2.6.12.
 */
export function prometheusText(
  request: ScrapeRequest,
  rows: readonly StatRow[],
  figures: ProcessFigures,
  source: Pick<StatsSource, "tables" | "proxies" | "threads">,
): string {
  const writer = new MetricWriter(request);
  if (request.scopes.has("global")) {
    writeProcess(writer, figures);
    if (request.extraCounters) writeAbuses(writer, source);
  }
  for (const object of OBJECTS) {
    if (!request.scopes.has(object)) continue;
    const own = rows.filter(
      (row) => row.object === object && !(request.noMaint && isInMaintenance(row)),
    );
    const labelled = own.map((row) => ({ row, labels: labelsOf(row, request, source) }));
    for (const metric of OBJECT_METRICS[object])
      writeObjectMetric(writer, object, metric, labelled, rows);
    if (request.extraCounters) writeModules(writer, object, labelled);
  }
  if (request.scopes.has("sticktable")) {
    const tables = [...source.tables];
    const labels = (name: string, type: string) => `name="${escapeLabel(name)}",type="${type}"`;
    writer.begin("haproxy_sticktable_size", "gauge", "Entries that the table has room for");
    for (const [name, { spec }] of tables) writer.series(labels(name, spec.type), spec.size);
    writer.begin("haproxy_sticktable_used", "gauge", "Entries in the table");
    for (const [name, { spec, used }] of tables) writer.series(labels(name, spec.type), used);
  }
  return writer.text;
}

const OBJECTS: readonly ObjectType[] = ["frontend", "listener", "backend", "server"];

interface LabelledRow {
  readonly row: StatRow;
  readonly labels: string;
}

function labelsOf(
  { object, proxy, values }: StatRow,
  { descLabels }: ScrapeRequest,
  { proxies }: Pick<StatsSource, "proxies">,
): string {
  let labels = `proxy="${escapeLabel(String(values.pxname))}"`;
  if (object === "listener" || object === "server") {
    labels += `,${object}="${escapeLabel(String(values.svname))}"`;
  }
  const state = proxies[proxy];
  const description = (state?.frontend ?? state?.backend)?.description;
  if (descLabels && description !== undefined) labels += `,desc="${escapeLabel(description)}"`;
  return labels;
}

/** A name of our own, and so told with `extra-counters` alone. */
function writeAbuses(writer: MetricWriter, { threads }: Pick<StatsSource, "threads">): void {
  const doc = "What clients and servers of HTTP/2 were stopped from, by its kind";
  writer.begin("lbproxy_http2_abuses_total", "counter", doc);
  for (const [number, name] of ABUSES.entries()) {
    const count = threads.reduce((sum, thread) => sum + thread.abuses(number), 0);
    writer.series(`reason="${name}"`, count);
  }
}

function writeProcess(writer: MetricWriter, figures: ProcessFigures): void {
  const fields = new Map(infoFields(figures).map((field) => [field.name, field]));
  for (const { name, type, source } of PROCESS_METRICS) {
    const field = fields.get(source);
    writer.begin(`haproxy_process_${name}`, type, field?.doc ?? "Not in this program");
    if (name === "build_info") writer.series(`version="${escapeLabel(figures.version)}"`, 1);
    else writer.series("", typeof field?.value === "number" ? field.value : Number.NaN);
  }
}

function writeObjectMetric(
  writer: MetricWriter,
  object: ObjectType,
  { name, type, source }: Metric,
  own: readonly LabelledRow[],
  all: readonly StatRow[],
): void {
  writer.begin(`haproxy_${object}_${name}`, type, DOCS.get(source) ?? "");
  if (source === "hrsp_1xx") {
    for (const code of CODES) {
      for (const { row, labels } of own) {
        const value = row.values[`hrsp_${code}`];
        if (value !== undefined) writer.series(`${labels},code="${code}"`, value);
      }
    }
    return;
  }
  for (const { row, labels } of own) {
    const { values } = row;
    switch (source) {
      case "status":
        writer.states(labels, statesOf(object), stateOf(row));
        break;
      case "check_status":
        if (values.check_status !== undefined) {
          writer.states(labels, CHECK_STATES, String(values.check_status).replace(/^\* /, ""));
        }
        break;
      case "agg_server_status":
      case "agg_server_check_status":
        writer.counts(labels, SERVER_STATES, serversOf(row, all).map(stateOf));
        break;
      case "agg_check_status":
        writer.counts(
          labels,
          CHECK_STATES,
          serversOf(row, all).map(({ values: own }) => String(own.check_status ?? "")),
        );
        break;
      case "check_code":
        if (values.check_status !== undefined) writer.series(labels, values.check_code ?? 0);
        break;
      default:
        if (!hasSeries(source, row)) break;
        writer.series(
          labels,
          MILLISECONDS.has(source) ? thousandth(values[source]) : values[source],
        );
    }
  }
}

/** Whether the object has such a series at all; one without a value is NaN. */
function hasSeries(source: ColumnName, { values }: StatRow): boolean {
  if (source === "check_duration") return values.check_status !== undefined;
  return values.mode === "http" || !HTTP_ONLY.has(source);
}

const HTTP_ONLY: ReadonlySet<ColumnName> = new Set([
  "req_tot",
  "req_rate_max",
  "intercepted",
  "cache_lookups",
  "cache_hits",
  "comp_in",
  "comp_out",
  "comp_byp",
  "comp_rsp",
]);

const MILLISECONDS: ReadonlySet<ColumnName> = new Set([
  "check_duration",
  "qtime",
  "ctime",
  "rtime",
  "ttime",
  "qtime_max",
  "ctime_max",
  "rtime_max",
  "ttime_max",
]);

function thousandth(value: number | string | undefined): string | undefined {
  return value === undefined ? undefined : (Number(value) / 1000).toFixed(6);
}

/** Columns of single protocols: `haproxy_frontend_h1_open_connections{proxy="…",mod="h1"}`. */
function writeModules(writer: MetricWriter, object: ObjectType, own: readonly LabelledRow[]): void {
  for (const column of MODULE_COLUMNS) {
    const type = tagOf(column, object)[1] === "C" ? "counter" : "gauge";
    writer.begin(`haproxy_${object}_${column.name}`, type, column.doc);
    for (const { row, labels } of own) {
      const value = row.values[column.name];
      if (value !== undefined) writer.series(`${labels},mod="${column.name.split("_")[0]}"`, value);
    }
  }
}

const CODES = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"] as const;
const SERVER_STATES = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"] as const;
/** Of all that a check can end as, those that HAProxy tells. */
const CHECK_STATES: readonly string[] = Object.keys(CHECK_STATUSES).filter(
  (name) => name !== "UNK" && name !== "INI" && name !== "CHECKED",
);

function statesOf(object: ObjectType): readonly string[] {
  switch (object) {
    case "frontend":
    case "backend":
      return ["DOWN", "UP"];
    case "listener":
      return ["WAITING", "OPEN", "FULL"];
    case "server":
      return SERVER_STATES;
  }
}

function stateOf({ object, values }: StatRow): string {
  const status = String(values.status);
  switch (object) {
    case "frontend":
      return status === "STOP" ? "DOWN" : "UP";
    case "listener":
      return status;
    default: {
      if (status === "no check") return "UP";
      const word = status.split(" ")[0] ?? "";
      return word;
    }
  }
}

function isInMaintenance({ object, values }: StatRow): boolean {
  return object === "server" && String(values.status).startsWith("MAINT");
}

function serversOf({ proxy }: StatRow, rows: readonly StatRow[]): readonly StatRow[] {
  return rows.filter((row) => row.object === "server" && row.proxy === proxy);
}

const DOCS: ReadonlyMap<string, string> = new Map(
  (ALL_COLUMNS as readonly Column[]).map(({ name, doc }) => [name, doc]),
);

/** Writes one name after the other. */
class MetricWriter {
  text = "";
  readonly #request: ScrapeRequest;
  #name = "";
  /** Help and type of the name that comes, until its first series. */
  #heading = "";
  #isWanted = true;

  constructor(request: ScrapeRequest) {
    this.#request = request;
  }

  begin(name: string, type: Metric["type"], help: string): void {
    const { wanted, unwanted } = this.#request;
    this.#name = name;
    this.#heading = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    this.#isWanted = (wanted.size === 0 || wanted.has(name)) && !unwanted.has(name);
  }

  series(labels: string, value: number | string | undefined): void {
    if (!this.#isWanted) return;
    this.text += this.#heading;
    this.#heading = "";
    const shown = value === undefined || value === "" ? "NaN" : String(value);
    this.text += `${this.#name}${labels === "" ? "" : `{${labels}}`} ${shown}\n`;
  }

  /** A series for each state, 1 for the one that holds. */
  states(labels: string, states: readonly string[], current: string): void {
    for (const state of states) {
      this.series(`${labels},state="${state}"`, state === current ? 1 : 0);
    }
  }

  /** A series for each state: how many are in it. None when there is nobody at all. */
  counts(labels: string, states: readonly string[], all: readonly string[]): void {
    if (all.length === 0) return;
    for (const state of states) {
      this.series(`${labels},state="${state}"`, all.filter((other) => other === state).length);
    }
  }
}

/** Prometheus text format: backslash, quote and line feed in a label's value. */
function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
