import type { Token } from "../../config/token.ts";
import { httpDate, MONTHS, momentOf, twoDigits, WEEKDAYS, zoneText } from "../../log/log-date.ts";
import { writeText } from "../cast.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Convert, ConverterKeyword } from "../fetch-keyword.ts";
import { SINT, STR } from "../sample.ts";
import { integerArgument } from "./arguments.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";

/** Converters from seconds since 1970 to texts. */
export const TIME_CONVERTERS: readonly ConverterKeyword[] = [
  {
    name: "http_date",
    syntax: "http_date([<offset>],[<unit>])",
    doc: "The date in HTTP's form; <offset> is added, <unit> of both s, ms or us.",
    source: SOURCE,
    input: SINT,
    output: STR,
    arity: [0, 2],
    compile: ([offset, unit], context, token) => {
      const scale = scaleOf(unit?.text ?? "s");
      const plus =
        offset === undefined || offset.text === "" ? 0 : integerArgument(offset, context, token);
      if (scale === undefined)
        return refuse(context, token, `unit '${unit?.text}' is not s, ms or us`);
      if (plus === undefined) return undefined;
      return (sample, transaction) =>
        writeText(sample, httpDate(Math.floor((sample.int + plus) / scale)), transaction);
    },
  },
  formatted(
    "utime",
    "The date in UTC, by a format of strftime(3).",
    ([format, offset], context, token) => {
      const plus = offset === undefined ? 0 : integerArgument(offset, context, token);
      if (plus === undefined) return undefined;
      const text = format?.text ?? "";
      return (sample, transaction) =>
        writeText(sample, strftime(text, sample.int + plus, 0, "GMT"), transaction);
    },
  ),
  formatted(
    "ltime",
    "The date in local time, by a format of strftime(3).",
    ([format, offset], context, token) => {
      const plus = offset === undefined ? 0 : integerArgument(offset, context, token);
      if (plus === undefined) return undefined;
      const text = format?.text ?? "";
      const { ports } = context.world;
      return (sample, transaction) => {
        const at = sample.int + plus;
        const zone = ports.zoneAt(at);
        return writeText(sample, strftime(text, at, zone.offset, zone.name), transaction);
      };
    },
  ),
];

function scaleOf(unit: string): number | undefined {
  return unit === "s" ? 1 : unit === "ms" ? 1000 : unit === "us" ? 1_000_000 : undefined;
}

function formatted(
  name: string,
  doc: string,
  compile: (
    args: readonly Argument[],
    context: CompileContext,
    token: Token,
  ) => Convert | undefined,
): ConverterKeyword {
  return {
    name,
    syntax: `${name}(<format>[,<offset>])`,
    doc,
    source: SOURCE,
    input: SINT,
    output: STR,
    arity: [1, 2],
    compile,
  };
}

const LONG_MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;
const LONG_DAYS = [
  "Sunday",
  "Monday",
  "Tuesday",
  "Wednesday",
  "Thursday",
  "Friday",
  "Saturday",
] as const;

/** strftime(3) in the C locale. Unknown conversions stay as they are. */
export function strftime(format: string, seconds: number, offset: number, zone: string): string {
  const at = momentOf(seconds, offset);
  const twelve = at.hour % 12 === 0 ? 12 : at.hour % 12;
  const iso = isoWeek(at.year, at.dayOfYear, at.weekday);
  const fields: Readonly<Record<string, () => string>> = {
    a: () => WEEKDAYS[at.weekday] ?? "",
    A: () => LONG_DAYS[at.weekday] ?? "",
    b: () => MONTHS[at.month] ?? "",
    h: () => MONTHS[at.month] ?? "",
    B: () => LONG_MONTHS[at.month] ?? "",
    c: () => strftime("%a %b %e %H:%M:%S %Y", seconds, offset, zone),
    C: () => twoDigits(Math.floor(at.year / 100)),
    d: () => twoDigits(at.day),
    D: () => strftime("%m/%d/%y", seconds, offset, zone),
    e: () => String(at.day).padStart(2),
    F: () => strftime("%Y-%m-%d", seconds, offset, zone),
    g: () => twoDigits(iso.year % 100),
    G: () => String(iso.year),
    H: () => twoDigits(at.hour),
    I: () => twoDigits(twelve),
    j: () => String(at.dayOfYear + 1).padStart(3, "0"),
    k: () => String(at.hour).padStart(2),
    l: () => String(twelve).padStart(2),
    m: () => twoDigits(at.month + 1),
    M: () => twoDigits(at.minute),
    n: () => "\n",
    p: () => (at.hour < 12 ? "AM" : "PM"),
    P: () => (at.hour < 12 ? "am" : "pm"),
    r: () => strftime("%I:%M:%S %p", seconds, offset, zone),
    R: () => strftime("%H:%M", seconds, offset, zone),
    s: () => String(Math.floor(seconds)),
    S: () => twoDigits(at.second),
    t: () => "\t",
    T: () => strftime("%H:%M:%S", seconds, offset, zone),
    u: () => String(at.weekday === 0 ? 7 : at.weekday),
    U: () => twoDigits(Math.floor((at.dayOfYear + 7 - at.weekday) / 7)),
    V: () => twoDigits(iso.week),
    w: () => String(at.weekday),
    W: () => twoDigits(Math.floor((at.dayOfYear + 7 - ((at.weekday + 6) % 7)) / 7)),
    x: () => strftime("%m/%d/%y", seconds, offset, zone),
    X: () => strftime("%H:%M:%S", seconds, offset, zone),
    y: () => twoDigits(at.year % 100),
    Y: () => String(at.year),
    z: () => zoneText(offset),
    Z: () => zone,
    "%": () => "%",
  };
  return format.replace(
    /%[EO]?([A-Za-z%])/g,
    (whole, letter: string) => fields[letter]?.() ?? whole,
  );
}

/** ISO 8601 week: the one with the year's first Thursday is 1. */
function isoWeek(year: number, dayOfYear: number, weekday: number): { year: number; week: number } {
  const monday = (weekday + 6) % 7;
  const week = Math.floor((dayOfYear - monday + 10) / 7);
  if (week < 1) {
    const before = isLeap(year - 1) ? 366 : 365;
    return { year: year - 1, week: Math.floor((dayOfYear + before - monday + 10) / 7) };
  }
  const days = isLeap(year) ? 366 : 365;
  if (week === 53 && dayOfYear - monday + 3 >= days) return { year: year + 1, week: 1 };
  return { year, week };
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}
