/** Cells in columns that are as wide as they must be; colours do not count as width. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell + " ".repeat(Math.max(0, (widths[i] ?? 0) - widthOf(cell))))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");

function widthOf(cell: string): number {
  return cell.replaceAll(COLOUR, "").length;
}

/** Colours, where somebody sees them. */
export class Paint {
  readonly #on: boolean;

  constructor(on: boolean) {
    this.#on = on;
  }

  good(text: string): string {
    return this.#wrap("32", text);
  }

  bad(text: string): string {
    return this.#wrap("1;31", text);
  }

  faint(text: string): string {
    return this.#wrap("2", text);
  }

  strong(text: string): string {
    return this.#wrap("1", text);
  }

  #wrap(code: string, text: string): string {
    return this.#on ? `\x1b[${code}m${text}\x1b[0m` : text;
  }
}
