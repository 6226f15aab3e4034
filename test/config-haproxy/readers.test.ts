import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { keywordTables } from "@ha/proxy/core";
import { loadText } from "./load-case.ts";

// Goal: no keyword is accepted and forgotten. Method: each keyword that its table says "works" is put into a small
// file; what changes in the model must be read by name somewhere outside the reader of files. Names that many things
// have prove little; a field that nobody reads is found.
const built = fileURLToPath(new URL("../../../packages/proxy/dist/", import.meta.url));

/** All that runs, without comments, tests and the reader of files. */
const program = sources(built)
  .map((file) => readFileSync(file, "utf8"))
  .join("\n")
  .replace(/\/\*[\s\S]*?\*\//g, "")
  .replace(/^\s*\/\/.*$/gm, "");

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory())
      return /(config|testing|bundle)$/.test(entry.name) ? [] : sources(path);
    return /\.js$/.test(entry.name) && !/\.(test|property)\.js$/.test(entry.name) ? [path] : [];
  });
}

/** How a keyword is written where its own syntax does not tell, by section. */
const EXAMPLES: Readonly<Record<string, string>> = {
  "global log": "log 127.0.0.1:514 local0",
  "global unix-bind": "unix-bind mode 600",
  "global h1-case-adjust": "h1-case-adjust x-foo X-Foo",
  "global h1-case-adjust-file": "h1-case-adjust-file /case.txt",
  "global set-var": "set-var proc.a str(x)",
  "global set-var-fmt": "set-var-fmt proc.a x",
  "global user": "user root",
  "global group": "group root",
  "global stats socket": "stats socket /run/x.sock",
  "global setenv": "setenv A b",
  "global presetenv": "presetenv A b",
  "global resetenv": "resetenv",
  "global unsetenv": "unsetenv HOME",
  "global default-path": "default-path config",
  "global strict-limits": "no strict-limits",
  "global tune.h2.max-frame-size": "tune.h2.max-frame-size 20000",
  "global spread-checks": "spread-checks 7",
  "global master-worker": "master-worker",
  "global external-check": "external-check",
  "global log-send-hostname": "log-send-hostname h",
  "global description": "description d",
  "global harden.reject-privileged-ports.tcp": "harden.reject-privileged-ports.tcp on",
  "proxy mode": "mode tcp",
  "proxy bind": "bind :8081",
  "proxy server": "server t 127.0.0.1:2",
  "proxy server-template": "server-template t 2 127.0.0.1:2",
  "proxy default-server": "default-server inter 9s\n server t 127.0.0.1:2",
  "proxy rate-limit": "rate-limit sessions 5",
  "proxy default_backend": "default_backend c",
  "proxy monitor-uri": "monitor-uri /alive",
  "proxy capture": "capture request header Host len 5",
  "proxy declare": "declare capture request len 5",
  "proxy stick-table": "stick-table type ip size 10",
  "proxy source": "source 127.0.0.1",
  "proxy balance": "balance roundrobin",
  "proxy hash-type": "hash-type consistent",
  "proxy hash-balance-factor": "hash-balance-factor 150",
  "proxy http-reuse": "http-reuse never",
  "proxy retry-on": "retry-on all-retryable-errors",
  "proxy cookie": "cookie c insert",
  "proxy persist": "persist rdp-cookie",
  "proxy http-send-name-header": "http-send-name-header x-server",
  "proxy load-server-state-from-file": "load-server-state-from-file global",
  "proxy server-state-file-name": "server-state-file-name f",
  "proxy acl": "acl a path /x",
  "proxy http-request": "http-request deny",
  "proxy http-response": "http-response deny",
  "proxy http-after-response": "http-after-response set-header a b",
  "proxy tcp-request": "tcp-request content accept",
  "proxy tcp-response": "tcp-response content accept",
  "proxy redirect": "redirect location /",
  "proxy use_backend": "use_backend c",
  "proxy use-server": "use-server s if TRUE",
  "proxy stick": "stick-table type ip size 10\n stick on src",
  "proxy force-persist": "force-persist if TRUE",
  "proxy ignore-persist": "ignore-persist if TRUE",
  "proxy monitor": "monitor fail if TRUE",
  "proxy log": "log 127.0.0.1:514 local0",
  "proxy log-format": "log-format %ci",
  "proxy log-format-sd": "log-format-sd %ci",
  "proxy error-log-format": "error-log-format %ci",
  "proxy unique-id-format": "unique-id-format %ci",
  "proxy errorfile": "errorfile 503 /dev/null",
  "proxy errorfiles": "errorfiles pages",
  "proxy http-error": "http-error status 404",
  "proxy http-check": "http-check send meth GET",
  "proxy tcp-check": "tcp-check connect",
  "proxy external-check": "external-check command x",
  "proxy retries": "retries 7",
  "proxy errorloc": "errorloc 503 /x",
  "proxy errorloc302": "errorloc302 503 /x",
  "proxy errorloc303": "errorloc303 503 /x",
  "proxy option httplog": "option httplog",
  "proxy option tcplog": "option tcplog",
  "proxy option forwardfor": "option forwardfor",
  "proxy option originalto": "option originalto",
  "proxy option forwarded": "option forwarded",
  "proxy option http-restrict-req-hdr-names": "option http-restrict-req-hdr-names reject",
  "proxy option redispatch": "option redispatch",
  "proxy option httpchk": "option httpchk",
  "proxy option smtpchk": "option smtpchk",
  "proxy option mysql-check": "option mysql-check",
  "proxy option http-keep-alive": "option httpclose\n option http-keep-alive",
  "proxy stats uri": "stats uri /s",
  "proxy stats auth": "stats auth a:b",
  "proxy stats scope": "stats scope .",
  "proxy stats admin": "stats admin if TRUE",
  "proxy stats http-request": "stats http-request allow",
  "proxy stats show-node": "stats show-node n",
  "proxy stats show-desc": "stats show-desc d",
  "bind level": "level admin",
  "bind severity-output": "severity-output string",
  "bind mode": "mode 600",
  "bind user": "user root",
  "bind group": "group root",
  "bind expose-fd": "expose-fd listeners",
  "bind proto": "proto h1",
  "bind interface": "interface lo",
  "bind shards": "shards 2",
  "bind thread": "thread 1",
  "bind mss": "mss 1000",
  "server addr": "addr 127.0.0.9 check",
  "server agent-addr": "agent-addr 127.0.0.9 agent-check agent-port 5",
  "server agent-check": "agent-check agent-port 5",
  "server agent-port": "agent-port 5 agent-check",
  "server agent-inter": "agent-inter 9s agent-check agent-port 5",
  "server agent-send": "agent-send x agent-check agent-port 5",
  "server check-proto": "check-proto h1 check",
  "server check-send-proxy": "check-send-proxy check",
  "server check-via-socks4": "check-via-socks4 check",
  "server port": "port 5 check",
  "server hash-key": "hash-key addr",
  "server init-addr": "init-addr none",
  "server init-state": "init-state down",
  "server log-proto": "log-proto octet-count",
  "server observe": "observe layer4",
  "server on-error": "on-error mark-down",
  "server on-marked-down": "on-marked-down shutdown-sessions",
  "server on-marked-up": "on-marked-up shutdown-backup-sessions",
  "server proto": "proto h1",
  "server resolvers": "resolvers default",
  "server resolve-prefer": "resolve-prefer ipv4",
  "server resolve-opts": "resolve-opts ignore-weight",
  "server resolve-net": "resolve-net 127.0.0.0/8",
  "server proxy-v2-options": "proxy-v2-options crc32c",
  "server set-proxy-v2-tlv-fmt": "set-proxy-v2-tlv-fmt(5) x",
  "server track": "track u",
  "server ws": "ws h1",
  "server weight": "weight 7",
};

/** Keywords whose example leaves the model as it was, and why that is right. */
const CHANGES_NOTHING: ReadonlyMap<string, string> = new Map([
  ["global resetenv", "the environment was not changed before"],
  ["global insecure-fork-wanted", "only the warning about external checks looks at it"],
  ["global default-path", "resolved while reading"],
  ["global tune.http.cookielen", "bounds the length of a capture while reading"],
  ["proxy option external-check", "needs the global section; its own tests run programs"],
  ["server enabled", "undoes disabled"],
  ["server stick", "undoes non-stick"],
  ["proxy enabled", "undoes disabled"],
  ["proxy option http-keep-alive", "the default"],
  ["proxy hash-preserve-affinity", "the only mode there is"],
  ["proxy force-be-switch", "see its rule"],
]);

const DEFAULTS = `defaults
 mode http
 timeout connect 5s
 timeout client 5s
 timeout server 5s
`;
const FILES = "http-errors pages\n errorfile 404 /dev/null\n";

interface Place {
  readonly name: string;
  readonly frame: (line: string) => string;
}

const GLOBAL: Place = {
  name: "global",
  frame: (line) =>
    `global\n ${line}\n${FILES}${DEFAULTS}listen l\n bind :8080\n server s 127.0.0.1:1\nbackend c\n`,
};
const PROXY: Place = {
  name: "proxy",
  frame: (line) =>
    `${FILES}${DEFAULTS}listen l\n bind :8080\n server s 127.0.0.1:1\n ${line}\nbackend c\n`,
};
const BIND: Place = {
  name: "bind",
  frame: (line) =>
    `${FILES}global\n stats socket /run/a.sock ${line}\n${DEFAULTS}listen l\n bind :8080 ${line}\n server s 127.0.0.1:1\n`,
};
const SERVER: Place = {
  name: "server",
  frame: (line) =>
    `${FILES}${DEFAULTS}listen l\n bind :8080\n server s 127.0.0.1:1 ${line}\n server u 127.0.0.1:3 check\n`,
};

/** A line from a syntax: required values as a number, a time or a word; options left out. */
function example(place: Place, name: string, syntax: string): string {
  const known = EXAMPLES[`${place.name} ${name}`];
  if (known !== undefined) return known;
  return syntax
    .replace(/^\[no\] /, "")
    .replace(/ ?\[[^\]]*\]…?/g, "")
    .replaceAll(/<(time|delay)>/g, "7s")
    .replaceAll(/<(number|count|bytes|size|percent)>/g, "7")
    .replaceAll(/<[^>]*>/g, "x")
    .replaceAll("…", "")
    .trim();
}

/** Paths of what differs, with the words of sets that are in one alone. */
function differences(a: unknown, b: unknown, path: string, out: Set<string>): void {
  if (Object.is(a, b)) return;
  if (a instanceof Set && b instanceof Set) {
    for (const word of [...a, ...b]) if (a.has(word) !== b.has(word)) out.add(`'${String(word)}'`);
    return;
  }
  if (a instanceof Map && b instanceof Map) {
    for (const key of new Set([...a.keys(), ...b.keys()])) {
      const text = typeof key === "string" && path.endsWith("tune") ? `'${key}'` : path;
      if (!a.has(key) || !b.has(key)) out.add(text);
      else differences(a.get(key), b.get(key), text, out);
    }
    return;
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
    out.add(path);
    return;
  }
  if (a instanceof Uint8Array) return;
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    if (key === "at" || key === "later" || key === "line") continue;
    const next = /^\d+$/.test(key) ? path : `${path}.${key}`;
    differences(Reflect.get(a, key), Reflect.get(b, key), next, out);
  }
}

function isRead(what: string): boolean {
  if (what.startsWith("'")) {
    const word = what.slice(1, -1);
    return program.includes(`"${word}"`) || program.includes(`'${word}'`);
  }
  const field = what.slice(what.lastIndexOf(".") + 1);
  if (field.includes("-")) return program.includes(`"${field}"`);
  return new RegExp(`(\\.|[{,]\\s*|\\[")${field.replace(/[^\w]/g, "\\$&")}\\b`).test(program);
}

for (const { place, entries } of [
  { place: GLOBAL, entries: keywordTables.global },
  { place: PROXY, entries: keywordTables.proxy },
  { place: BIND, entries: keywordTables.bind },
  { place: SERVER, entries: keywordTables.server },
]) {
  test(`every keyword of ${place.name} that works changes something that the program reads`, () => {
    const plain = loadText("t.cfg", place.frame("")).config;
    const silent: string[] = [];
    for (const { name, syntax, status } of entries) {
      const words = /^(\[no\] )?(option|stats|timeout) /.exec(syntax);
      const key = words?.[2] === "option" && place === PROXY ? `option ${name}` : name;
      // TLS stands in tables and tests of its own.
      if (
        status !== "works" ||
        /ssl|crt|crl|ca-|key-base|cipher|issuers|tls|alpn|npn|sni|verify|curves|ecdhe|sigalgs|renegotiate|early|0rtt/.test(
          key,
        )
      )
        continue;
      const full = `${place.name} ${key}`;
      if (CHANGES_NOTHING.has(full) || key.startsWith("no-")) continue;
      const line = example(place, key, syntax);
      const { config, findings } = loadText("t.cfg", place.frame(line));
      if (config === undefined) {
        silent.push(
          `${full}: '${line}' is refused: ${findings.list.map((f) => f.message).join("; ")}`,
        );
        continue;
      }
      const changed = new Set<string>();
      differences(plain, config, "", changed);
      const unread = [...changed].filter((what) => !isRead(what));
      if (changed.size === 0) silent.push(`${full}: '${line}' changes nothing`);
      else if (unread.length === changed.size) silent.push(`${full}: nobody reads ${unread}`);
    }
    assert.deepEqual(silent, []);
  });
}
