import type { ActionKeyword } from "../rule.ts";
import { addHeader, delHeader, replaceHeader, replaceValue, setHeader } from "./headers.ts";
import { PATTERN_ACTIONS } from "./patterns.ts";
import { LINE_ACTIONS } from "./request-line.ts";
import { capture, SETTING_ACTIONS } from "./settings.ts";
import { TRACKING_ACTIONS } from "./tracking.ts";
import { setVar, setVarFormat, unsetVar } from "./variables.ts";
import { VERDICT_ACTIONS } from "./verdicts.ts";

/** Every action, as the manual lists them. */
export const ACTION_LIST: readonly ActionKeyword[] = [
  ...VERDICT_ACTIONS,
  setHeader,
  addHeader,
  delHeader,
  replaceHeader,
  replaceValue,
  ...LINE_ACTIONS,
  setVar,
  setVarFormat,
  unsetVar,
  ...SETTING_ACTIONS,
  ...TRACKING_ACTIONS,
  ...PATTERN_ACTIONS,
  capture,
];

export const ACTIONS: ReadonlyMap<string, ActionKeyword> = new Map(
  ACTION_LIST.map((keyword) => [keyword.name, keyword]),
);
