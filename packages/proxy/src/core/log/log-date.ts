/** Parts of a moment in some zone. */
export interface Moment {
  readonly year: number;
  /** 0–11. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** From 0. */
  readonly dayOfYear: number;
}

/** The civil date of a moment, by days since 1970 (the proleptic Gregorian calendar). No `Date`: cores are pure. */
export function momentOf(secondsSince1970: number, offset = 0): Moment {
  const local = Math.floor(secondsSince1970) + offset;
  const days = Math.floor(local / 86_400);
  const clock = local - days * 86_400;
  // Days from 0000-03-01, in eras of 400 years: leap days then come last in each year.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfShifted =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfShifted + 2) / 153);
  const day = dayOfShifted - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 2 : shiftedMonth - 10;
  const year = yearOfEra + era * 400 + (month <= 1 ? 1 : 0);
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return {
    year,
    month,
    day,
    hour: Math.floor(clock / 3_600),
    minute: Math.floor(clock / 60) % 60,
    second: clock % 60,
    weekday: (((days + 4) % 7) + 7) % 7,
    dayOfYear: (DAYS_BEFORE[month] as number) + day - 1 + (leap && month > 1 ? 1 : 0),
  };
}

const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334] as const;

export const MONTHS = [
  "Jan",
  "Feb",
  "Mar",
  "Apr",
  "May",
  "Jun",
  "Jul",
  "Aug",
  "Sep",
  "Oct",
  "Nov",
  "Dec",
] as const;
export const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;

export function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** `24/Nov/2026:22:00:35`, the date of log lines. HAProxy configuration manual §8.2.3. */
export function logDate(secondsSince1970: number, offset: number): string {
  const at = momentOf(secondsSince1970, offset);
  return `${twoDigits(at.day)}/${MONTHS[at.month]}/${at.year}:${twoDigits(at.hour)}:${twoDigits(at.minute)}:${twoDigits(at.second)}`;
}

/** `+0100`. */
export function zoneText(offset: number): string {
  const minutes = Math.floor(Math.abs(offset) / 60);
  return `${offset < 0 ? "-" : "+"}${twoDigits(Math.floor(minutes / 60))}${twoDigits(minutes % 60)}`;
}

/** `Tue, 24 Nov 2026 22:00:35 GMT`. RFC 9110 §5.6.7. */
export function httpDate(secondsSince1970: number): string {
  const at = momentOf(secondsSince1970);
  return `${WEEKDAYS[at.weekday]}, ${twoDigits(at.day)} ${MONTHS[at.month]} ${at.year} ${twoDigits(at.hour)}:${twoDigits(at.minute)}:${twoDigits(at.second)} GMT`;
}
