/** Texts, and numbers of groups. */
export type Replacement = readonly (string | number)[];

export function parseReplacement(text: string): Replacement {
  const parts: (string | number)[] = [];
  let plain = "";
  for (let at = 0; at < text.length; at++) {
    const next = text[at + 1];
    if (text[at] !== "\\" || next === undefined) {
      plain += text[at];
      continue;
    }
    at++;
    if (next >= "0" && next <= "9") {
      if (plain !== "") parts.push(plain);
      plain = "";
      parts.push(Number(next));
    } else if (next === "x" && /^[0-9A-Fa-f]{2}/.test(text.slice(at + 1))) {
      plain += String.fromCharCode(Number.parseInt(text.slice(at + 1, at + 3), 16));
      at += 2;
    } else plain += next;
  }
  if (plain !== "") parts.push(plain);
  return parts;
}

export function expand(parts: Replacement, match: RegExpExecArray): string {
  let text = "";
  for (const part of parts) text += typeof part === "string" ? part : (match[part] ?? "");
  return text;
}
