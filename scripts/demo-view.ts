import process from "node:process";
import type { Answer } from "@ha/lab/namespaces";

/** Who a picture of the client's answers speaks of. */
export type Answerer = "lb1" | "lb2" | "both" | "nobody";

/** What is shown of one moment. */
export interface Moment {
  readonly seconds: number;
  readonly states: { readonly lb1: string; readonly lb2: string };
  readonly answerer: Answerer;
  /** The client's answers of the current step, a character for each tenth of a second. */
  readonly strip: readonly Answerer[];
}

/**
 * Writes what happens: on a terminal with one line that lives at the bottom; elsewhere a line for each change, without
 * colours. NO_COLOR is heeded.
 */
export class DemoView {
  readonly #live = process.stdout.isTTY === true;
  readonly #colours =
    this.#live && process.env["NO_COLOR"] === undefined && process.env["TERM"] !== "dumb";
  #last = "";

  line(text = ""): void {
    this.#clear();
    process.stdout.write(`${text}\n`);
  }

  title(text: string): void {
    this.line(this.#paint("1", text));
  }

  faint(text: string): void {
    this.line(this.#paint("2", text));
  }

  header(): void {
    this.faint("   time   lb1        lb2        client hears");
  }

  /** Shows a moment; prints a lasting line when states or answerer have changed. */
  show(moment: Moment): void {
    const row = this.#row(moment);
    const key = `${moment.states.lb1}/${moment.states.lb2}/${moment.answerer}`;
    if (key !== this.#last) {
      this.#last = key;
      this.line(row);
    }
    if (this.#live) {
      const room = Math.max(10, (process.stdout.columns || 80) - 22);
      process.stdout.write(
        `\r\x1b[2K${time(moment.seconds)}   ${this.strip(moment.strip.slice(-room))}`,
      );
    }
  }

  /** A picture of who answered, a character for each tenth of a second. */
  strip(answerers: readonly Answerer[]): string {
    return answerers
      .map((answerer) => {
        if (answerer === "lb1") return this.#paint("32", this.#colours ? "█" : "1");
        if (answerer === "lb2") return this.#paint("36", this.#colours ? "█" : "2");
        if (answerer === "both") return this.#paint("35", this.#colours ? "█" : "*");
        return this.#paint("31", ".");
      })
      .join("");
  }

  result(text: string): void {
    this.line(`   ${this.#paint("1", text)}`);
  }

  /** Rows of equal columns under a header. */
  table(rows: readonly (readonly string[])[]): void {
    const widths = (rows[0] ?? []).map((_, i) =>
      Math.max(...rows.map((row) => row[i]?.length ?? 0)),
    );
    rows.forEach((row, index) => {
      const text = row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("   ");
      this.line(index === 0 ? this.#paint("2", `  ${text}`) : `  ${text}`);
    });
  }

  /** Takes the living line away. */
  #clear(): void {
    if (this.#live) process.stdout.write("\r\x1b[2K");
  }

  #row({ seconds, states, answerer }: Moment): string {
    return `${time(seconds)}   ${this.#state(states.lb1)}  ${this.#state(states.lb2)}  ${this.#answerer(answerer)}`;
  }

  #state(state: string): string {
    const padded = state.padEnd(9);
    if (state === "MASTER") return this.#paint("1;32", padded);
    if (state === "FAULT" || state === "dead" || state === "stopped" || state === "cut off")
      return this.#paint("31", padded);
    return padded;
  }

  #answerer(answerer: Answerer): string {
    if (answerer === "nobody") return this.#paint("31", "nobody");
    return this.#paint(answerer === "lb1" ? "32" : "36", answerer);
  }

  #paint(code: string, text: string): string {
    return this.#colours ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}

/** Answers as a strip: for each tenth of a second since `since` who answered in it. */
export function stripOf(answers: readonly Answer[], since: number, end: number): Answerer[] {
  const strip: Answerer[] = Array.from(
    { length: Math.max(0, Math.floor((end - since) / TENTH)) },
    () => "nobody",
  );
  for (const { sentAt, by } of answers) {
    const at = Math.floor((sentAt - since) / TENTH);
    const known = strip[at];
    if (known === undefined || (by !== "lb1" && by !== "lb2")) continue;
    strip[at] = known === "nobody" || known === by ? by : "both";
  }
  return strip;
}

const TENTH = 100_000;

function time(seconds: number): string {
  return seconds.toFixed(1).padStart(7);
}
