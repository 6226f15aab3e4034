import type { Token } from "../../config/token.ts";
import type { Transaction } from "../../transaction.ts";
import { castChecked, writeText } from "../cast.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Convert, ConverterKeyword } from "../fetch-keyword.ts";
import {
  ANY,
  BIN,
  createSample,
  encodeBytes,
  encodeText,
  latin1,
  type Sample,
  SINT,
  STR,
  setBool,
  setBytes,
  setInt,
  setWide,
} from "../sample.ts";
import { decodeUtf8, encodeUtf8 } from "../utf8.ts";
import { loadValue } from "../variable.ts";
import { decodeBase64 } from "./base64.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";

/** JSON and JSON Web Tokens. */
export const JSON_CONVERTERS: readonly ConverterKeyword[] = [
  {
    name: "json",
    syntax: "json([<input-code>])",
    doc: "The text as the inside of a JSON string. <input-code> says how it is encoded: ascii (default), utf8, utf8s, utf8p, utf8ps.",
    source: SOURCE,
    input: STR,
    output: STR,
    arity: [0, 1],
    compile: ([code], context, token) => {
      const coding = code?.text ?? "ascii";
      if (!/^(?:ascii|utf8|utf8s|utf8p|utf8ps)$/.test(coding))
        return refuse(
          context,
          token,
          `unknown input code '${coding}'`,
          "write ascii, utf8, utf8s, utf8p or utf8ps",
        );
      return (sample, transaction) => {
        const text = jsonEscape(sample.bytes.subarray(sample.start, sample.end), coding);
        return text !== undefined && writeText(sample, text, transaction);
      };
    },
  },
  {
    name: "json_query",
    syntax: "json_query(<json_path>[,<output_type>])",
    doc: "The value at a path such as $.store.book[0].title; 'int' as second argument for integers. No sample when there is none.",
    source: SOURCE,
    input: STR,
    output: ANY,
    arity: [1, 2],
    compile: ([path, type], context, token) => {
      const query = queryOf(path, type, context, token);
      if (query === undefined) return undefined;
      return (sample, transaction) =>
        query(decodeUtf8(sample.bytes.slice(sample.start, sample.end)), sample, transaction);
    },
  },
  tokenQuery("jwt_header_query", "Header", 0),
  tokenQuery("jwt_payload_query", "Payload", 1),
  {
    name: "jwt_verify",
    syntax: "jwt_verify(<alg>,<key>)",
    doc: "Checks a token's signature: 1 good, 0 bad, -1 unknown algorithm, -2 unmanaged algorithm, -3 invalid token, -5 unknown key. <key> is a secret for HS…, else the file of a public key; both may be variables.",
    source: SOURCE,
    input: BIN,
    output: SINT,
    arity: [2, 2],
    compile: (args, context, token) => verification(args, context, token),
  },
];

function jsonEscape(bytes: Uint8Array, coding: string): string | undefined {
  let characters: number[];
  if (coding === "ascii") characters = [...bytes];
  else {
    const read = utf8Codes(bytes, coding.includes("p"), coding.endsWith("s"));
    if (read === undefined) return undefined;
    characters = read;
  }
  let text = "";
  for (const code of characters) {
    if (code === 0x22 || code === 0x5c || code === 0x2f) text += `\\${String.fromCharCode(code)}`;
    else if (ESCAPES[code] !== undefined) text += ESCAPES[code];
    else if (code < 0x20 || code > 0x7e)
      text += `\\u${(code & 0xffff).toString(16).padStart(4, "0")}`;
    else text += String.fromCharCode(code);
  }
  return text;
}

const ESCAPES: Readonly<Record<number, string>> = {
  8: "\\b",
  12: "\\f",
  10: "\\n",
  13: "\\r",
  9: "\\t",
};

/** Code points; a broken sequence ends it (undefined), is dropped (`permissive`) or, with both, stays as bytes. */
function utf8Codes(bytes: Uint8Array, permissive: boolean, strict: boolean): number[] | undefined {
  const codes: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] as number;
    const size = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 0;
    let code = size <= 1 ? byte : byte & (0xff >> (size + 1));
    let valid = size > 0 && at + size <= bytes.length;
    for (let i = 1; valid && i < size; i++) {
      const next = bytes[at + i] as number;
      valid = (next & 0xc0) === 0x80;
      code = (code << 6) | (next & 0x3f);
    }
    if (!valid) {
      if (!permissive) return undefined;
      if (!strict) codes.push(byte);
      at++;
      continue;
    }
    codes.push(code);
    at += size;
  }
  return codes;
}

type JsonQuery = (text: string, sample: Sample, transaction: Transaction) => boolean;

function queryOf(
  path: Argument | undefined,
  type: Argument | undefined,
  context: CompileContext,
  token: Token,
): JsonQuery | undefined {
  if (type !== undefined && type.text !== "int")
    return refuse(context, token, `the output type may be 'int' only, not '${type.text}'`);
  const steps = parsePath(path?.text ?? "");
  if (steps === undefined)
    return refuse(
      context,
      token,
      `'${path?.text}' is not a JSON path`,
      "write a path such as $.a.b[0]",
    );
  return (text, sample, transaction) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // What a client sent is no JSON: there is no sample.
      return false;
    }
    for (const step of steps) {
      if (typeof value !== "object" || value === null) return false;
      if (
        typeof step === "number"
          ? !Array.isArray(value)
          : Array.isArray(value) || !Object.hasOwn(value, step)
      )
        return false;
      value = Reflect.get(value, step);
    }
    return give(value, type !== undefined, sample, transaction);
  };
}

function give(
  value: unknown,
  asInteger: boolean,
  sample: Sample,
  transaction: Transaction,
): boolean {
  switch (typeof value) {
    case "string":
      if (!asInteger) return setBytes(sample, STR, encodeUtf8(value));
      setBytes(sample, STR, encodeUtf8(value));
      return castChecked(sample, SINT, transaction);
    case "boolean":
      return setBool(sample, value);
    case "number":
      if (!Number.isFinite(value)) return false;
      if (asInteger) {
        return Number.isSafeInteger(Math.trunc(value))
          ? setInt(sample, Math.trunc(value))
          : setWide(sample, BigInt(Math.trunc(value)));
      }
      return writeText(sample, sixDigits(value), transaction);
    case "object":
      // Arrays are texts, as in the newest HAProxy; objects are no values.
      return Array.isArray(value) && setBytes(sample, STR, encodeUtf8(JSON.stringify(value)));
    default:
      return false;
  }
}

/** A number as printf's %g writes it. */
function sixDigits(value: number): string {
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(6)))));
  if (exponent >= -4 && exponent < 6) return String(Number(value.toPrecision(6)));
  const [digits = "", power = "0"] = value.toExponential(5).split("e");
  const sign = power.startsWith("-") ? "-" : "+";
  return `${Number(digits)}e${sign}${power.replace(/^[+-]/, "").padStart(2, "0")}`;
}

/** Names and indexes of `$.a['b'][0]`. */
function parsePath(path: string): (string | number)[] | undefined {
  if (!path.startsWith("$")) return undefined;
  const steps: (string | number)[] = [];
  let rest = path.slice(1);
  while (rest !== "") {
    const match = /^(?:\.([^.[\]]+)|\[(\d+)\]|\[['"]([^'"]*)['"]\])/.exec(rest);
    if (match === null) return undefined;
    steps.push(match[2] !== undefined ? Number(match[2]) : (match[1] ?? match[3] ?? ""));
    rest = rest.slice(match[0].length);
  }
  return steps;
}

function tokenQuery(name: string, what: string, part: 0 | 1): ConverterKeyword {
  return {
    name,
    syntax: `${name}([<json_path>],[<output_type>])`,
    doc: `${what} of a JSON Web Token, or the value at a path in it.`,
    source: SOURCE,
    input: BIN,
    output: ANY,
    arity: [0, 2],
    compile: ([path, type], context, token) => {
      const query = path === undefined ? undefined : queryOf(path, type, context, token);
      if (path !== undefined && query === undefined) return undefined;
      return (sample, transaction) => {
        const parts = latin1(sample.bytes, sample.start, sample.end).split(".");
        const coded = parts[part];
        if (parts.length < 2 || coded === undefined) return false;
        const bytes = decodeBase64(encodeBytes(coded), 0, coded.length, true);
        if (bytes === undefined) return false;
        return query === undefined
          ? setBytes(sample, STR, bytes)
          : query(decodeUtf8(bytes), sample, transaction);
      };
    },
  };
}

const GOOD = 1;
const BAD = 0;
const UNKNOWN_ALGORITHM = -1;
const UNMANAGED_ALGORITHM = -2;
const INVALID_TOKEN = -3;
const UNKNOWN_KEY = -5;

function verification(
  [algorithm, key]: readonly Argument[],
  context: CompileContext,
  token: Token,
): Convert | undefined {
  const { world } = context;
  const algorithmText = textArgument(algorithm?.text ?? "", context);
  const keyVariable = world.variables.variable(key?.text ?? "");
  const isFixed = world.variables.variable(algorithm?.text ?? "") === undefined;
  if (isFixed && !/^(?:HS|RS|ES|PS)(?:256|384|512)$/.test(algorithm?.text ?? "")) {
    return refuse(
      context,
      token,
      `unknown JWT algorithm '${algorithm?.text}'`,
      "write HS256, RS256, ES256, PS256 or their 384 and 512 kin",
    );
  }
  // Public keys are files, read at load; secrets are texts.
  const isSecret = isFixed && (algorithm?.text ?? "").startsWith("HS");
  let fixedKey = keyVariable === undefined ? encodeText(key?.text ?? "") : undefined;
  if (fixedKey !== undefined && isFixed && !isSecret) {
    fixedKey = world.ports.readFile(
      context.proxy?.files.resolve(key?.text ?? "") ?? key?.text ?? "",
    );
    if (fixedKey === undefined)
      return refuse(context, token, `cannot read the key file '${key?.text}'`);
  }
  return (sample, transaction) => {
    const name = algorithmText(transaction);
    const parts = latin1(sample.bytes, sample.start, sample.end).split(".");
    if (name === undefined || !/^(?:HS|RS|ES|PS)(?:256|384|512)$/.test(name)) {
      return setInt(
        sample,
        name === undefined || !/^(?:none|[A-Z]{2}\d+)$/.test(name)
          ? UNKNOWN_ALGORITHM
          : UNMANAGED_ALGORITHM,
      );
    }
    const [header, payload, signatureText] = parts;
    if (
      parts.length !== 3 ||
      header === undefined ||
      payload === undefined ||
      signatureText === undefined
    )
      return setInt(sample, INVALID_TOKEN);
    const signature = decodeBase64(encodeBytes(signatureText), 0, signatureText.length, true);
    if (signature === undefined) return setInt(sample, INVALID_TOKEN);
    let secret = fixedKey;
    if (keyVariable !== undefined) {
      const value = world.variables.get(keyVariable, transaction);
      secret = value !== undefined && "bytes" in value ? value.bytes : undefined;
    }
    if (secret === undefined) return setInt(sample, UNKNOWN_KEY);
    const data = encodeBytes(`${header}.${payload}`);
    if (!name.startsWith("HS"))
      return setInt(sample, world.ports.digests.verify(name, secret, data, signature) ? GOOD : BAD);
    const expected = world.ports.digests.hmac(`sha${name.slice(2)}`, secret, data);
    return setInt(sample, expected !== undefined && sameBytes(expected, signature) ? GOOD : BAD);
  };
}

/** Takes as long whatever differs. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] ?? 0);
  return difference === 0;
}

function textArgument(
  text: string,
  { world }: CompileContext,
): (transaction: Transaction) => string | undefined {
  const variable = world.variables.variable(text);
  if (variable === undefined) return () => text;
  const sample = createSample();
  return (transaction) => {
    const value = world.variables.get(variable, transaction);
    if (value === undefined || !loadValue(sample, value) || !castChecked(sample, STR, transaction))
      return undefined;
    return latin1(sample.bytes, sample.start, sample.end);
  };
}
