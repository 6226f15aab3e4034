import { type Diagnostics, type Position, type Random, seededRandom } from "@ha/base";
import type { ConfigHost, FoundFiles } from "./host.ts";
import { type IncludeCheck, type IncludeChecks, includeOf, readIncludeChecks } from "./include.ts";
import type { Limits } from "./limits.ts";
import { type ListValues, readSequence } from "./sequence.ts";
import {
  isBlank,
  type Piece,
  positionIn,
  replaceIn,
  type SourceLine,
  sliceLine,
  toPieces,
  trimLine,
  uncomment,
} from "./source-line.ts";

/**
 * The first stage: files to lines of words and braces, with includes read, comments gone, `@id` lines chosen,
 * definitions replaced and sequences written out. keepalived.conf(5), ADVANCED CONFIGURATION.
 */
export function expandConfig(
  files: readonly string[],
  options: {
    readonly host: ConfigHost;
    readonly configId: string;
    readonly includeChecks: IncludeChecks;
    readonly limits: Limits;
    readonly diagnostics: Diagnostics;
  },
): Piece[] | undefined {
  const expander = new Expander(options);
  const read = files.filter((file) => expander.readFile(file, 0));
  return read.length === 0 ? undefined : expander.pieces;
}

type Options = Parameters<typeof expandConfig>[1];

class Expander {
  readonly pieces: Piece[] = [];
  readonly #options: Options;
  readonly #definitions = new Map<string, readonly string[]>();
  #random: Random;
  #checks: IncludeChecks;
  #files = 0;
  #lines = 0;
  #stopped = false;

  constructor(options: Options) {
    this.#options = options;
    this.#checks = options.includeChecks;
    this.#random = seededRandom(options.host.seed);
  }

  readFile(path: string, depth: number): boolean {
    const { host, limits, diagnostics } = this.#options;
    const text = host.readFile(path);
    if (text === undefined) return false;
    const top: Position = { file: path, line: 1, column: 1 };
    if (text.length > limits.fileLength) {
      diagnostics.error("config/limit", top, `the file is longer than ${limits.fileLength} bytes`);
      return true;
    }
    if (++this.#files > limits.files) {
      this.#stop(top, `more than ${limits.files} files are included`);
      return true;
    }
    const checks = this.#checks;
    this.#readLines(path, text, depth);
    this.#checks = checks;
    return true;
  }

  #readLines(file: string, text: string, depth: number): void {
    let rest = text;
    if (rest.startsWith("\ufeff")) {
      this.#options.diagnostics.error(
        "config/byte-order-mark",
        { file, line: 1, column: 1 },
        "the file begins with a byte order mark, which keepalived takes for part of the first word",
        "save the file as UTF-8 without BOM",
      );
      rest = rest.slice(1);
    }
    let definition: { name: string; lines: string[] } | undefined;
    let number = 0;
    for (let start = 0; start < rest.length && !this.#stopped; ) {
      const found = rest.indexOf("\n", start);
      const end = found === -1 ? rest.length : found;
      number++;
      const raw: SourceLine = { text: rest.slice(start, end), file, line: number, columns: 1 };
      start = end + 1;
      const line = trimLine(uncomment(this.#upToNul(raw)));
      if (line.text.length > this.#options.limits.lineLength) {
        this.#tooLong(line);
        continue;
      }
      if (definition !== undefined) {
        const more = line.text.endsWith("\\");
        definition.lines.push(more ? line.text.slice(0, -1).trimEnd() : line.text);
        if (!more) {
          this.#definitions.set(definition.name, definition.lines);
          definition = undefined;
        }
        continue;
      }
      if (line.text === "") continue;
      const opened = this.#definition(line);
      if (opened?.more === true) {
        definition = { name: opened.name, lines: opened.value === "" ? [] : [opened.value] };
        continue;
      }
      if (opened !== undefined) continue;
      this.#line(line, depth, 0);
    }
    if (definition !== undefined) this.#definitions.set(definition.name, definition.lines);
  }

  /** Takes `$NAME=value`, also on an `@id` line. Says when the definition goes on in the next line. */
  #definition(line: SourceLine): { name: string; value: string; more: boolean } | undefined {
    const chosen = line.text.startsWith("@") ? this.#chosen(line) : line;
    if (chosen === undefined || !chosen.text.startsWith("$")) return undefined;
    const match = /^\$([A-Za-z_][A-Za-z0-9_]*)=/.exec(chosen.text);
    if (match === null) return undefined;
    const name = match[1] ?? "";
    const value = chosen.text.slice(match[0].length);
    if (value.endsWith("\\")) {
      return { name, value: value.slice(0, -1).trim(), more: true };
    }
    this.#definitions.set(name, [value.trim()]);
    return { name, value, more: false };
  }

  /** One line without comment and outer blanks. `nesting` counts sequences and multi-line definitions. */
  #line(line: SourceLine, depth: number, nesting: number): void {
    if (this.#stopped || line.text === "") return;
    const { limits } = this.#options;
    if (nesting > limits.expansionDepth) {
      this.#stop(
        positionIn(line, 0),
        `definitions and sequences are nested more than ${limits.expansionDepth} deep`,
        "look for a definition that uses itself",
      );
      return;
    }
    if (line.text.startsWith("@")) {
      const chosen = this.#chosen(line);
      if (chosen !== undefined) this.#unconditional(chosen, depth, nesting);
      return;
    }
    this.#unconditional(line, depth, nesting);
  }

  #unconditional(line: SourceLine, depth: number, nesting: number): void {
    if (line.text.startsWith("$") && this.#definition(line) !== undefined) return;
    if (line.text.startsWith("~")) {
      const sequence = readSequence(line, (at, message, hint) => {
        this.#options.diagnostics.error("config/bad-sequence", at, message, hint);
      });
      if (sequence === "invalid") return;
      if (sequence !== undefined) {
        this.#repeat(sequence, depth, nesting);
        return;
      }
    }
    const whole = this.#definitions.get(
      /^\$(?:\{(\w+)\}|(\w+))$/.exec(line.text)?.slice(1).join("") ?? "",
    );
    if (whole !== undefined && whole.length > 1) {
      // A definition of several lines alone in its line: each of them is a line in its own right.
      const { column } = positionIn(line, 0);
      for (const text of whole) {
        this.#line(trimLine({ ...line, text, columns: [column] }), depth, nesting + 1);
      }
      return;
    }
    const replaced = this.#replace(line);
    if (replaced === undefined) return;
    const [first, ...others] = replaced;
    if (first === undefined) return;
    if (first.text.startsWith("@") && !line.text.startsWith("@")) {
      this.#line(first, depth, nesting + 1);
    } else {
      this.#finished(first, depth);
    }
    for (const other of others) this.#line(trimLine(other), depth, nesting + 1);
  }

  #repeat(sequence: ListValues, depth: number, nesting: number): void {
    for (const values of sequence.values()) {
      if (this.#stopped) return;
      for (const [i, name] of sequence.names.entries()) {
        this.#definitions.set(name, [values[i] ?? ""]);
      }
      this.#line(sequence.rest, depth, nesting + 1);
    }
  }

  /** What follows a condition that holds, else undefined. */
  #chosen(line: SourceLine): SourceLine | undefined {
    let end = 1;
    while (end < line.text.length && !isBlank(line.text.charCodeAt(end))) end++;
    const negated = line.text[1] === "^";
    const id = line.text.slice(negated ? 2 : 1, end);
    // keepalived skips `@vrrpd` lines, since that is not its config id: they are for our own keywords.
    const holds = id !== "" && (id === this.#options.configId || id === "vrrpd");
    return holds === negated ? undefined : trimLine(sliceLine(line, end));
  }

  /** Definitions replaced. The lines after the first come from a multi-line definition and are not yet replaced. */
  #replace(line: SourceLine): SourceLine[] | undefined {
    let first = line;
    const others: SourceLine[] = [];
    let replacements = 0;
    for (let from = first.text.indexOf("$"); from !== -1; from = first.text.indexOf("$", from)) {
      const found = this.#valueAt(first.text, from, first);
      if (found === undefined) {
        from++;
        continue;
      }
      const { limits, diagnostics } = this.#options;
      if (++replacements > limits.replacements) {
        diagnostics.error(
          "config/limit",
          positionIn(first, from),
          `more than ${limits.replacements} definitions are replaced in this line`,
          "look for definitions that use each other",
        );
        return undefined;
      }
      const [head = "", ...tail] = found.lines;
      if (tail.length > 0) {
        const rest = sliceLine(first, found.end);
        const at = sliceLine(first, from, from + 1);
        others.unshift(
          ...tail.map((text) => ({ ...at, text, columns: [positionIn(first, from).column] })),
        );
        if (rest.text.trim() !== "") {
          const last = others[tail.length - 1] ?? at;
          others[tail.length - 1] = { ...last, text: last.text + rest.text };
        }
        first = replaceIn(sliceLine(first, 0, found.end), from, found.end, head);
      } else {
        first = replaceIn(first, from, found.end, head);
      }
      if (first.text.length > limits.lineLength) {
        this.#tooLong(first);
        return undefined;
      }
    }
    return [trimLine(first), ...others];
  }

  #valueAt(
    text: string,
    from: number,
    line: SourceLine,
  ): { readonly lines: readonly string[]; readonly end: number } | undefined {
    NAME.lastIndex = from;
    const match = NAME.exec(text);
    if (match === null) return undefined;
    const [whole, braced, , bare] = match;
    const end = from + whole.length;
    const name = braced ?? bare ?? "";
    if (bare !== undefined && end < text.length && !isBlank(text.charCodeAt(end))) return undefined;
    const defined = this.#definitions.get(name);
    if (defined !== undefined && (match[2] ?? "").trim() === "") return { lines: defined, end };
    if (braced === undefined) return undefined;
    const value = this.#predefined(name, (match[2] ?? "").trim().split(/\s+/), line);
    return value === undefined ? undefined : { lines: [value], end };
  }

  #predefined(name: string, args: readonly string[], line: SourceLine): string | undefined {
    const { host, configId } = this.#options;
    switch (name) {
      case "_PWD":
        return host.folderOf(line.file);
      case "_INSTANCE":
        return configId;
      case "_HASH":
        return "#";
      case "_BANG":
        return "!";
      case "_ENV":
        return host.environment(args[0] ?? "") ?? "";
      case "_RANDOM": {
        const min = args[0] === undefined || args[0] === "" ? 0 : Number(args[0]);
        const max = args[1] === undefined ? 32_767 : Number(args[1]);
        if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || max < min) return undefined;
        return String(min + Math.floor(this.#random.next() * (max - min + 1)));
      }
      default:
        return undefined;
    }
  }

  /** A line with nothing left to replace: an include, or words. */
  #finished(line: SourceLine, depth: number): void {
    const { limits, diagnostics } = this.#options;
    if (++this.#lines > limits.lines) {
      this.#stop(positionIn(line, 0), `there are more than ${limits.lines} lines in all`);
      return;
    }
    const { text } = line;
    // A replaced definition may have brought `#` or `!` to the front: `${_HASH}`.
    if (text === "" || text.startsWith("#") || text.startsWith("!")) return;
    if (text.startsWith("include")) {
      const include = includeOf(text);
      if (include !== undefined) {
        this.#include(line, include, depth);
        return;
      }
      if (/^include_check(\s|$)/.test(text)) {
        this.#checks = readIncludeChecks(text, this.#checks, (word) => {
          diagnostics.error(
            "config/bad-value",
            positionIn(line, text.indexOf(word)),
            `include_check does not know '${word}'`,
            "write: include_check [[+-]readable|match|wildcard_match|brace_match] ...",
          );
        });
      }
    } else if (text.startsWith("random_seed")) {
      const seed = /^random_seed\s+"?(\d+)/.exec(text)?.[1];
      if (seed !== undefined) this.#random = seededRandom(Number(seed));
    }
    toPieces(
      line,
      (at, rest) => {
        diagnostics.error("config/unterminated-quote", at, `${rest.slice(0, 40)} has no closing "`);
      },
      (piece) => this.pieces.push(piece),
    );
  }

  #include(
    line: SourceLine,
    include: { readonly pattern: string; readonly extra: readonly IncludeCheck[] },
    depth: number,
  ): void {
    const { host, limits, diagnostics } = this.#options;
    const at = positionIn(line, 0);
    if (depth >= limits.includeDepth) {
      diagnostics.error(
        "config/limit",
        at,
        `files include one another more than ${limits.includeDepth} deep`,
        "look for a file that includes itself",
      );
      return;
    }
    const checks = new Set([...this.#checks, ...include.extra]);
    const found = host.glob(include.pattern, host.folderOf(line.file));
    for (const path of found.files) {
      if (this.#stopped) return;
      if (!this.readFile(path, depth + 1)) {
        const message = `cannot read included file ${path}`;
        if (checks.size > 0) diagnostics.error("config/include-missing", at, message);
        else diagnostics.warning("config/include-skipped", at, message);
      }
    }
    if (found.unmatched.length === 0) return;
    const message = `no file matches '${found.unmatched.join("', '")}'`;
    if (isMissing(include.pattern, found, checks)) {
      diagnostics.error(
        "config/include-missing",
        at,
        message,
        "create the file, or write include where it may be missing",
      );
    } else if (found.files.length === 0 || !/[*?[]/.test(include.pattern)) {
      diagnostics.warning("config/include-skipped", at, message);
    }
  }

  #upToNul(line: SourceLine): SourceLine {
    const nul = line.text.indexOf("\0");
    if (nul === -1) return line;
    this.#options.diagnostics.warning(
      "config/nul",
      positionIn(line, nul),
      "a NUL character: as keepalived does, the rest of the line is not read",
    );
    return sliceLine(line, 0, nul);
  }

  #tooLong(line: SourceLine): void {
    const { diagnostics, limits } = this.#options;
    diagnostics.error(
      "config/limit",
      { file: line.file, line: line.line, column: 1 },
      `the line is longer than ${limits.lineLength} characters`,
    );
  }

  #stop(at: Position, message: string, hint?: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#options.diagnostics.error("config/limit", at, message, hint);
  }
}

/** By which checks a file that is not there is an error. observed: keepalived 2.2.7 */
function isMissing(pattern: string, found: FoundFiles, checks: IncludeChecks): boolean {
  if (/[*?[]/.test(pattern)) {
    return (
      (found.files.length === 0 && checks.has("wildcard_match")) ||
      (found.folderMissing && checks.has("match"))
    );
  }
  return checks.has(/\{.*\}/.test(pattern) ? "brace_match" : "match");
}

/** `${NAME words}` or `$NAME`. */
const NAME = /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)([^{}]*)\}|([A-Za-z_][A-Za-z0-9_]*))/y;
