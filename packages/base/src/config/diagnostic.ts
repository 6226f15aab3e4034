/** Where a token stands. Lines and columns count from 1, as editors show them. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type Severity = "error" | "warning" | "note";

/** One finding about the configuration. Parsing collects these; it does not throw. */
export interface Diagnostic {
  readonly severity: Severity;
  /** A stable name for programs, `config/unknown-keyword`. */
  readonly code: `config/${string}`;
  readonly message: string;
  /** Absent for findings about the whole file, or about something that is nowhere. */
  readonly at?: Position;
  /** What to do about it, when that is known. */
  readonly hint?: string;
}

/** `keepalived.conf:12:14: error: …`, the shape that editors and `grep -n` understand. */
export function formatDiagnostic({ at, severity, message, hint }: Diagnostic): string {
  const place = at === undefined ? "" : `${at.file}:${at.line}:${at.column}: `;
  const first = `${place}${severity}: ${message}`;
  return hint === undefined ? first : `${first}\n  hint: ${hint}`;
}

/** Collects findings while a file is read. */
export class Diagnostics {
  readonly #list: Diagnostic[] = [];

  get list(): readonly Diagnostic[] {
    return this.#list;
  }

  get hasErrors(): boolean {
    return this.#list.some(({ severity }) => severity === "error");
  }

  add(diagnostic: Diagnostic): void {
    this.#list.push(diagnostic);
  }

  error(code: Diagnostic["code"], at: Position | undefined, message: string, hint?: string): void {
    this.#push("error", code, at, message, hint);
  }

  warning(
    code: Diagnostic["code"],
    at: Position | undefined,
    message: string,
    hint?: string,
  ): void {
    this.#push("warning", code, at, message, hint);
  }

  note(code: Diagnostic["code"], at: Position | undefined, message: string, hint?: string): void {
    this.#push("note", code, at, message, hint);
  }

  #push(
    severity: Severity,
    code: Diagnostic["code"],
    at: Position | undefined,
    message: string,
    hint: string | undefined,
  ): void {
    this.#list.push({
      severity,
      code,
      message,
      ...(at === undefined ? {} : { at }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
