import { compileRegex } from "../condition/regex.ts";
import type { ProxyDraft } from "./draft.ts";
import type { Line } from "./line.ts";
import { keyword, nameOf, type ProxyKeyword } from "./proxy-keyword.ts";
import { parseWhole } from "./values.ts";

const backend = { side: "backend" } as const;

/** How servers are checked, beyond `option`. HAProxy configuration manual §4.2. */
export const checkKeywords: readonly ProxyKeyword[] = [
  keyword(
    "http-check",
    "http-check { connect | send | expect | disable-on-404 | send-state | comment | set-var(<v>) | unset-var(<v>) } …",
    { doc: "Steps of an HTTP check.", readAnyway: true, ...backend },
    (line, proxy) => {
      const wrong = wrongHttpCheck(line);
      if (wrong !== undefined) line.alert(wrong);
      else proxy.httpCheck.push({ at: line.at, words: line.from(1) });
      proxy.checkRulesAt.set("http-check", line.at);
    },
  ),
  keyword(
    "tcp-check",
    "tcp-check { connect | send | send-binary | send-lf | send-binary-lf | expect | comment | set-var(<v>) | unset-var(<v>) } …",
    { doc: "Steps of a TCP check.", readAnyway: true, ...backend },
    (line, proxy) => {
      const wrong = wrongTcpCheck(line);
      if (wrong !== undefined) line.alert(wrong);
      else proxy.tcpCheck.push({ at: line.at, words: line.from(1) });
      proxy.checkRulesAt.set("tcp-check", line.at);
    },
  ),
  keyword(
    "external-check",
    "external-check { command <program> | path <path> }",
    { doc: "The program of external checks." },
    (line, proxy) => {
      const [what, value] = [line.text(1), line.text(2)];
      if (what !== "command" && what !== "path") {
        line.alert(`'external-check' only supports 'command' and 'path'. but got '${what}'.`);
      } else if (value === "") line.alert(`missing argument after '${what}'.`);
      else proxy.externalCheck = { ...proxy.externalCheck, [what]: value };
    },
  ),
];

const VARIABLE_WORD = /^(set-var|set-var-fmt|unset-var)(\(.*)?$/s;

function wrongHttpCheck(line: Line): string | undefined {
  const step = line.text(1);
  switch (step) {
    case "disable-on-404":
    case "send-state":
      return line.text(2) === ""
        ? undefined
        : `'http-check' cannot handle unexpected argument '${line.text(2)}'.`;
    case "comment":
      return line.text(2) === ""
        ? "'http-check comment' : expects a string as argument."
        : undefined;
    case "connect":
      return wrongConnect(line, "http-check");
    case "send":
      return wrongSend(line);
    case "expect":
      return wrongExpect(line, "http-check");
    default:
      return VARIABLE_WORD.test(step)
        ? undefined
        : `'http-check' only supports 'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '${step}'`;
  }
}

function wrongTcpCheck(line: Line): string | undefined {
  const step = line.text(1);
  switch (step) {
    case "comment":
      return line.text(2) === ""
        ? "'tcp-check comment' : expects a string as argument."
        : undefined;
    case "connect":
      return wrongConnect(line, "tcp-check");
    case "send":
    case "send-lf":
      return line.text(2) === ""
        ? `'tcp-check ${step}' : 'string' expects a ${step} as argument.`
        : wrongComment(line, 3);
    case "send-binary":
    case "send-binary-lf":
      if (line.text(2) === "")
        return `'tcp-check ${step}' : 'string' expects a ${step} as argument.`;
      if (step === "send-binary") {
        const bad = wrongHex(line.text(2));
        if (bad !== undefined)
          return `'tcp-check send-binary' : '${line.text(2)}' invalid binary string (${bad}).`;
      }
      return wrongComment(line, 3);
    case "expect":
      return wrongExpect(line, "tcp-check");
    default:
      return VARIABLE_WORD.test(step)
        ? undefined
        : `'tcp-check' only supports 'comment', 'connect', 'send', 'send-binary', 'expect', 'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got '${step}'`;
  }
}

function wrongComment(line: Line, from: number): string | undefined {
  const word = line.text(from);
  if (word === "") return undefined;
  if (word !== "comment")
    return `'tcp-check ${line.text(1)}' : expects 'comment', but got '${word}' as argument.`;
  return line.text(from + 1) === "" ? `'${word}' expects a string as argument.` : undefined;
}

function wrongHex(text: string): string | undefined {
  const bad = /[^0-9a-fA-F]/.exec(text);
  if (bad !== null) return `an hex digit is expected (found '${bad[0]}')`;
  return text.length % 2 === 0 ? undefined : "an even number of hex digit is expected";
}

const CONNECT_VALUES = ["port", "addr", "sni", "alpn", "proto", "comment"];
const CONNECT_FLAGS = ["send-proxy", "via-socks4", "ssl", "linger", "default"];

function wrongConnect(line: Line, keyword: string): string | undefined {
  for (let i = 2; line.text(i) !== ""; i++) {
    const word = line.text(i);
    if (CONNECT_FLAGS.includes(word)) continue;
    if (!CONNECT_VALUES.includes(word)) {
      return `'${keyword} connect' : expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', 'linger', 'default' but got '${word}' as argument..`;
    }
    const value = line.text(++i);
    if (value === "") return `'${keyword} connect' : '${word}' expects a value as argument.`;
    const port = parseWhole(value);
    if (word === "port" && port !== undefined && (port < 1 || port > 65_535)) {
      return `'${keyword} connect' : expects a valid TCP port (from range 1 to 65535), got ${value}.`;
    }
    if (word === "port" && port === undefined && !/^[a-z]+[a-z0-9_.-]*(\(|,|$)/.test(value)) {
      return `'${keyword} connect' : error detected while parsing port expression : unknown fetch method '${value}'.`;
    }
  }
  return undefined;
}

const SEND_VALUES = ["meth", "uri", "uri-lf", "ver", "body", "body-lf", "comment"];

function wrongSend(line: Line): string | undefined {
  for (let i = 2; line.text(i) !== ""; i++) {
    const word = line.text(i);
    if (word === "hdr") {
      if (line.text(i + 1) === "" || line.words[i + 2] === undefined) {
        return "'http-check send' : 'hdr' expects <name> and <value> as arguments..";
      }
      i += 2;
    } else if (SEND_VALUES.includes(word)) {
      if (line.text(++i) === "")
        return `'http-check send' : '${word}' expects a string as argument..`;
    } else {
      return `'http-check send' : expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got '${word}' as argument..`;
    }
  }
  return undefined;
}

const EXPECT_OPTIONS = [
  "min-recv",
  "comment",
  "ok-status",
  "error-status",
  "tout-status",
  "on-success",
  "on-error",
  "status-code",
];
const HTTP_PATTERNS = ["status", "rstatus", "hdr", "fhdr", "string", "rstring", "string-lf"];
const TCP_PATTERNS = ["string", "rstring", "string-lf", "binary", "rbinary", "binary-lf"];
const CHECK_STATUSES = [
  "L7OK",
  "L7OKC",
  "L6OK",
  "L4OK",
  "L7RSP",
  "L7STS",
  "L6RSP",
  "L4CON",
  "L7TOUT",
  "L6TOUT",
  "L4TOUT",
];

function wrongExpect(line: Line, keyword: "http-check" | "tcp-check"): string | undefined {
  const start = `'${keyword} expect' :`;
  const patterns = keyword === "http-check" ? HTTP_PATTERNS : TCP_PATTERNS;
  let found = false;
  for (let i = 2; line.text(i) !== ""; i++) {
    let word = line.text(i);
    if (word === "!") {
      word = line.text(++i);
      if (word === "") return `${start} '!' not supported alone.`;
    } else if (word.startsWith("!")) word = word.slice(1);
    if (EXPECT_OPTIONS.includes(word)) {
      const value = line.text(++i);
      if (value === "") return `${start} '${word}' expects a value as argument.`;
      if (word.endsWith("-status") && !CHECK_STATUSES.includes(value)) {
        return `${start} '${word}' only supports ${CHECK_STATUSES.map((name) => `'${name}'`).join(", ")} but got '${value}'.`;
      }
      continue;
    }
    if (!patterns.includes(word)) {
      return keyword === "http-check"
        ? `${start} 'only support min-recv, '[!]status', '[!]rstatus', '[!]string', '[!]rstring', '[!]string-lf', '[!]hdr', '[!]fhdr' or comment but got '${word}' as argument..`
        : `${start} 'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or comment but got '${word}' as argument..`;
    }
    if (found) return `${start} only on pattern expected.`;
    found = true;
    if (word === "hdr" || word === "fhdr") {
      const last = headerPattern(line, i + 1);
      if (typeof last === "string") return `${start} ${last}`;
      i = last;
      continue;
    }
    const pattern = line.text(++i);
    if (pattern === "") return `${start} '${word}' expects a <pattern> as argument.`;
    const wrong = wrongPattern(word, pattern);
    if (wrong !== undefined) return `${start} ${wrong}`;
  }
  return found ? undefined : `${start} expects at least a matching pattern as arguments.`;
}

function wrongPattern(kind: string, pattern: string): string | undefined {
  switch (kind) {
    case "status": {
      const bad = /[^0-9,-]/.exec(pattern);
      return bad === null
        ? undefined
        : `invalid character '${bad[0]}' in the list of status codes.`;
    }
    case "rstatus":
    case "rstring":
    case "rbinary":
      return wrongRegex(pattern);
    case "binary": {
      const bad = wrongHex(pattern);
      return bad === undefined ? undefined : `'${pattern}' invalid binary string (${bad}).`;
    }
    default:
      return undefined;
  }
}

function wrongRegex(pattern: string): string | undefined {
  const compiled = compileRegex(pattern, false);
  return typeof compiled === "string"
    ? `regex '${pattern}' is invalid (error=${compiled}).`
    : undefined;
}

/** `hdr name [-m <m>] <name> [value [-m <m>] <value>]`: the index of the last word, or what is wrong. */
function headerPattern(line: Line, from: number): number | string {
  let i = from;
  if (!/^name(-lf)?$/.test(line.text(i)))
    return "'hdr' expects at least a 'name' followed by a pattern as argument.";
  const readValue = (): string | undefined => {
    i++;
    if (line.text(i) === "-m") {
      if (!["str", "beg", "end", "sub", "reg"].includes(line.text(i + 1))) {
        return `'-m' only supports 'str', 'beg', 'sub' and 'end' (got '${line.text(i + 1)}').`;
      }
      i += 2;
    }
    return line.text(i) === "" ? "expects a value as argument." : undefined;
  };
  const wrong = readValue();
  if (wrong !== undefined) return wrong;
  if (line.text(i + 1) === "full") i++;
  if (/^value(-lf)?$/.test(line.text(i + 1))) {
    i++;
    const wrongValue = readValue();
    if (wrongValue !== undefined) return wrongValue;
    if (line.text(i + 1) === "full") i++;
  }
  return i;
}

export function warnUnusedCheckRules(proxy: ProxyDraft, warn: (message: string) => void): void {
  const { kind } = proxy.check;
  for (const keyword of ["http-check", "tcp-check"] as const) {
    const wanted = keyword === "http-check" ? "httpchk" : "tcp-check";
    if (proxy.checkRulesAt.has(keyword) && kind !== wanted) {
      warn(
        `${nameOf(proxy)} uses ${keyword} rules without 'option ${wanted}', so the rules are ignored.`,
      );
    }
  }
}
