import type { Diagnostic, Position } from "@ha/base";
import { closestKeyword } from "./closest-keyword.ts";
import type { Findings } from "./findings.ts";
import type { Token } from "./token.ts";

type Code = Diagnostic["code"];

/** One statement while it is read: its words, and a voice that knows where it stands. */
export class Line {
  readonly words: readonly Token[];
  readonly findings: Findings;

  constructor(words: readonly Token[], findings: Findings) {
    this.words = words;
    this.findings = findings;
  }

  get at(): Position {
    return (this.words[0] as Token).at;
  }

  /** The keyword itself. */
  get name(): string {
    return (this.words[0] as Token).text;
  }

  /** Word `i`, "" when there is none: HAProxy's own view, in which an empty word ends the line as well. */
  text(i: number): string {
    return this.words[i]?.text ?? "";
  }

  /** Where word `i` stands, or would stand. */
  atWord(i: number): Position {
    return this.words[i]?.at ?? this.at;
  }

  /** The words from `i` on. */
  from(i: number): readonly Token[] {
    return this.words.slice(i);
  }

  /** False, so that a reader can `return line.alert(…)`. */
  alert(message: string, hint?: string, code: Code = "config/bad-value"): false {
    this.findings.alert(code, this.at, message, hint);
    return false;
  }

  /** Spelt `parsing [FILE:LINE]: …`, as a part of HAProxy's messages is. */
  alertTight(message: string, hint?: string, code: Code = "config/bad-value"): false {
    this.findings.put("error", "parsing:", code, this.at, message, hint);
    return false;
  }

  warn(message: string, hint?: string, code: Code = "config/warning"): void {
    this.findings.warn(code, this.at, message, hint);
  }

  warnTight(message: string, hint?: string, code: Code = "config/warning"): void {
    this.findings.put("warning", "parsing:", code, this.at, message, hint);
  }

  /** Reports the first word beyond `count` arguments of the keyword (`name` spelt as the keyword is). */
  atMost(count: number, name: string = this.name, keywordWords = 1): boolean {
    const extra = this.words[count + keywordWords];
    if (extra === undefined) return true;
    this.findings.alert(
      "config/extra-word",
      this.at,
      `'${name}' cannot handle unexpected argument '${extra.text}'.`,
    );
    return false;
  }
}

/** `; did you mean 'X' maybe ?`, or "" when nothing is near. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const best = closestKeyword(word, known);
  return best === undefined ? "" : `; did you mean '${best}' maybe ?`;
}
