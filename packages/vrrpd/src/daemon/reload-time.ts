import { readFileSync, unlinkSync } from "node:fs";

/**
 * The next moment that a `reload_time_file` names, in milliseconds: `HH:MM:SS` (today, or tomorrow when that is past),
 * `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS`, with `Z` in UTC. Undefined for anything else, and for a date that is
 * past. keepalived.conf(5), reload_time_file
 */
export function reloadMoment(text: string, now: number): number | undefined {
  const match = /^\s*(?:(\d{2}|\d{4})-(\d{2})-(\d{2})[ T])?(\d{2}):(\d{2}):(\d{2})(Z?)\s*$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, zone] = match;
  const utc = zone === "Z";
  const today = new Date(now);
  const time = [Number(hour), Number(minute), Number(second)] as const;
  if (time[0] > 23 || time[1] > 59 || time[2] > 59) return undefined;
  const at = (y: number, m: number, d: number): number =>
    utc ? Date.UTC(y, m, d, ...time) : new Date(y, m, d, ...time).getTime();
  if (year !== undefined) {
    const full = year.length === 2 ? 2000 + Number(year) : Number(year);
    const moment = at(full, Number(month) - 1, Number(day));
    return moment > now ? moment : undefined;
  }
  const [y, m, d] = utc
    ? [today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()]
    : [today.getFullYear(), today.getMonth(), today.getDate()];
  const moment = at(y, m, d);
  return moment > now ? moment : at(y, m, d + 1);
}

/** Watches a `reload_time_file` and reloads at the moment it names. */
export class ReloadTime {
  readonly #reload: () => void;
  readonly #path: string;
  readonly #repeat: boolean;
  readonly #poll: NodeJS.Timeout;
  #due: number | undefined;
  #text = "";

  constructor(path: string, repeat: boolean, reload: () => void) {
    this.#path = path;
    this.#repeat = repeat;
    this.#reload = reload;
    this.#poll = setInterval(() => this.#look(), 1_000);
    this.#poll.unref();
    this.#look();
  }

  close(): void {
    clearInterval(this.#poll);
  }

  #look(): void {
    const now = Date.now();
    const text = readText(this.#path);
    if (text !== this.#text) {
      this.#text = text;
      this.#due = reloadMoment(text, now);
    }
    if (this.#due === undefined || now < this.#due) return;
    this.#due = this.#repeat ? reloadMoment(text, now) : undefined;
    if (!this.#repeat) removeFile(this.#path);
    this.#reload();
  }
}

function readText(path: string): string {
  try {
    // A line in a small file of the host's own: quicker than a trip through the thread pool.
    return readFileSync(path, "latin1").slice(0, 64).split("\n", 1)[0] ?? "";
  } catch {
    return "";
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone already, or not ours to remove.
  }
}
