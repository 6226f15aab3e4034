import { compileRegex, type Regex } from "../condition/regex.ts";
import type { CheckMethod } from "../config/proxy-model.ts";
import type {
  CheckPlan,
  CheckScope,
  CheckStep,
  ConnectStep,
  CustomVerdict,
  ExpectStep,
  Match,
} from "./check-plan.ts";
import type { CheckStatus } from "./check-status.ts";

/** Checks that speak a protocol by themselves: `option smtpchk` and its relatives. HAProxy configuration manual §4.2. */
export function protocolPlan({ kind, args }: CheckMethod): CheckPlan | undefined {
  switch (kind) {
    case "smtpchk":
      return plan(smtp(args), { status: "L7OK", info: "" });
    case "mysql-check":
      return plan(mysql(args), { status: "L7OK", info: "" });
    case "pgsql-check":
      return plan(pgsql(args[1] ?? ""), { status: "L7OK", info: "PostgreSQL server is ok" });
    case "redis-check":
      return plan(redis(), { status: "L7OK", info: "Redis server is ok" });
    case "ldap-check":
      return plan(ldap(), { status: "L7OK", info: "" });
    case "ssl-hello-chk":
      return plan(sslHello(), { status: "L6OK", info: "" });
    default:
      return undefined;
  }
}

/** A connection as the server's line has it, that no step of the configuration asks for. */
export const IMPLICIT_CONNECT: ConnectStep = {
  type: "connect",
  number: 0,
  comment: undefined,
  port: undefined,
  address: undefined,
  sendProxy: false,
  viaSocks4: false,
  ssl: false,
  sni: undefined,
  alpn: undefined,
  byServer: true,
};

function plan(steps: readonly CheckStep[], passed: CheckPlan["passed"]): CheckPlan {
  const all = [IMPLICIT_CONNECT, ...steps];
  return {
    steps: all.map((step, i) => ({ ...step, number: i + 1 })),
    namesSteps: false,
    passed,
    disableOn404: false,
    http: false,
  };
}

const send = (text: string): CheckStep => ({ type: "send", number: 0, comment: undefined, text });

interface ExpectOptions {
  readonly minReceive?: number;
  readonly inverse?: boolean;
  readonly ok?: CheckStatus;
  readonly error?: CheckStatus;
  readonly timeout?: CheckStatus;
  readonly onSuccess?: (answer: string) => string;
  readonly onError?: (answer: string) => string;
  readonly code?: (answer: string) => number;
}

function expect(match: Match, options: ExpectOptions = {}): ExpectStep {
  const text = (read: ((answer: string) => string) | undefined) =>
    read === undefined ? undefined : ({ answer }: CheckScope) => read(answer);
  const { code } = options;
  return {
    type: "expect",
    number: 0,
    comment: undefined,
    match,
    inverse: options.inverse ?? false,
    minReceive: options.minReceive ?? -1,
    okStatus: options.ok,
    errorStatus: options.error,
    timeoutStatus: options.timeout,
    onSuccess: text(options.onSuccess),
    onError: text(options.onError),
    statusCode: code === undefined ? undefined : ({ answer }) => code(answer),
  };
}

/** Of patterns in this file: they are known to be right. */
function regex(source: string): Match {
  const compiled: Regex | string = compileRegex(source, false);
  if (typeof compiled === "string") throw new Error(compiled);
  return { type: "regex", regex: compiled };
}

function firstLine(answer: string): string {
  return answer.replace(/[\r\n].*$/s, "");
}

/** Bytes of a number, least significant first. */
function little(value: number, size: number): string {
  let bytes = "";
  for (let i = 0; i < size; i++) bytes += String.fromCharCode((value >>> (8 * i)) & 255);
  return bytes;
}

function bigEndian(value: number, size: number): string {
  return [...little(value, size)].reverse().join("");
}

function bytesOfHex(text: string): string {
  return (text.match(/../g) ?? [])
    .map((pair) => String.fromCharCode(Number.parseInt(pair, 16)))
    .join("");
}

/** RFC 5321 §4.2: a reply is a code and a text. Greeting, hello, goodbye. */
function smtp(args: readonly string[]): CheckStep[] {
  const [hello = "HELO", domain = ""] = args;
  const command =
    /^(HELO|EHLO)$/i.test(hello) && domain !== "" ? `${hello} ${domain}` : "HELO localhost";
  const reply: ExpectOptions = {
    minReceive: 4,
    error: "L7STS",
    onError: (answer) => firstLine(answer.slice(4).trimStart()),
    onSuccess: (answer) => firstLine(answer.slice(4).trimStart()),
    code: (answer) => Number.parseInt(answer.slice(0, 3), 10) || 0,
  };
  return [
    expect(regex("^[0-9]{3}[ \\r]"), { minReceive: 4, error: "L7RSP", onError: firstLine }),
    expect(regex("^2[0-9]{2}[ \\r]"), reply),
    send(`${command}\r\n`),
    expect(regex("^2[0-9]{2}[- \\r]"), reply),
    send("QUIT\r\n"),
    expect(regex("^2[0-9]{2}[- \\r]"), reply),
  ];
}

function redis(): CheckStep[] {
  return [
    send("*1\r\n$4\r\nPING\r\n"),
    expect(
      { type: "string", text: "+PONG\r\n", format: false },
      { error: "L7STS", onError: firstLine, onSuccess: () => "Redis server is ok" },
    ),
  ];
}

/**
 * A start-up message (protocol 3.0) with the user alone; any request for authentication shows that the server works.
 * PostgreSQL documentation, "Message Formats"
 */
function pgsql(user: string): CheckStep[] {
  const body = `${bigEndian(0x30000, 4)}user\0${user}\0\0`;
  return [
    send(bigEndian(body.length + 4, 4) + body),
    expect(regex("^E"), {
      inverse: true,
      minReceive: 5,
      error: "L7RSP",
      onError: (answer) => answer.slice(6),
    }),
    expect(regex("^R\\x00\\x00\\x00[\\x08-\\xff]\\x00\\x00\\x00"), {
      minReceive: 9,
      error: "L7STS",
      onSuccess: () => "PostgreSQL server is ok",
      onError: () => "PostgreSQL unknown error",
    }),
  ];
}

/** An anonymous bind, and the bind's answer. RFC 4511 §4.2 */
function ldap(): CheckStep[] {
  return [
    send(bytesOfHex("300c020101600702010304008000")),
    expect(
      { type: "regex", regex: bytesRegex("^0") },
      { minReceive: 14, error: "L7RSP", onError: () => "Not LDAPv3 protocol" },
    ),
    expect({ type: "custom", read: readBindResponse }),
  ];
}

function bytesRegex(source: string): Regex {
  const match = regex(source);
  if (match.type !== "regex") throw new Error("not a regex");
  return match.regex;
}

function readBindResponse(answer: string, isLast: boolean): CustomVerdict {
  const invalid: CustomVerdict = {
    type: "fail",
    result: { status: "L7RSP", code: 0, info: "Not LDAPv3 protocol" },
  };
  const message = readTlv(answer, 0);
  if (message === undefined || answer.length < message.end) {
    return isLast ? invalid : { type: "wait" };
  }
  const id = readTlv(answer, message.start);
  const response = id === undefined ? undefined : readTlv(answer, id.end);
  if (id?.tag !== 0x02 || response?.tag !== 0x61) return invalid;
  const code = readTlv(answer, response.start);
  if (code?.tag !== 0x0a || code.end - code.start !== 1) return invalid;
  const value = answer.charCodeAt(code.start);
  if (value === 0) return { type: "pass", result: { status: "L7OK", code: 0, info: "" } };
  return {
    type: "fail",
    result: {
      status: "L7STS",
      code: value,
      info: "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9",
    },
  };
}

/** One element of BER: its tag, and where its value stands. ITU-T X.690 §8.1 */
function readTlv(
  text: string,
  at: number,
): { readonly tag: number; readonly start: number; readonly end: number } | undefined {
  if (at + 2 > text.length) return undefined;
  const first = text.charCodeAt(at + 1);
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const size = first & 0x7f;
    if (size === 0 || size > 4 || start + size > text.length) return undefined;
    length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + text.charCodeAt(start++);
  }
  return { tag: text.charCodeAt(at), start, end: start + length };
}

/** The server's greeting alone, or a login whose password is empty. MySQL internals manual, "Connection Phase" */
function mysql(args: readonly string[]): CheckStep[] {
  const [word, user = "", version = "post-41"] = args;
  if (word !== "user") return [expect({ type: "custom", read: readGreeting(true) })];
  return [
    expect({ type: "custom", read: readGreeting(false) }),
    send(version === "pre-41" ? oldLogin(user) : newLogin(user)),
    expect({ type: "custom", read: readLoginAnswer }),
  ];
}

/** COM_QUIT, so that the server does not count a broken connection against our address. */
const MYSQL_QUIT = "\x01\0\0\0\x01";

function newLogin(user: string): string {
  const flags = 0x8200; // protocol 4.1, secure connection
  const body = `${little(flags, 4)}${little(0x01008000, 4)}\x21${"\0".repeat(23)}${user}\0\0`;
  return `${little(body.length, 3)}\x01${body}${MYSQL_QUIT}`;
}

function oldLogin(user: string): string {
  const body = `\0\x80\0\0\x01${user}\0\0`;
  return `${little(body.length, 3)}\x01${body}${MYSQL_QUIT}`;
}

/** The length of the packet that begins there, with its header; undefined while it is not whole. */
function mysqlPacket(answer: string): number | undefined {
  if (answer.length < 5) return undefined;
  const length =
    answer.charCodeAt(0) + answer.charCodeAt(1) * 256 + answer.charCodeAt(2) * 65_536 + 4;
  return answer.length >= length ? length : undefined;
}

function mysqlError(answer: string, end: number): CustomVerdict {
  const code = answer.charCodeAt(5) + answer.charCodeAt(6) * 256;
  const info = answer.slice(7, end).replace(/\0.*$/s, "");
  return { type: "fail", result: { status: "L7STS", code: Number.isNaN(code) ? 0 : code, info } };
}

function readGreeting(isAll: boolean): (answer: string, isLast: boolean) => CustomVerdict {
  return (answer, isLast) => {
    const end = mysqlPacket(answer);
    if (end === undefined) return isLast ? MYSQL_BROKEN : { type: "wait" };
    if (answer.charCodeAt(4) === 0xff) return mysqlError(answer, end);
    if (answer.charCodeAt(3) !== 0) return MYSQL_BROKEN;
    const version = answer.slice(5, end).replace(/\0.*$/s, "");
    return {
      type: "pass",
      result: isAll ? { status: "L7OK", code: 0, info: version } : undefined,
    };
  };
}

const MYSQL_BROKEN: CustomVerdict = {
  type: "fail",
  result: { status: "L7RSP", code: 0, info: "" },
};

function readLoginAnswer(answer: string, isLast: boolean): CustomVerdict {
  const end = mysqlPacket(answer);
  if (end === undefined) return isLast ? MYSQL_BROKEN : { type: "wait" };
  if (answer.charCodeAt(4) === 0xff) return mysqlError(answer, end);
  return { type: "pass", result: { status: "L7OK", code: 0, info: "" } };
}

/**
 * A ClientHello by hand, for servers whose certificates we do not care about: an answer of type handshake or alert
 * shows TLS. Differs from HAProxy, which offers SSLv3: TLS 1.2 is offered, since servers of today refuse the other.
 */
function sslHello(): CheckStep[] {
  const ciphers = [0xc02f, 0xc030, 0xc02b, 0xc02c, 0x009c, 0x009d, 0x002f, 0x0035, 0x000a];
  const suites = ciphers.map((cipher) => bigEndian(cipher, 2)).join("");
  const groups = "\x00\x0a\x00\x06\x00\x04\x00\x17\x00\x18"; // secp256r1, secp384r1
  const signatures = "\x00\x0d\x00\x0a\x00\x08\x04\x01\x04\x03\x05\x01\x02\x01";
  const extensions = groups + signatures;
  const random = "LBPROXY TLS HEALTH CHECK HELLO..";
  const hello = `\x03\x03${random}\0${bigEndian(suites.length, 2)}${suites}\x01\0${bigEndian(extensions.length, 2)}${extensions}`;
  const handshake = `\x01${bigEndian(hello.length, 3)}${hello}`;
  return [
    send(`\x16\x03\x01${bigEndian(handshake.length, 2)}${handshake}`),
    expect(regex("^[\\x15\\x16]"), {
      minReceive: 5,
      ok: "L6OK",
      error: "L6RSP",
      timeout: "L6TOUT",
      onError: () => "",
    }),
  ];
}
