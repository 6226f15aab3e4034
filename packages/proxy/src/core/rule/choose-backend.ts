import { compileCondition, splitCondition } from "../condition/compile-condition.ts";
import { type Condition, PASS } from "../condition/condition.ts";
import type { RuleLine } from "../config/proxy-model.ts";
import { compileLogFormat, PLAIN_TEXT } from "../log/log-format.ts";
import { AT_REQUEST, AT_REQUEST_CONTENT, type CompileContext } from "../sample/compile-context.ts";
import { latin1 } from "../sample/sample.ts";
import { NONE, type Transaction } from "../transaction.ts";
import { placed } from "./compile-rules.ts";
import { writeToBytes } from "./template-room.ts";

/** Gives the number of a proxy or server that the first line with a true condition names, or NONE. */
export type Chooser = (transaction: Transaction) => number;

/**
 * Compiles `use_backend` lines. A name may be a log-format string; one that then names no backend lets the next
 * line decide, as in HAProxy. HAProxy configuration manual §4.2, use_backend.
 *
 * @param backends Numbers of all backends by name.
 */
export function compileUseBackend(
  lines: readonly RuleLine[],
  backends: ReadonlyMap<string, number>,
  section: CompileContext,
): Chooser | undefined {
  const at = section.proxy?.mode === "http" ? AT_REQUEST : AT_REQUEST_CONTENT;
  return compileChoices(lines, backends, placed(section, at, "use_backend"), "backend");
}

/**
 * Compiles `use-server` lines; `servers` are the section's by name. A server that does not fit (it is down) lets
 * the next line decide. HAProxy configuration manual §4.2, use-server.
 */
export function compileUseServer(
  lines: readonly RuleLine[],
  servers: ReadonlyMap<string, number>,
  section: CompileContext,
  fits: (transaction: Transaction, server: number) => boolean,
): Chooser | undefined {
  const at = section.proxy?.mode === "http" ? AT_REQUEST : AT_REQUEST_CONTENT;
  return compileChoices(lines, servers, placed(section, at, "use-server"), "server", fits);
}

interface Choice {
  readonly condition: Condition;
  readonly target: Chooser;
}

function compileChoices(
  lines: readonly RuleLine[],
  names: ReadonlyMap<string, number>,
  context: CompileContext,
  what: "backend" | "server",
  fits: (transaction: Transaction, target: number) => boolean = () => true,
): Chooser | undefined {
  const choices: Choice[] = [];
  for (const line of lines) {
    const { before, condition } = splitCondition(line.words);
    const [name, extra] = before;
    if (name === undefined || extra !== undefined) {
      context.diagnostics.error(
        "config/rule",
        extra?.at ?? line.at,
        `'${context.place}' takes one ${what} and a condition`,
      );
      continue;
    }
    const compiled = compileCondition(condition, context);
    const template = compileLogFormat(name, context, PLAIN_TEXT);
    if (compiled === undefined || template === undefined) continue;
    if (template.constant === undefined) {
      const target: Chooser = (transaction) => {
        const bytes = writeToBytes(template, transaction, context.world);
        return names.get(latin1(bytes, 0, bytes.length)) ?? NONE;
      };
      choices.push({ condition: compiled, target });
      continue;
    }
    const fixed = names.get(latin1(template.constant, 0, template.constant.length));
    if (fixed === undefined) {
      context.diagnostics.error("config/rule", name.at, `unable to find ${what} '${name.text}'`);
      continue;
    }
    choices.push({ condition: compiled, target: () => fixed });
  }
  if (choices.length === 0) return undefined;
  return (transaction) => {
    for (let i = 0; i < choices.length; i++) {
      const { condition, target } = choices[i] as Choice;
      if (condition(transaction) !== PASS) continue;
      const chosen = target(transaction);
      if (chosen !== NONE && fits(transaction, chosen)) return chosen;
    }
    return NONE;
  };
}

/** Compiles lines that are conditions alone (`force-persist`, `ignore-persist`, `monitor fail`): true when one holds. */
export function compileAnyOf(
  lines: readonly RuleLine[],
  place: string,
  section: CompileContext,
): ((transaction: Transaction) => boolean) | undefined {
  const at = section.proxy?.mode === "http" ? AT_REQUEST : AT_REQUEST_CONTENT;
  const context = placed(section, at, place);
  const conditions: Condition[] = [];
  for (const { words } of lines) {
    const from = words.findIndex(({ text }) => text === "if" || text === "unless");
    const condition = compileCondition(from === -1 ? [] : words.slice(from), context);
    if (condition !== undefined) conditions.push(condition);
  }
  if (conditions.length === 0) return undefined;
  return (transaction) => conditions.some((condition) => condition(transaction) === PASS);
}
