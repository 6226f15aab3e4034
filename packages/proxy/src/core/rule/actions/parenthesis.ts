/** The parts of the text between an action's parentheses: `1,0`. Blanks around them do not count. */
export function splitValues(text: string): string[] {
  return text === "" ? [] : text.split(",").map((part) => part.trim());
}
