import { formatAddress } from "@ha/base";
import type { Token } from "../config/token.ts";
import { castChecked } from "../sample/cast.ts";
import { AT_REQUEST, type CompileContext, refuse } from "../sample/compile-context.ts";
import { checkPlace, type Expression, parseExpression } from "../sample/expression.ts";
import { createSample, IPV4, IPV6, SINT, STR, sampleText } from "../sample/sample.ts";
import type { Endpoint, Transaction } from "../transaction.ts";
import type { FieldAdder } from "./added-fields.ts";
import { fieldName } from "./head.ts";

const FORWARDED = fieldName("forwarded");
const HOST = fieldName("host");

/** What a parameter is made of: the connection's own facts, or an expression. */
type Source = "default" | Expression | undefined;

interface ForwardedOption {
  proto: boolean;
  host: Source;
  by: Source;
  byPort: Source;
  for: Source;
  forPort: Source;
}

const SYNTAX =
  "option forwarded [proto] [host | host-expr <expr>] [by | by-expr <expr>] [by_port | by_port-expr <expr>] [for | for-expr <expr>] [for_port | for_port-expr <expr>]";

const PARAMETERS = {
  host: "host",
  by: "by",
  by_port: "byPort",
  for: "for",
  for_port: "forPort",
} as const;

/**
 * `option forwarded`: the header of RFC 7239, `proto=http;for=192.0.2.1`. Without words it is `proto for`. HAProxy
 * configuration manual (2.8 and later) §4.2, option forwarded. Reports what is wrong with the words.
 */
export function forwarded(
  words: readonly Token[],
  context: CompileContext,
): FieldAdder | undefined {
  const option = readOption(words, { ...context, at: AT_REQUEST, place: "option forwarded" });
  if (option === undefined) return undefined;
  return (transaction) => {
    const value = textOfOption(option, transaction);
    if (value === "") return true;
    const { scratch, request, bytes } = transaction;
    if (!scratch.reserve(value.length)) return false;
    const start = scratch.used;
    for (let i = 0; i < value.length; i++) bytes[start + i] = value.charCodeAt(i);
    scratch.used = start + value.length;
    return request.addField(FORWARDED, start, scratch.used);
  };
}

function readOption(words: readonly Token[], context: CompileContext): ForwardedOption | undefined {
  const none = words.length === 0;
  const option: ForwardedOption = {
    proto: none,
    host: undefined,
    by: undefined,
    byPort: undefined,
    for: none ? "default" : undefined,
    forPort: undefined,
  };
  for (let at = 0; at < words.length; ) {
    const word = words[at] as Token;
    const name = word.text.replace(/-expr$/, "");
    if (word.text === "proto") {
      option.proto = true;
      at++;
      continue;
    }
    if (!Object.hasOwn(PARAMETERS, name)) {
      return refuse(
        context,
        word,
        `unexpected '${word.text}' in 'option forwarded'`,
        `write: ${SYNTAX}`,
      );
    }
    const parameter = PARAMETERS[name as keyof typeof PARAMETERS];
    if (name === word.text) {
      option[parameter] = "default";
      at++;
      continue;
    }
    const parsed = parseExpression(words, at + 1, context);
    if (parsed === undefined || !checkPlace(parsed.expression, words[at + 1], context))
      return undefined;
    option[parameter] = parsed.expression;
    at = parsed.next;
  }
  for (const [port, node] of [
    ["byPort", "by"],
    ["forPort", "for"],
  ] as const) {
    if (option[port] !== undefined && option[node] === undefined) {
      return refuse(
        context,
        words[0],
        `'option forwarded' has a port for '${node}' and no '${node}'`,
        `write: ${SYNTAX}`,
      );
    }
  }
  return option;
}

/** In HAProxy's order: proto, host, by, for. */
function textOfOption(option: ForwardedOption, transaction: Transaction): string {
  const { session } = transaction;
  const parts: string[] = [];
  if (option.proto) parts.push(`proto=${session.tls === undefined ? "http" : "https"}`);
  const host = option.host === "default" ? hostOf(transaction) : textOf(option.host, transaction);
  if (host !== undefined)
    parts.push(
      `host="${host.replace(/[^ !#-[\]-~]/g, (c) => (c === '"' || c === "\\" ? `\\${c}` : ""))}"`,
    );
  const by = node(option.by, option.byPort, session.destination, transaction);
  if (by !== undefined) parts.push(`by=${by}`);
  const from = node(option.for, option.forPort, session.source, transaction);
  if (from !== undefined) parts.push(`for=${from}`);
  return parts.join(";");
}

/** A node of RFC 7239 §6: in quotes where it has a colon. What is no address is an obfuscated name. */
function node(
  source: Source,
  port: Source,
  endpoint: Endpoint,
  transaction: Transaction,
): string | undefined {
  if (source === undefined) return undefined;
  const name = source === "default" ? addressOf(endpoint) : nameOf(source, transaction);
  const number = port === undefined ? undefined : portOf(port, endpoint, transaction);
  if (number === undefined) return name.includes(":") ? `"${name}"` : name;
  return `"${name}:${number}"`;
}

function addressOf({ family, address }: Endpoint): string {
  if (family === 0) return "unknown";
  const text = formatAddress({ family, bytes: address.slice(0, family === 4 ? 4 : 16) });
  return family === 4 ? text : `[${text}]`;
}

const sample = createSample();

function nameOf(expression: Expression, transaction: Transaction): string {
  if (!expression.evaluate(transaction, sample)) return "unknown";
  if (sample.type === IPV4) return sampleText(sample);
  if (sample.type === IPV6) return `[${sampleText(sample)}]`;
  const text = sampleText(sample).replace(/[^A-Za-z0-9._-]/g, "");
  if (text === "" || text === "unknown") return "unknown";
  return text.startsWith("_") ? text : `_${text}`;
}

function portOf(
  source: Exclude<Source, undefined>,
  endpoint: Endpoint,
  transaction: Transaction,
): string | undefined {
  if (source === "default") return endpoint.family === 0 ? undefined : String(endpoint.port);
  if (!source.evaluate(transaction, sample)) return undefined;
  if (sample.type === SINT) {
    return sample.int >= 0 && sample.int <= 65_535 ? String(sample.int) : undefined;
  }
  const text = sampleText(sample).replace(/[^A-Za-z0-9._-]/g, "");
  if (text === "") return undefined;
  return /^\d{1,5}$/.test(text) || text.startsWith("_") ? text : `_${text}`;
}

function hostOf({ request, bytes }: Transaction): string | undefined {
  const field = request.find(HOST);
  if (field < 0) return undefined;
  let text = "";
  const end = request.head.valueEnd[field] as number;
  for (let at = request.head.valueStart[field] as number; at < end; at++) {
    text += String.fromCharCode(bytes[at] as number);
  }
  return text;
}

function textOf(source: Source, transaction: Transaction): string | undefined {
  if (source === undefined || source === "default") return undefined;
  return source.evaluate(transaction, sample) && castChecked(sample, STR, transaction)
    ? sampleText(sample)
    : undefined;
}
