import { type Command, LEVELS, type Level } from "./command.ts";

/** One command of a line, and where its payload ends when one follows. */
export interface ParsedCommand {
  readonly words: readonly string[];
  /** `<<`: the payload goes up to a line with exactly this text. Undefined: no payload. */
  readonly payloadEnd: string | undefined;
}

/**
 * Takes a line apart: commands between `;`, words between blanks; a backslash keeps the next character from meaning
 * anything. HAProxy management guide §9.3.
 */
export function parseLine(line: string): ParsedCommand[] {
  const commands: ParsedCommand[] = [];
  let words: string[] = [];
  let word: string | undefined;
  const endWord = () => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  for (let i = 0; i < line.length; i++) {
    const character = line[i] as string;
    if (character === "\\" && i + 1 < line.length) word = (word ?? "") + line[++i];
    else if (character === ";") {
      endWord();
      commands.push({ words, payloadEnd: undefined });
      words = [];
    } else if (character === " " || character === "\t" || character === "\r") endWord();
    else word = (word ?? "") + character;
  }
  endWord();
  const last = words.at(-1);
  if (last?.startsWith("<<"))
    commands.push({ words: words.slice(0, -1), payloadEnd: last.slice(2) });
  else commands.push({ words, payloadEnd: undefined });
  return commands;
}

/** The command that the words begin with, the one with the most words of its own. */
export function findCommand(
  commands: readonly Command[],
  words: readonly string[],
): Command | undefined {
  let found: Command | undefined;
  for (const command of commands) {
    if (!command.words.every((word, i) => words[i] === word)) continue;
    if (found === undefined || command.words.length > found.words.length) found = command;
  }
  return found;
}

export function hasLevel(given: Level, wanted: Level): boolean {
  return LEVELS.indexOf(given) >= LEVELS.indexOf(wanted);
}

const ALWAYS = ["help", "prompt", "quit"];

/** What `help` and unknown commands answer. Observed: haproxy 2.6.12. */
export function helpText(
  commands: readonly Command[],
  words: readonly string[],
  reason: "help" | "unknown",
): string {
  const ordinary = commands.filter(({ words: [first = ""] }) => !ALWAYS.includes(first));
  const always = commands.filter(({ words: [first = ""] }) => ALWAYS.includes(first));
  const sorted = [...ordinary].sort((a, b) => (a.words.join(" ") < b.words.join(" ") ? -1 : 1));
  let title: string;
  let shown: readonly Command[] = sorted;
  if (reason === "help") {
    title = "The following commands are valid at this level:\n";
    if (words.length > 0) shown = sorted.filter((command) => beginsLike(command, words));
  } else if (words.length === 0) {
    title = "Unknown command. Please enter one of the following commands only:\n";
  } else {
    title = "Unknown command, but maybe one of the following ones is a better match:\n";
    shown = closest(sorted, words);
  }
  return title + [...shown, ...always].map(helpLine).join("");
}

function helpLine({ usage, doc }: Command): string {
  return `  ${usage.padEnd(40)}: ${doc}\n`;
}

function beginsLike({ words }: Command, given: readonly string[]): boolean {
  return given.every((word, i) => words[i] === undefined || words[i].startsWith(word));
}

/** Those that share the most first words; else the five whose first words are least unlike. */
function closest(commands: readonly Command[], words: readonly string[]): readonly Command[] {
  for (let shared = words.length; shared > 0; shared--) {
    const alike = commands.filter((command) =>
      words.slice(0, shared).every((word, i) => command.words[i] === word),
    );
    if (alike.length > 0) return alike;
  }
  const text = words.slice(0, 2).join(" ");
  return commands
    .map((command) => ({ command, distance: distance(text, command.words.join(" ")) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 5)
    .map(({ command }) => command);
}

/** Levenshtein's, over texts cut to 40 characters. */
function distance(a: string, b: string): number {
  const left = a.slice(0, 40);
  const right = b.slice(0, 40);
  let row = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const change = (row[j - 1] as number) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[right.length] as number;
}
