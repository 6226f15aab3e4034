import { latin1 } from "../sample/sample.ts";

/** A regular expression that works on bytes as Latin-1 text. */
export interface Regex {
  /** As written, for listings. */
  readonly source: string;
  /** Whether it matches anywhere in the range. Input beyond `REGEX_INPUT_LIMIT` bytes does not match. */
  test(bytes: Uint8Array, start: number, end: number): boolean;
  /** The match (offsets in the text) with its groups, from `from` on; undefined for none. */
  exec(text: string, from: number): RegExpExecArray | undefined;
}

/**
 * Longest input given to a regular expression: that of HAProxy's default buffer. With nested quantifiers
 * refused at load, it bounds the time that a peer's bytes can cost.
 */
export const REGEX_INPUT_LIMIT = 16384;

/**
 * Translates a PCRE pattern to JavaScript's. Refused, with the reason as text: what JavaScript lacks
 * (recursion, conditionals, callouts, `\K`, `\G`) and nested unbounded quantifiers such as `(a+)+`, which take
 * exponential time on hostile input.
 */
export function compileRegex(source: string, ignoreCase: boolean): Regex | string {
  const translated = translate(source);
  if (typeof translated === "string") return translated;
  if (hasNestedQuantifier(translated.pattern)) {
    return "a quantified group holds another unbounded quantifier, which hostile input can make run for ever";
  }
  const flags = `${ignoreCase || translated.ignoreCase ? "i" : ""}${translated.dotAll ? "s" : ""}${translated.multiline ? "m" : ""}`;
  const hidden = translated.hidden.toReversed();
  let plain: RegExp;
  let sticky: RegExp;
  try {
    plain = new RegExp(translated.pattern, flags);
    sticky = new RegExp(translated.pattern, `${flags}g`);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return {
    source,
    test: (bytes, start, end) =>
      end - start <= REGEX_INPUT_LIMIT && plain.test(latin1(bytes, start, end)),
    exec: (text, from) => {
      if (text.length > REGEX_INPUT_LIMIT) return undefined;
      sticky.lastIndex = from;
      const match = sticky.exec(text) ?? undefined;
      // From the last: removing one moves those after it.
      if (match !== undefined) for (const number of hidden) match.splice(number, 1);
      return match;
    },
  };
}

interface Translation {
  readonly pattern: string;
  readonly ignoreCase: boolean;
  readonly dotAll: boolean;
  readonly multiline: boolean;
  /** Numbers of groups that are our own and no part of what the pattern's author counts. */
  readonly hidden: readonly number[];
}

function translate(source: string): Translation | string {
  let ignoreCase = false;
  let dotAll = false;
  let multiline = false;
  let extended = false;
  let at = 0;
  // Option settings count at the very start only, where they hold for the whole pattern.
  for (;;) {
    const options = /^\(\?([imsx]+)\)/.exec(source.slice(at));
    if (options === null) break;
    const letters = options[1] as string;
    ignoreCase ||= letters.includes("i");
    dotAll ||= letters.includes("s");
    multiline ||= letters.includes("m");
    extended ||= letters.includes("x");
    at += options[0].length;
  }
  let pattern = "";
  let groups = 0;
  const hidden: number[] = [];
  // Where the last atom begins in the pattern; -1 after what is none, or a whole group.
  let atom = -1;
  while (at < source.length) {
    const rest = source.slice(at);
    const possessive = /^([*+?]|\{\d+(?:,\d*)?\})\+/.exec(rest);
    if (possessive !== null) {
      if (atom === -1)
        return "possessive quantifiers after a group are not supported: write the quantifier without the last +";
      // What a lookahead has matched is never given back: that is what possessive means.
      groups++;
      hidden.push(groups);
      const name = `possessive${hidden.length}`;
      pattern = `${pattern.slice(0, atom)}(?:(?=(?<${name}>${pattern.slice(atom)}${possessive[1]}))\\k<${name}>)`;
      at += possessive[0].length;
      atom = -1;
      continue;
    }
    const step = rest.startsWith("[")
      ? characterClass(rest)
      : rest.startsWith("\\")
        ? escaped(rest)
        : rest.startsWith("(")
          ? group(rest)
          : extended
            ? extendedText(rest, dotAll)
            : plainText(rest, multiline, dotAll);
    if (typeof step === "string") return step;
    if (rest.startsWith("(") && (step.text === "(" || step.text.endsWith(">"))) groups++;
    atom = /^[()|^$*+?{]/.test(rest) ? -1 : pattern.length;
    pattern += step.text;
    at += step.length;
  }
  if (hidden.length > 0 && /\\[1-9]/.test(pattern))
    return "possessive quantifiers beside \\1 are not supported: name the group, and write \\k<name>";
  return { pattern, ignoreCase, dotAll, multiline, hidden };
}

interface Step {
  readonly text: string;
  readonly length: number;
}

function plainText(rest: string, multiline: boolean, dotAll: boolean): Step | string {
  // `$` also matches before a newline at the end, which JavaScript's does not.
  if (rest.startsWith("$") && !multiline) return { text: "(?=\\n?$(?![^]))", length: 1 };
  // A brace that opens no quantifier is a literal.
  if (rest.startsWith("{") && !/^\{\d+(?:,\d*)?\}/.test(rest)) return { text: "\\{", length: 1 };
  if (rest.startsWith("{")) {
    const quantifier = /^\{\d+(?:,\d*)?\}/.exec(rest)?.[0] as string;
    return { text: quantifier, length: quantifier.length };
  }
  // JavaScript's dot excludes CR as well.
  if (rest.startsWith(".")) return { text: dotAll ? "." : "[^\\n]", length: 1 };
  if (rest.startsWith("}")) return { text: "\\}", length: 1 };
  if (rest.startsWith("]")) return { text: "\\]", length: 1 };
  return { text: rest[0] as string, length: 1 };
}

function extendedText(rest: string, dotAll: boolean): Step | string {
  const skipped = /^(?:\s+|#[^\n]*\n?)/.exec(rest);
  return skipped === null
    ? plainText(rest, false, dotAll)
    : { text: "", length: skipped[0].length };
}

function group(rest: string): Step | string {
  if (!rest.startsWith("(?") && !rest.startsWith("(*")) return { text: "(", length: 1 };
  if (rest.startsWith("(*")) return "verbs such as (*SKIP) are not supported";
  const named = /^\(\?P?<([A-Za-z_]\w*)>/.exec(rest);
  if (named !== null) return { text: `(?<${named[1]}>`, length: named[0].length };
  const comment = /^\(\?#[^)]*\)/.exec(rest);
  if (comment !== null) return { text: "", length: comment[0].length };
  for (const plain of ["(?:", "(?=", "(?!", "(?<=", "(?<!"]) {
    if (rest.startsWith(plain)) return { text: plain, length: plain.length };
  }
  return `the group '${rest.slice(0, 4)}…' is not supported`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  A: "(?<![^])",
  z: "(?![^])",
  Z: "(?=\\n?(?![^]))",
  h: "[ \\t\\xa0]",
  H: "[^ \\t\\xa0]",
  R: "(?:\\r\\n|[\\n\\v\\f\\r\\x85])",
  e: "\\x1b",
  a: "\\x07",
  N: "[^\\n]",
  // PCRE without Unicode: Latin-1 letters are no word characters, NBSP no space.
  s: "[ \\t\\n\\v\\f\\r]",
  S: "[^ \\t\\n\\v\\f\\r]",
};

function escaped(rest: string): Step | string {
  const next = rest[1];
  if (next === undefined) return "it ends in a lone backslash";
  if (next === "Q") {
    const end = rest.indexOf("\\E");
    const literal = rest.slice(2, end === -1 ? undefined : end);
    return {
      text: literal.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"),
      length: end === -1 ? rest.length : end + 2,
    };
  }
  if (next === "E") return { text: "", length: 2 };
  const mapped = ESCAPES[next];
  if (mapped !== undefined) return { text: mapped, length: 2 };
  if ("KGCXpPgk".includes(next)) {
    const name = /^\\(?:k|g)\{?<?'?(\w+)>?'?\}?/.exec(rest);
    if (name !== null && (next === "k" || next === "g")) {
      const reference = name[1] as string;
      return {
        text: /^\d+$/.test(reference) ? `\\${reference}` : `\\k<${reference}>`,
        length: name[0].length,
      };
    }
    return `\\${next} is not supported`;
  }
  const braced = /^\\x\{([0-9A-Fa-f]{1,2})\}/.exec(rest);
  if (braced !== null) {
    return { text: `\\x${(braced[1] as string).padStart(2, "0")}`, length: braced[0].length };
  }
  const hex = /^\\x([0-9A-Fa-f]{0,2})/.exec(rest);
  if (hex !== null) {
    return { text: `\\x${(hex[1] as string).padStart(2, "0")}`, length: hex[0].length };
  }
  if (/[A-Za-z0-9]/.test(next)) return { text: `\\${next}`, length: 2 };
  return { text: /[\\^$.*+?()[\]{}|/]/.test(next) ? `\\${next}` : next, length: 2 };
}

const POSIX: Readonly<Record<string, string>> = {
  alpha: "A-Za-z",
  digit: "0-9",
  alnum: "A-Za-z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: " \\t\\n\\v\\f\\r",
  blank: " \\t",
  punct: "!-/:-@\\[-`{-~",
  xdigit: "0-9A-Fa-f",
  word: "A-Za-z0-9_",
  cntrl: "\\x00-\\x1f\\x7f",
  print: "\\x20-\\x7e",
  graph: "\\x21-\\x7e",
};

function characterClass(rest: string): Step | string {
  let text = "[";
  let at = 1;
  if (rest[at] === "^") {
    text += "^";
    at++;
  }
  for (let first = true; ; first = false) {
    const character = rest[at];
    if (character === undefined) return "a [ is never closed";
    if (character === "]" && !first) return { text: `${text}]`, length: at + 1 };
    const posix = /^\[:(\^?)(\w+):\]/.exec(rest.slice(at));
    if (posix !== null) {
      const set = POSIX[posix[2] as string];
      if (set === undefined || posix[1] === "^") return `the class ${posix[0]} is not supported`;
      text += set;
      at += posix[0].length;
    } else if (character === "\\") {
      const next = rest[at + 1];
      if (next === undefined) return "a [ is never closed";
      if (next === "h") text += " \\t\\xa0";
      else if (next === "s") text += " \\t\\n\\v\\f\\r";
      else if (next === "e") text += "\\x1b";
      else if (/[A-Za-z0-9]/.test(next)) text += `\\${next}`;
      else text += `\\${next}`;
      at += 2;
    } else {
      text += character === "[" || character === "]" ? `\\${character}` : character;
      at++;
    }
  }
}

/** What stands on one level of parentheses. */
interface Level {
  /** Atoms repeated without bound. */
  readonly repeated: string[];
  /** Plain characters that must stand there. */
  readonly literals: string[];
  /** A group repeated without bound, or one that holds a repetition. */
  opaque: boolean;
}

const newLevel = (): Level => ({ repeated: [], literals: [], opaque: false });

/**
 * Whether a group repeated without bound holds another repetition without bound, as in `(a+)+` or `(?:x*y?)*`. A
 * separator that no repeated part can match, as the dot in `(?:[a-z]+\.)+`, makes it harmless.
 */
function hasNestedQuantifier(pattern: string): boolean {
  const stack: Level[] = [];
  let top = newLevel();
  for (let at = 0; at < pattern.length; ) {
    const rest = pattern.slice(at);
    if (rest.startsWith("(")) {
      stack.push(top);
      top = newLevel();
      at += /^\((?:\?(?::|=|!|<=|<!|<\w+>))?/.exec(rest)?.[0].length ?? 1;
      continue;
    }
    if (rest.startsWith("|")) {
      at++;
      continue;
    }
    const atom =
      /^(?:\\x[0-9A-Fa-f]{2}|\\[\s\S]|\[(?:\\[\s\S]|[^\]\\])*\]|[\s\S])/.exec(rest)?.[0] ?? "";
    const after = pattern.slice(at + atom.length);
    const unbounded = /^(?:[*+]|\{\d+,\})\??/.exec(after)?.[0];
    const bounded = /^(?:\?|\{\d+(?:,\d+)?\})\??/.exec(after)?.[0];
    if (atom === ")") {
      const inner = top;
      top = stack.pop() ?? newLevel();
      const repeats = inner.opaque || inner.repeated.length > 0;
      if (unbounded !== undefined && repeats && !hasSeparator(inner)) return true;
      top.opaque ||= repeats || unbounded !== undefined;
    } else if (unbounded !== undefined) top.repeated.push(atom);
    else if (bounded === undefined && /^(?:[^\\.^$[]|\\[^A-Za-z0-9])$/.test(atom))
      top.literals.push(atom);
    at += atom.length + (unbounded?.length ?? bounded?.length ?? 0);
  }
  return false;
}

/** Whether a character must stand on the level that none of its repetitions can match. */
function hasSeparator({ repeated, literals, opaque }: Level): boolean {
  if (opaque) return false;
  return literals.some((literal) => {
    const character = literal.at(-1) ?? "";
    return repeated.every((atom) => !new RegExp(`^(?:${atom})$`, "is").test(character));
  });
}
