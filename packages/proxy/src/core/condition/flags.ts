import type { Token } from "../config/token.ts";
import { MATCH_METHODS, type MatchMethod } from "../map/pattern-index.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";

/** What stands between an ACL's criterion and its patterns. HAProxy configuration manual §7.1. */
export interface AclFlags {
  readonly ignoreCase: boolean;
  /** `-n`: names are not resolved, so only addresses may stand. We never resolve. */
  readonly method: MatchMethod | undefined;
  readonly files: readonly Token[];
  /** `-M`: the files are maps, whose keys are the patterns. */
  readonly isMap: boolean;
  /** `-u`: the number under which the runtime API finds the patterns. */
  readonly id: number | undefined;
  readonly patterns: readonly Token[];
}

export function readFlags(words: readonly Token[], context: CompileContext): AclFlags | undefined {
  let ignoreCase = false;
  let isMap = false;
  let method: MatchMethod | undefined;
  let id: number | undefined;
  const files: Token[] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] as Token;
    if (word.text === "--") {
      at++;
      break;
    }
    if (!word.text.startsWith("-") || word.text === "-") break;
    if (!/^-[imnfMu]$/.test(word.text)) {
      return refuse(
        context,
        word,
        `'${word.text}' is not a valid ACL option`,
        "write '--' before a pattern that begins with '-'",
      );
    }
    const value = words[at + 1];
    switch (word.text) {
      case "-i":
        ignoreCase = true;
        continue;
      case "-n":
        continue;
      case "-M":
        isMap = true;
        continue;
    }
    at++;
    if (value === undefined) return refuse(context, word, `'${word.text}' needs a value`);
    switch (word.text) {
      case "-m":
        method = MATCH_METHODS.find((known) => known === value.text);
        if (method === undefined) {
          return refuse(
            context,
            value,
            `unknown matching method '${value.text}'`,
            `write one of: ${MATCH_METHODS.join(", ")}`,
          );
        }
        break;
      case "-f":
        files.push(value);
        break;
      default:
        if (!/^\d+$/.test(value.text))
          return refuse(context, value, `'-u' needs a number, not '${value.text}'`);
        id = Number(value.text);
    }
  }
  return { ignoreCase, method, files, isMap, id, patterns: words.slice(at) };
}
