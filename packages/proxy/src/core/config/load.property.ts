import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readConfig } from "./load.ts";
import { memoryConfigHost, resolveInMemory } from "./memory-host.ts";
import { checkRules } from "./rule-check.ts";

/** Lines of real files: what random words would never come to. */
const LINES = [
  "global",
  "defaults",
  "defaults d from x",
  "frontend f",
  "backend b",
  "listen l",
  "peers p",
  "resolvers r",
  "cache c",
  "userlist u",
  " mode http",
  " bind :80,unix@/a,[::1]:81-83 ssl crt /x name y",
  " server s 127.0.0.1:80 check inter 2s weight 10 ssl verify none sni req.hdr(host)",
  " server-template t 1-3 a.invalid:80 resolvers r",
  " default-server check source 1.2.3.4:1-9 usesrc hdr_ip(x,1) interface eth0",
  ' http-request set-header X "%[req.hdr(host),lower] %ci" if { path -m beg /x } !a or TRUE',
  " tcp-request content reject unless { src 10.0.0.0/8 }",
  " use_backend %[req.hdr(host),lower] if a",
  " acl a path_reg ^/(x|y)$",
  " stick-table type string len 32 size 1k expire 5m store gpc0,http_req_rate(10s)",
  " stick on src table b",
  ' log-format "%{+Q}r %[var(txn.x)]"',
  " http-check expect ! rstatus ^5",
  " tcp-check send-binary 0a0b",
  " cookie S insert indirect maxidle 30m attr x",
  " timeout client 5min",
  " log 127.0.0.1:514 sample 1,2-3:5 local0 notice",
  " option forwardfor except 127.0.0.0/8 if-none",
  " stats auth a:b",
  " errorfile 503 /x",
  " http-error status 429 content-type text/plain lf-string %[src]",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is haproxy.cfg's own syntax
  ' setenv A "${B-c d}[*]"',
  ".if defined(A) && !streq(a,b)",
  ".elif version_atleast(2.6)",
  ".else",
  ".endif",
];

const line = fc.oneof(
  fc.constantFrom(...LINES),
  fc.string({ unit: "binary", maxLength: 60 }),
  // A line of a real file with one piece cut out or put in.
  fc
    .tuple(fc.constantFrom(...LINES), fc.nat(80), fc.nat(8), fc.string({ maxLength: 4 }))
    .map(([text, at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut)),
);

function load(text: string): ReturnType<ReturnType<typeof readConfig>["finish"]> {
  const pending = readConfig([{ name: "x.cfg", text }], {
    host: memoryConfigHost({ "/x": "HTTP/1.0 503 x\r\n\r\n" }),
    environment: new Map(),
    commandLine: { maxconn: undefined, ignoreUnresolved: false },
    noServerVerify: false,
    diagnosticMode: true,
    version: "3.5-dev5",
    features: new Map(),
    enabled: new Set(),
    sslLibrary: "OpenSSL 3.0.0",
    checkRules,
  });
  resolveInMemory(pending.names);
  return pending.finish();
}

test("no text makes reading throw, and a model comes out exactly when nothing is wrong", () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 25 }), fc.boolean(), (lines, ended) => {
      const { config, findings } = load(lines.join("\n") + (ended ? "\n" : ""));
      assert.equal(config === undefined, findings.errors > 0);
    }),
    { numRuns: 400 },
  );
});

test("every finding stands in a line that exists", () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 25 }), (lines) => {
      const text = `${lines.join("\n")}\n`;
      const count = text.split("\n").length;
      for (const { at } of load(text).findings.list) {
        if (at !== undefined) assert.ok(at.line >= 1 && at.line <= count && at.column >= 1);
      }
    }),
    { numRuns: 200 },
  );
});
