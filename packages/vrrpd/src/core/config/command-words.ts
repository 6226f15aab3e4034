/**
 * Splits text as keepalived does for scripts: blanks part words, `"` and `'` group and may stand inside a word,
 * backslash escapes as in C. A configuration line goes through this once to find the command, and the command once
 * more to find its arguments: `"/bin/sh -c 'exit 0'"` is three words. keepalived.conf(5), Quoted strings; observed:
 * keepalived 2.2.7. Undefined when a quote is not closed.
 */
export function splitCommand(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let i = 0; i < text.length; ) {
    const char = text.charAt(i);
    if (char === "\\" && i + 1 < text.length) {
      const escaped = readEscape(text, i + 1);
      word = (word ?? "") + escaped.text;
      i = escaped.end;
      continue;
    }
    i++;
    if (quote !== "") {
      if (char === quote) quote = "";
      else word = (word ?? "") + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== "") return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

function readEscape(text: string, at: number): { readonly text: string; readonly end: number } {
  const octal = /^[0-7]{1,3}/.exec(text.slice(at, at + 3))?.[0];
  if (octal !== undefined) {
    return { text: String.fromCharCode(Number.parseInt(octal, 8) & 0xff), end: at + octal.length };
  }
  const char = text.charAt(at);
  if (char === "x") {
    const digits = /^[0-9a-fA-F]{1,2}/.exec(text.slice(at + 1, at + 3))?.[0];
    if (digits !== undefined) {
      return {
        text: String.fromCharCode(Number.parseInt(digits, 16)),
        end: at + 1 + digits.length,
      };
    }
  }
  if (char === "c" && at + 1 < text.length) {
    return { text: String.fromCharCode(text.charCodeAt(at + 1) & 0x1f), end: at + 2 };
  }
  return { text: LETTERS[char] ?? char, end: at + 1 };
}

const LETTERS: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  E: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/**
 * The inverse of `splitCommand` for one word, quoted only where it must be. In double quotes, since only those keep
 * braces and `#` from their meaning in a file; a double quote inside becomes `\042`, which no lexer takes for one.
 */
export function quoteCommandWord(word: string): string {
  if (word !== "" && !/[\s"'\\#!{}]/.test(word)) return word;
  const escaped = word.replace(/\\/g, "\\\\").replace(/"/g, "\\042").replace(/\n/g, "\\n");
  return `"${escaped}"`;
}
