import type { Token } from "../../config/token.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument } from "../fetch-keyword.ts";
import { badVariable } from "../fetches/internal.ts";
import type { Variable } from "../variable.ts";

/** A whole number. Reports and gives undefined when it is none. */
export function integerArgument(
  argument: Argument | undefined,
  context: CompileContext,
  token: Token,
): number | undefined {
  if (/^[-+]?\d+$/.test(argument?.text ?? "")) return Number(argument?.text);
  return refuse(context, token, `'${argument?.text ?? ""}' is not an integer`);
}

export function variableArgument(
  argument: Argument | undefined,
  context: CompileContext,
  token: Token,
): Variable | undefined {
  const name = argument?.text ?? "";
  return context.world.variables.variable(name) ?? badVariable(context, token, name);
}
