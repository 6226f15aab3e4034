import type { Diagnostic, Position, Severity } from "@ha/base";

/**
 * How HAProxy introduces a line of its report: `parsing [FILE:LINE] : `, the same with another spacing, the
 * place alone (lines about servers), or nothing (findings after parsing).
 */
export type FindingForm = "parsing" | "parsing:" | "Parsing:" | "place" | "plain";

/** A finding about haproxy.cfg. `message` is in HAProxy's words; `hint` is ours and stands after it. */
export interface Finding extends Diagnostic {
  readonly form: FindingForm;
}

type Code = Diagnostic["code"];

/** Collects what is wrong while a configuration is read; nothing throws. */
export class Findings {
  readonly #list: Finding[] = [];
  #errors = 0;
  #warnings = 0;

  get list(): readonly Finding[] {
    return this.#list;
  }

  get errors(): number {
    return this.#errors;
  }

  get warnings(): number {
    return this.#warnings;
  }

  add(finding: Finding): void {
    this.#list.push(finding);
    if (finding.severity === "error") this.#errors++;
    if (finding.severity === "warning") this.#warnings++;
  }

  /** Puts what was found at several goes into the order of the files and their lines. */
  sortByPlace(files: readonly string[]): void {
    const order = new Map(files.map((file, i) => [file, i]));
    const place = ({ at }: Finding): number =>
      at === undefined ? 0 : (order.get(at.file) ?? files.length) * 1e9 + at.line;
    this.#list.sort((a, b) => place(a) - place(b));
  }

  /** `parsing [FILE:LINE] : message`. */
  alert(code: Code, at: Position, message: string, hint?: string): void {
    this.put("error", "parsing", code, at, message, hint);
  }

  warn(code: Code, at: Position, message: string, hint?: string): void {
    this.put("warning", "parsing", code, at, message, hint);
  }

  /** About a server line: `[FILE:LINE] : 'server b/s' : message`. */
  alertPlace(code: Code, at: Position, message: string, hint?: string): void {
    this.put("error", "place", code, at, message, hint);
  }

  /** Found after parsing, printed without a place; `at` is kept for programs and for hints. */
  alertPlain(code: Code, at: Position | undefined, message: string, hint?: string): void {
    this.put("error", "plain", code, at, message, hint);
  }

  warnPlain(code: Code, at: Position | undefined, message: string, hint?: string): void {
    this.put("warning", "plain", code, at, message, hint);
  }

  put(
    severity: Severity,
    form: FindingForm,
    code: Code,
    at: Position | undefined,
    message: string,
    hint?: string,
  ): void {
    this.add({
      severity,
      form,
      code,
      message,
      ...(at === undefined ? {} : { at }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** The text after `[ALERT]    (PID) : config : `, in HAProxy's shape, our hint after it. */
export function formatFinding({ form, at, message, hint }: Finding): string {
  const place = at === undefined ? "" : `[${at.file}:${at.line}]`;
  const text = hint === undefined ? message : `${message} ${hint}`;
  switch (form) {
    case "parsing":
      return `parsing ${place} : ${text}`;
    case "parsing:":
      return `parsing ${place}: ${text}`;
    case "Parsing:":
      return `Parsing ${place}: ${text}`;
    case "place":
      return `${place} : ${text}`;
    case "plain":
      return text;
  }
}
