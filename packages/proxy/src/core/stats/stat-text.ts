import { ALL_COLUMNS, COLUMNS, MODULE_COLUMNS, tagOf } from "./column.ts";
import type { StatRow } from "./row.ts";

/** `show stat` in CSV. HAProxy management guide §9.1. Ends with the last line's newline. */
export function statCsv(rows: readonly StatRow[], withModules = true): string {
  const names = (columns: readonly { readonly name: string }[]) =>
    columns.map(({ name }) => `${name},`).join("");
  let text = `# ${names(COLUMNS)}`;
  if (withModules) text += `-,${names(MODULE_COLUMNS)}`;
  text += "\n";
  for (const { values } of rows) {
    for (const { name } of COLUMNS) text += `${csvField(values[name])},`;
    if (withModules) {
      text += "-,";
      for (const { name } of MODULE_COLUMNS) text += `${csvField(values[name])},`;
    }
    text += "\n";
  }
  return text;
}

/** RFC 4180 §2: quotes where a comma, a quote or a line end is inside. */
function csvField(value: number | string | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "number" || !/[",\r\n]/.test(value)) return String(value);
  return `"${value.replaceAll('"', '""')}"`;
}

const LETTERS = { frontend: "F", backend: "B", server: "S", listener: "L" } as const;

/** `show stat typed`, with `desc` each line's meaning. §9.3. */
export function statTyped(rows: readonly StatRow[], withDescriptions = false): string {
  let text = "";
  for (const { object, proxyId, id, values } of rows) {
    for (const [position, column] of ALL_COLUMNS.entries()) {
      const value = values[column.name];
      if (value === undefined) continue;
      const description = withDescriptions ? `:"${column.doc}"` : "";
      text += `${LETTERS[object]}.${proxyId}.${id}.${position}.${column.name}.1:${tagOf(column, object)}:${column.type}:${value}${description}\n`;
    }
  }
  return text;
}

const OBJECT_NAMES = {
  frontend: "Frontend",
  backend: "Backend",
  server: "Server",
  listener: "Listener",
} as const;

/** `show stat json`: a list of objects, each a list of fields. */
export function statJson(rows: readonly StatRow[]): string {
  const objects = rows.map(({ object, proxyId, id, values }) => {
    const fields = ALL_COLUMNS.flatMap((column, pos) => {
      const value = values[column.name];
      if (value === undefined) return [];
      return [
        {
          objType: OBJECT_NAMES[object],
          proxyId,
          id,
          field: { pos, name: column.name },
          processNum: 1,
          tags: jsonTags(tagOf(column, object)),
          value: { type: column.type, value },
        },
      ];
    });
    return JSON.stringify(fields);
  });
  return `[${objects.join(",")}]`;
}

/** The letters of a tag in words. */
export function jsonTags(tag: string): {
  readonly origin: string;
  readonly nature: string;
  readonly scope: string;
} {
  return {
    origin: ORIGINS[tag[0] ?? ""] ?? "Unknown",
    nature: NATURES[tag[1] ?? ""] ?? "Unknown",
    scope: SCOPES[tag[2] ?? ""] ?? "Unknown",
  };
}

const ORIGINS: Readonly<Record<string, string>> = {
  M: "Metric",
  S: "Status",
  K: "Key",
  C: "Config",
  P: "Product",
};
const NATURES: Readonly<Record<string, string>> = {
  G: "Gauge",
  L: "Limit",
  m: "Min",
  M: "Max",
  R: "Rate",
  C: "Counter",
  D: "Duration",
  A: "Age",
  T: "Time",
  N: "Name",
  O: "Output",
  a: "Avg",
};
const SCOPES: Readonly<Record<string, string>> = {
  C: "Cluster",
  P: "Process",
  S: "Service",
  N: "System",
};

/** `show schema json`: what the two JSON outputs look like, as a JSON schema of our own words. */
export function statSchema(): string {
  const tag = (values: Readonly<Record<string, string>>) => ({
    type: "string",
    enum: [...Object.values(values), "Unknown"],
  });
  const info = {
    field: { $ref: "#/definitions/field" },
    processNum: { type: "integer", minimum: 1 },
    tags: { $ref: "#/definitions/tags" },
    value: { $ref: "#/definitions/typedValue" },
  };
  const item = (properties: object) => ({
    type: "object",
    properties,
    required: Object.keys(properties),
  });
  return JSON.stringify({
    $schema: "http://json-schema.org/draft-04/schema#",
    oneOf: [
      { title: "Info", type: "array", items: item(info) },
      {
        title: "Stat",
        type: "array",
        items: {
          type: "array",
          items: item({
            objType: { enum: [...Object.values(OBJECT_NAMES), "Unknown"] },
            proxyId: { type: "integer", minimum: 0 },
            id: { type: "integer", minimum: 0 },
            ...info,
          }),
        },
      },
      { title: "Error", ...item({ errorStr: { type: "string" } }) },
    ],
    definitions: {
      field: item({ pos: { type: "integer", minimum: 0 }, name: { type: "string" } }),
      tags: item({ origin: tag(ORIGINS), nature: tag(NATURES), scope: tag(SCOPES) }),
      typedValue: item({
        type: { type: "string", enum: ["s32", "s64", "u32", "u64", "str"] },
        value: { type: ["integer", "string"] },
      }),
    },
  });
}
