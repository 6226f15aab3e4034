import type { Token } from "../../config/token.ts";
import type { Transaction } from "../../transaction.ts";
import { castChecked } from "../cast.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Convert, ConverterKeyword } from "../fetch-keyword.ts";
import {
  BIN,
  BOOL,
  createSample,
  encodeText,
  INT64_MAX,
  INT64_MIN,
  room,
  type Sample,
  SINT,
  STR,
  setBool,
  setBytes,
  setInt,
  setRange,
  setWide,
  wideValue,
} from "../sample.ts";
import { loadValue } from "../variable.ts";
import { variableArgument } from "./arguments.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";

/** Converters over integers: 64 bits, arithmetic saturates. */
export const NUMBER_CONVERTERS: readonly ConverterKeyword[] = [
  operator(
    "add",
    "Adds <value>.",
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  operator(
    "sub",
    "Subtracts <value>.",
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  operator(
    "mul",
    "Multiplies by <value>.",
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  operator("div", "Divides by <value>, towards zero; by 0 it gives 2^63-1.", undefined, (a, b) =>
    b === 0n ? INT64_MAX : a / b,
  ),
  operator("mod", "Remainder after dividing by <value>; by 0 it gives 0.", undefined, (a, b) =>
    b === 0n ? 0n : a % b,
  ),
  operator("and", "Bitwise AND with <value>.", undefined, (a, b) => a & b),
  operator("or", "Bitwise OR with <value>.", undefined, (a, b) => a | b),
  operator("xor", "Bitwise XOR with <value>.", undefined, (a, b) => a ^ b),
  unary("neg", "The number's opposite.", SINT, (sample) =>
    sample.wide === undefined
      ? setInt(sample, sample.int === 0 ? 0 : -sample.int)
      : setWide(sample, -wideValue(sample)),
  ),
  unary("cpl", "All bits flipped.", SINT, (sample) => setWide(sample, ~wideValue(sample))),
  unary("not", "True for 0.", BOOL, (sample) => setBool(sample, sample.int === 0)),
  unary("bool", "True for all but 0.", BOOL, (sample) => setBool(sample, sample.int !== 0)),
  unary("odd", "True for odd numbers.", BOOL, (sample) =>
    setBool(sample, (wideValue(sample) & 1n) === 1n),
  ),
  unary("even", "True for even numbers.", BOOL, (sample) =>
    setBool(sample, (wideValue(sample) & 1n) === 0n),
  ),
  {
    name: "htonl",
    syntax: "htonl",
    doc: "The number modulo 2^32 as 4 bytes, network order.",
    source: SOURCE,
    input: SINT,
    output: BIN,
    compile: () => (sample, transaction) => {
      const at = room(transaction.scratch, 4);
      if (at < 0) return false;
      const value = Number(BigInt.asUintN(32, wideValue(sample)));
      const { bytes } = transaction;
      for (let i = 0; i < 4; i++) bytes[at + i] = (value >>> (24 - 8 * i)) & 0xff;
      return setRange(sample, BIN, bytes, at, at + 4);
    },
  },
  {
    name: "iif",
    syntax: "iif(<true>,<false>)",
    doc: "The first text for a true input, the second for a false one.",
    source: SOURCE,
    input: BOOL,
    output: STR,
    arity: [2, 2],
    compile: ([yes, no]) => {
      const [whenTrue, whenFalse] = [encodeText(yes?.text ?? ""), encodeText(no?.text ?? "")];
      return (sample) => setBytes(sample, STR, sample.int !== 0 ? whenTrue : whenFalse);
    },
  },
];

function unary(
  name: string,
  doc: string,
  output: typeof SINT | typeof BOOL,
  convert: Convert,
): ConverterKeyword {
  return { name, syntax: name, doc, source: SOURCE, input: SINT, output, compile: () => convert };
}

/** @param quick The same over numbers, where the result is exact as long as it is a safe integer. */
function operator(
  name: string,
  doc: string,
  quick: ((a: number, b: number) => number) | undefined,
  exact: (a: bigint, b: bigint) => bigint,
): ConverterKeyword {
  return {
    name,
    syntax: `${name}(<value>)`,
    doc: `${doc} <value> is a number or a variable.`,
    source: SOURCE,
    input: SINT,
    output: SINT,
    arity: [1, 1],
    compile: ([argument], context, token) => {
      const operand = operandOf(argument, context, token);
      if (operand === undefined) return undefined;
      return (sample, transaction) => {
        const value = operand(transaction);
        if (value === undefined) return false;
        if (quick !== undefined && sample.wide === undefined && typeof value === "number") {
          const result = quick(sample.int, value);
          if (Number.isSafeInteger(result)) return setInt(sample, result === 0 ? 0 : result);
        }
        return setWide(sample, exact(wideValue(sample), BigInt(value)));
      };
    },
  };
}

type Operand = (transaction: Transaction) => number | bigint | undefined;

function operandOf(
  argument: Argument | undefined,
  context: CompileContext,
  token: Token,
): Operand | undefined {
  const text = argument?.text ?? "";
  if (/^[-+]?\d+$/.test(text)) {
    const wide = BigInt(text);
    if (wide > INT64_MAX || wide < INT64_MIN)
      return refuse(context, token, `'${text}' does not fit into 64 bits`);
    const value = Number.isSafeInteger(Number(wide)) ? Number(wide) : wide;
    return () => value;
  }
  const variable = variableArgument(argument, context, token);
  if (variable === undefined) return undefined;
  const { variables } = context.world;
  const own: Sample = createSample();
  return (transaction) => {
    const value = variables.get(variable, transaction);
    if (value === undefined || !loadValue(own, value) || !castChecked(own, SINT, transaction))
      return undefined;
    return own.wide ?? own.int;
  };
}
