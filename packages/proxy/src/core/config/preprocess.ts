import type { Position } from "@ha/base";
import { type ConditionContext, evaluateCondition } from "./condition.ts";
import type { Findings } from "./findings.ts";
import { lexLine } from "./lexer.ts";
import { MAX_LINE_LENGTH, MAX_NESTED_CONDITIONS } from "./limits.ts";
import { type Token, textsOf } from "./token.ts";

/** One file of the configuration, as text of one character a byte (latin1), so that any bytes may stand in it. */
export interface SourceFile {
  /** As given on the command line: it is what messages name. */
  readonly name: string;
  readonly text: string;
}

export interface PreprocessContext extends Omit<ConditionContext, "environment"> {
  /** Changed by `setenv` and its relatives while reading: later lines see it. */
  readonly environment: Map<string, string>;
  readonly findings: Findings;
  /** `-dD`: `.diag` speaks. */
  readonly diagnosticMode: boolean;
}

/** What one file had besides statements. */
export interface PreprocessOutcome {
  /** `.alert` ends reading at once, all other files included. */
  readonly stopped: boolean;
}

/**
 * Reads one file line by line: words, then the directives that start with a dot, then what is left goes to
 * `statement` at once, because it may change the environment of the lines below. HAProxy configuration manual §2.2–2.4.
 */
export function preprocess(
  { name, text }: SourceFile,
  context: PreprocessContext,
  statement: (words: readonly Token[], line: string) => void,
): PreprocessOutcome {
  const { findings } = context;
  const conditions = new ConditionStack();
  const lines = text.split("\n");
  const last = lines.pop() ?? "";
  if (last !== "") lines.push(last);
  context.environment.set(".FILE", name);

  let number = 0;
  for (const line of lines) {
    number++;
    const at: Position = { file: name, line: number, column: 1 };
    context.environment.set(".LINE", String(number));
    if (line.length > MAX_LINE_LENGTH) {
      findings.put(
        "error",
        "parsing:",
        "config/line-too-long",
        at,
        `line too long, limit: ${MAX_LINE_LENGTH}.`,
      );
      continue;
    }
    const nul = line.indexOf("\0");
    if (nul !== -1) {
      findings.put(
        "error",
        "parsing:",
        "config/nul",
        at,
        `Stray NUL character at position ${nul + 1}.`,
      );
      continue;
    }
    const { words, error } = lexLine(line, name, number, context.environment);
    if (error !== undefined) {
      const indent = line.length - line.trimStart().length;
      const text = error.caret
        ? `${error.message} at position ${error.index + 1}:\n  ${line.trim()}\n  ${" ".repeat(Math.max(0, error.index - indent))}^`
        : error.message;
      findings.put(
        "error",
        "parsing:",
        "config/bad-line",
        { ...at, column: error.index + 1 },
        text,
      );
      continue;
    }
    const head = words[0];
    if (head === undefined) continue;
    if (head.text.startsWith(".") && isDirective(head.text)) {
      const stop = directive(head, words.slice(1), conditions, context);
      if (stop) return { stopped: true };
    } else if (conditions.taken) {
      if (head.text.startsWith(".")) {
        findings.put(
          "error",
          "parsing:",
          "config/unknown-directive",
          head.at,
          `unknown directive '${head.text}'.`,
        );
      } else {
        statement(words, line);
      }
    }
  }
  if (last !== "") {
    findings.put(
      "error",
      "parsing:",
      "config/missing-lf",
      { file: name, line: number, column: last.length + 1 },
      `Missing LF on last line, file might have been truncated at position ${last.length + 1}.`,
    );
  }
  if (conditions.depth > 0) {
    // HAProxy names the last line it read; the open block's own line is the useful addition.
    const opened = conditions.openedAt;
    findings.put(
      "error",
      "parsing:",
      "config/open-condition",
      { file: name, line: number, column: 1 },
      "non-terminated '.if' block.",
      opened === undefined ? undefined : `It was opened at line ${opened.line}.`,
    );
  }
  return { stopped: false };
}

const DIRECTIVES = [
  ".if",
  ".elif",
  ".else",
  ".endif",
  ".notice",
  ".warning",
  ".alert",
  ".diag",
] as const;
type Directive = (typeof DIRECTIVES)[number];

function isDirective(word: string): word is Directive {
  return (DIRECTIVES as readonly string[]).includes(word);
}

/** The nested blocks: whether lines are taken now, and whether an earlier branch of each was. */
class ConditionStack {
  readonly #blocks: {
    readonly at: Position;
    readonly outer: boolean;
    taken: boolean;
    done: boolean;
    sawElse: boolean;
  }[] = [];

  get depth(): number {
    return this.#blocks.length;
  }

  get openedAt(): Position | undefined {
    return this.#blocks.at(-1)?.at;
  }

  get taken(): boolean {
    return this.#blocks.at(-1)?.taken ?? true;
  }

  /** Whether the next `.elif` must be judged at all. */
  get undecided(): boolean {
    const top = this.#blocks.at(-1);
    return top?.outer === true && !top.done;
  }

  get sawElse(): boolean {
    return this.#blocks.at(-1)?.sawElse ?? false;
  }

  open(at: Position, holds: boolean): void {
    const outer = this.taken;
    this.#blocks.push({ at, outer, taken: outer && holds, done: holds, sawElse: false });
  }

  branch(holds: boolean, isElse: boolean): void {
    const top = this.#blocks.at(-1);
    if (top === undefined) return;
    top.taken = top.outer && !top.done && holds;
    top.done ||= holds;
    top.sawElse ||= isElse;
  }

  close(): void {
    this.#blocks.pop();
  }
}

/** True when reading must stop. */
function directive(
  head: Token,
  args: readonly Token[],
  conditions: ConditionStack,
  context: PreprocessContext,
): boolean {
  const { findings } = context;
  const { at } = head;
  const refuse = (message: string): boolean => {
    findings.put("error", "parsing:", "config/bad-directive", at, message);
    return false;
  };
  switch (head.text as Directive) {
    case ".if":
      if (conditions.depth === MAX_NESTED_CONDITIONS) {
        refuse(`too many nested '.if', max is ${MAX_NESTED_CONDITIONS}.`);
      }
      conditions.open(at, conditions.taken && judge(head, args, context));
      return false;
    case ".elif":
      if (conditions.depth === 0) return refuse("lone '.elif' with no matching '.if'.");
      if (conditions.sawElse) return refuse("'.elif' after '.else' is not permitted.");
      conditions.branch(conditions.undecided && judge(head, args, context), false);
      return false;
    case ".else":
      if (args[0] !== undefined)
        return refuse(`Unexpected argument '${args[0].text}' for '.else'.`);
      if (conditions.depth === 0) return refuse("lone '.else' with no matching '.if'.");
      if (conditions.sawElse) return refuse("'.else' after '.else' is not permitted.");
      conditions.branch(true, true);
      return false;
    case ".endif":
      if (args[0] !== undefined)
        return refuse(`Unexpected argument '${args[0].text}' for '.endif'.`);
      if (conditions.depth === 0) return refuse("lone '.endif' with no matching '.if'.");
      conditions.close();
      return false;
    case ".notice":
    case ".warning":
    case ".alert":
    case ".diag":
      if (!conditions.taken) return false;
      if (args[1] !== undefined) {
        return refuse(
          `Unexpected argument '${args[1].text}' for '${head.text}'. Use quotes if the message should contain spaces.`,
        );
      }
      return speak(head.text as Directive, at, args[0]?.text ?? "", context);
  }
}

function judge(head: Token, args: readonly Token[], context: PreprocessContext): boolean {
  // Words are put together again with single blanks, as HAProxy does: quotes are gone, commas and parentheses stay.
  const expression = textsOf(args).join(" ");
  const result = evaluateCondition(expression, context);
  if (result.ok) return result.value;
  const { message, index } = result.error;
  const lead = `${head.text} `;
  context.findings.put(
    "error",
    "parsing:",
    "config/bad-condition",
    args[0]?.at ?? head.at,
    `${message} in '${head.text}' at position ${index + 1}:\n  ${lead}${expression}\n  ${" ".repeat(lead.length + index)}^`,
  );
  return false;
}

function speak(
  kind: Directive,
  at: Position,
  text: string,
  { findings, diagnosticMode }: PreprocessContext,
): boolean {
  const message = `'${text}'.`;
  if (kind === ".alert") {
    findings.put("error", "parsing:", "config/alert", at, message);
    return true;
  }
  if (kind === ".warning") findings.put("warning", "parsing:", "config/warning", at, message);
  else if (kind === ".notice" || diagnosticMode) {
    findings.put(kind === ".notice" ? "note" : "warning", "parsing:", "config/notice", at, message);
  }
  return false;
}
