import { patternFile } from "../../condition/pattern-file.ts";
import type { Token } from "../../config/token.ts";
import { compileLogFormat, PLAIN_TEXT } from "../../log/log-format.ts";
import type { PatternList } from "../../map/pattern-store.ts";
import type { CompileContext } from "../../sample/compile-context.ts";
import { latin1 } from "../../sample/sample.ts";
import { misused } from "../arguments.ts";
import { type Action, type ActionKeyword, type ActionRuleset, CONTINUE } from "../rule.ts";
import { writeToBytes } from "../template-room.ts";

const HTTP: readonly ActionRuleset[] = ["http-request", "http-response", "http-after-response"];

/** Actions that change pattern lists and maps of this thread; the runtime API shows the change. */
export const PATTERN_ACTIONS: readonly ActionKeyword[] = [
  update(
    "add-acl",
    "add-acl(<file>) <key fmt>",
    false,
    "Adds the key, unless it is there.",
    (list, key) => {
      if (list.withKey(key).length === 0) list.add(key, undefined);
    },
  ),
  update("del-acl", "del-acl(<file>) <key fmt>", false, "Removes the key.", (list, key) => {
    list.delete(key);
  }),
  update(
    "set-map",
    "set-map(<file>) <key fmt> <value fmt>",
    true,
    "Gives the key that value, adding it when it is new.",
    (list, key, value) => {
      if (!list.set(key, value).ok) list.add(key, value);
    },
  ),
  update("del-map", "del-map(<file>) <key fmt>", true, "Removes the key.", (list, key) => {
    list.delete(key);
  }),
];

function update(
  name: string,
  syntax: string,
  isMap: boolean,
  doc: string,
  change: (list: PatternList, key: string, value: string) => void,
): ActionKeyword {
  const keyword: ActionKeyword = {
    name,
    rulesets: HTTP,
    syntax,
    doc,
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    parenthesis: true,
    compile: ([file, key, value, extra], context, head) => {
      const takesValue = name === "set-map";
      if (
        file === undefined ||
        key === undefined ||
        extra !== undefined ||
        (value !== undefined) !== takesValue
      ) {
        return misused(keyword, context, head);
      }
      return compileUpdate(file, key, value, isMap, change, context);
    },
  };
  return keyword;
}

function compileUpdate(
  file: Token,
  key: Token,
  value: Token | undefined,
  isMap: boolean,
  change: (list: PatternList, key: string, value: string) => void,
  context: CompileContext,
): Action | undefined {
  const list = patternFile(file, isMap, context);
  const keyTemplate = compileLogFormat(key, context, PLAIN_TEXT);
  const valueTemplate =
    value === undefined ? undefined : compileLogFormat(value, context, PLAIN_TEXT);
  if (list === undefined || keyTemplate === undefined) return undefined;
  if (value !== undefined && valueTemplate === undefined) return undefined;
  const { world } = context;
  return (transaction) => {
    const keyText = textOf(writeToBytes(keyTemplate, transaction, world));
    const valueText =
      valueTemplate === undefined ? "" : textOf(writeToBytes(valueTemplate, transaction, world));
    change(list, keyText, valueText);
    return CONTINUE;
  };
}

function textOf(bytes: Uint8Array): string {
  return latin1(bytes, 0, bytes.length);
}
