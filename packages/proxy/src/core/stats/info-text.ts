import { type InfoField, infoFields, type ProcessFigures } from "./process-info.ts";
import { jsonTags } from "./stat-text.ts";

/** `show info`; with `desc` each line's meaning. Observed: haproxy 2.6.12. */
export function infoText(
  figures: ProcessFigures,
  { desc = false, float = false }: { readonly desc?: boolean; readonly float?: boolean } = {},
): string {
  return infoFields(figures)
    .map(
      (field) =>
        `${field.name}: ${shownValue(field, figures, float)}${desc ? `:"${field.doc}"` : ""}\n`,
    )
    .join("");
}

/** `show info typed`. */
export function infoTyped(
  figures: ProcessFigures,
  { desc = false, float = false }: { readonly desc?: boolean; readonly float?: boolean } = {},
): string {
  return infoFields(figures)
    .map(
      (field) =>
        `${field.position}.${field.name}.1:${field.tag}:${field.type}:${shownValue(field, figures, float)}${desc ? `:"${field.doc}"` : ""}\n`,
    )
    .join("");
}

/** `show info json`. */
export function infoJson(figures: ProcessFigures): string {
  return JSON.stringify(
    infoFields(figures).map(({ position, name, tag, type, value }) => ({
      field: { pos: position, name },
      processNum: 1,
      tags: jsonTags(tag),
      value: { type, value },
    })),
  );
}

/** `float` tells times with their fraction. */
function shownValue(field: InfoField, figures: ProcessFigures, float: boolean): number | string {
  if (float && field.name === "Uptime_sec") return figures.uptimeSeconds.toFixed(6);
  return field.value;
}
