import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { test } from "node:test";
import { numberProxies } from "../../daemon/runtime-build.ts";
import type { Message } from "../http/message.ts";
import { standardReply } from "../http/replies.ts";
import {
  ask,
  DEFAULTS,
  nodePorts,
  type RunningHaproxy,
  runHaproxy,
  withoutHaproxy,
} from "../sample/haproxy-runner.test.ts";
import { latin1 } from "../sample/sample.ts";
import {
  createTestWorld,
  findings,
  testContext,
  testTransaction,
} from "../sample/testing/index.ts";
import { createProxyState } from "../server/proxy-state.ts";
import { StickTable } from "../server/stick-table.ts";
import { compileRedirects, compileRules } from "./compile-rules.ts";
import { runRules } from "./rule.ts";

// Goal: rules leave a request, a response and the proxy's own answers as the real haproxy does.
// Method: one haproxy before a stub that answers with the head it got. Each case is a few rule lines, in force for
// requests that carry its number; the same lines, as our own parser read them, run over the same bytes.

const REQUEST_CASES: readonly (readonly string[])[] = [
  ["set-header X-New v1"],
  ["set-header X-A changed"],
  ["add-header X-A another"],
  ["del-header X-A"],
  ["del-header ^x- -m reg", "set-header X-Kept yes"],
  ["del-header x- -m beg"],
  ["del-header -b -m end"],
  ["set-header X-F %[path]-%[req.hdr(x-a)]"],
  ["set-header X-F %[req.hdr(nope)]"],
  ["set-path /new/path"],
  ["set-path /new%[path]"],
  ["set-pathq /new?z=9"],
  ["set-query q=1"],
  ["set-uri /whole?x=y"],
  ["set-method PUT"],
  ["replace-path (.*)/b(.*) \\1/B\\2"],
  ["replace-path ^/a /z"],
  ["replace-pathq ^/a(.*)\\?(.*)$ /x\\1?y=\\2"],
  ["replace-uri ^/a/(.*) /moved/\\1"],
  ["replace-uri nomatch /moved"],
  ["replace-header X-A one(.*) uno\\1"],
  ["replace-header X-A ^(.*)$ <\\1>"],
  ["replace-header X-A o 0"],
  ["replace-value X-A (.*)o(.*) \\1O\\2"],
  ["replace-value X-B ^.*$ q"],
  ["set-var(txn.v) req.hdr(x-b)", "set-header X-V %[var(txn.v)]"],
  ["set-var(txn.n) int(5)", "set-var(txn.n) var(txn.n),add(2)", "set-header X-N %[var(txn.n)]"],
  ["set-var-fmt(txn.f) %[method]:%[path]", "set-header X-F %[var(txn.f)]"],
  ["set-var(txn.u) str(x)", "unset-var(txn.u)", "set-header X-U [%[var(txn.u)]]"],
  [
    "set-var(txn.c,ifnotexists) str(a)",
    "set-var(txn.c,ifnotexists) str(b)",
    "set-header X-C %[var(txn.c)]",
  ],
  ["normalize-uri path-merge-slashes"],
  ["normalize-uri path-strip-dot"],
  ["normalize-uri path-strip-dotdot full"],
  ["normalize-uri percent-to-uppercase strict"],
  ["normalize-uri percent-decode-unreserved strict"],
  ["normalize-uri query-sort-by-name"],
  ["set-header X-Src %[src]", "set-src hdr(x-ip)", "set-header X-Then %[src]"],
  ["set-dst-port int(4000)", "set-header X-Port %[dst_port]"],
  ["capture req.hdr(x-b) len 4", "set-header X-Cap %[capture.req.hdr(0)]"],
  ["allow", "set-header X-Never 1"],
  ["set-header X-E a%%b\\ c"],
  ["set-header X-Q %{+Q}[req.hdr(x-b)]"],
  [
    "track-sc0 src table t",
    "sc-inc-gpc0(0)",
    "sc-inc-gpc0(0)",
    "set-header X-G %[sc0_get_gpc0]/%[src_get_gpc0(t)]/%[sc_get_gpc0(0)]",
  ],
  [
    "sc-set-gpt0(0) int(7)",
    "track-sc0 hdr(x-a) table t2",
    "sc-set-gpt0(0) 9",
    "set-header X-G %[sc0_get_gpt0]/%[sc1_tracked]/%[sc0_tracked]/%[req.hdr(x-a),table_gpt0(t2)]/%[str(none),table_gpt0(t2)]/%[str(none),in_table(t2)]",
  ],
  [
    "track-sc1 hdr(x-b) table t2",
    "set-header X-R %[sc1_http_req_cnt]/%[sc1_conn_cnt]/%[sc1_conn_cur]/%[sc1_sess_cnt]/%[sc1_trackers]/%[sc1_http_req_rate]",
  ],
];

const RESPONSE_CASES: readonly (readonly string[])[] = [
  ["set-header X-New v"],
  ["del-header X-S"],
  ["add-header X-S more"],
  ["set-status 418"],
  ['set-status 503 reason "Slow Down"'],
  ["replace-header X-S (.*)t(.*) \\1T\\2"],
  ["replace-value X-S t T"],
  ["set-header X-Code %[status]-%[res.hdr(x-s)]-%[res.ver]"],
  ["set-header X-C %[res.cook(sid)]/%[res.cook]/%[res.cook_cnt(sid)]/%[res.cook(nope)]"],
  ["deny"],
  ["deny deny_status 500"],
  ["return status 200 content-type text/plain string replaced"],
  ["redirect location /elsewhere"],
];

const REPLY_CASES: readonly string[] = [
  "http-request deny",
  "http-request deny deny_status 429",
  "http-request deny status 404",
  "http-request deny status 418 content-type text/plain string nope hdr X-T %[path]",
  "http-request return",
  "http-request return status 204",
  "http-request return status 200 content-type text/html string hello",
  "http-request return status 404 content-type text/plain lf-string %[path]-%[query] hdr X-H v1 hdr X-I %[method]",
  "http-request auth realm hello",
  "http-request auth",
  "http-request redirect location /x%[path]",
  "http-request redirect location /x code 301",
  "http-request redirect location http://h/ code 303 set-cookie A=1",
  "http-request redirect location http://h/ code 307 clear-cookie B=",
  "http-request redirect prefix https://h",
  "http-request redirect prefix / drop-query",
  "http-request redirect prefix https://h drop-query append-slash",
  "http-request redirect scheme https code 308",
  "http-request redirect scheme https drop-query",
  "redirect location /old",
  "redirect scheme https",
];

const TARGET = "/a//b/./c/../d%7e%2f?b=2&a=1&b=1";

function requestFor(id: string): string {
  return `GET ${TARGET} HTTP/1.1\r\nHost: h.example\r\nX-A: one, two\r\nX-A: three\r\nX-B: beta\r\nX-IP: 192.0.2.99\r\nX-Case: ${id}\r\n\r\n`;
}

const STUB_FIELDS = [
  ["X-S", "first, second"],
  ["X-S", "third"],
  ["Set-Cookie", "sid=abc; path=/"],
  ["Set-Cookie", "other=1"],
] as const;

test("rules change messages as haproxy's do", { skip: withoutHaproxy }, async () => {
  const stub = await startStub();
  let haproxy: RunningHaproxy | undefined;
  try {
    haproxy = await runHaproxy(configuration(stub.port));
    const proxies = numberProxies(haproxy.config);
    const states = proxies.map(({ frontend, backend }, index) =>
      createProxyState(index, frontend, backend),
    );
    const tables = new Map(
      [...haproxy.config.stickTables].map(([name, spec]) => [name, new StickTable(spec)]),
    );
    const context = testContext(createTestWorld({ ports: nodePorts(), proxies: states, tables }));
    const section = proxies.find(({ frontend }) => frontend !== undefined)?.proxy;
    assert.ok(section !== undefined);
    const requestRules = compileRules("http-request", section.rules["http-request"], context);
    const redirects = compileRedirects(section.rules.redirect, context);
    const responseRules = compileRules("http-response", section.rules["http-response"], context);
    assert.deepEqual(findings(context), []);
    const wrong: string[] = [];
    const compare = (what: string, ours: string, theirs: string): void => {
      if (ours !== theirs)
        wrong.push(
          `${what}\n  haproxy ${JSON.stringify(theirs)}\n  we      ${JSON.stringify(ours)}`,
        );
    };

    for (const [i, lines] of REQUEST_CASES.entries()) {
      const { body } = await ask(haproxy.port, requestFor(`q${i}`));
      const transaction = ourTransaction(requestFor(`q${i}`));
      runRules(requestRules, transaction, { next: 0 });
      compare(lines.join("; "), requestText(transaction.request), body);
      for (const tracked of transaction.tracked) tracked?.release();
    }
    for (const [i, lines] of RESPONSE_CASES.entries()) {
      const answer = await ask(haproxy.port, requestFor(`r${i}`));
      const body = "stub";
      const response = `HTTP/1.1 200 OK\r\n${STUB_FIELDS.map(([name, value]) => `${name}: ${value}\r\n`).join("")}content-length: ${body.length}\r\n\r\n${body}`;
      const transaction = ourTransaction(requestFor(`r${i}`), response);
      // Request rules first: they say which case it is.
      transaction.hasResponse = false;
      runRules(requestRules, transaction, { next: 0 });
      transaction.hasResponse = true;
      runRules(responseRules, transaction, { next: 0 });
      const reply = transaction.reply;
      const ours =
        reply === undefined
          ? responseText(transaction.response)
          : fieldsOf(latin1Of(reply.message ?? standardReply(reply.status)));
      compare(lines.join("; "), ours, fieldsOf(answer.head + answer.body));
    }
    for (const [i, line] of REPLY_CASES.entries()) {
      const answer = await ask(haproxy.port, requestFor(`p${i}`));
      const transaction = ourTransaction(requestFor(`p${i}`));
      const verdict = runRules(requestRules, transaction, { next: 0 });
      if (verdict.type === "continue") runRules(redirects, transaction, { next: 0 });
      const { reply } = transaction;
      assert.ok(reply !== undefined, line);
      compare(
        line,
        fieldsOf(latin1Of(reply.message ?? standardReply(reply.status))),
        fieldsOf(answer.head + answer.body),
      );
    }
    assert.deepEqual(wrong, []);
  } finally {
    haproxy?.stop();
    stub.server.closeAllConnections();
    stub.server.close();
  }
});

function ourTransaction(request: string, response?: string) {
  const transaction = testTransaction(request, response);
  transaction.session.source.address.set([127, 0, 0, 1]);
  transaction.session.destination.address.set([127, 0, 0, 1]);
  transaction.session.destination.port = 4000;
  return transaction;
}

function latin1Of(bytes: Uint8Array): string {
  return latin1(bytes, 0, bytes.length);
}

/** The head as the stub tells it. */
function requestText({ bytes, head }: Message): string {
  const line = `${latin1(bytes, head.methodStart, head.methodEnd)} ${latin1(bytes, head.targetStart, head.targetEnd)}`;
  return [line, ...fieldLines(bytes, head)].join("\n");
}

function responseText({ bytes, head, bodyStart, bodyEnd }: Message): string {
  const line = `HTTP/1.1 ${head.status} ${latin1(bytes, head.reasonStart, head.reasonEnd)}`;
  return [line, ...fieldLines(bytes, head).sort(), latin1(bytes, bodyStart, bodyEnd)].join("\n");
}

function fieldLines(bytes: Uint8Array, head: Message["head"]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < head.fields; i++) {
    const name = latin1(
      bytes,
      head.nameStart[i] as number,
      head.nameEnd[i] as number,
    ).toLowerCase();
    if (name === "") continue;
    lines.push(
      `${name}: ${latin1(bytes, head.valueStart[i] as number, head.valueEnd[i] as number)}`,
    );
  }
  return lines;
}

/** Start line, sorted fields, body: the order of a reply's own fields has no meaning. */
function fieldsOf(message: string): string {
  const end = message.indexOf("\r\n\r\n");
  const [line, ...fields] = message.slice(0, end).split("\r\n");
  const shown = fields.map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase())).sort();
  return [line, ...shown, message.slice(end + 4)].join("\n");
}

function configuration(stubPort: number): string[] {
  const rules = (set: string, cases: readonly (readonly string[])[], letter: string): string[] =>
    cases.flatMap((lines, i) =>
      lines.map((line) => `  ${set} ${line} if { req.hdr(x-case) ${letter}${i} }`),
    );
  return [
    "global",
    "  expose-experimental-directives",
    ...DEFAULTS,
    "frontend f",
    "  bind 127.0.0.1:PORT",
    ...rules("http-request", REQUEST_CASES, "q"),
    "  http-request set-var(txn.case) req.hdr(x-case)",
    ...RESPONSE_CASES.flatMap((lines, i) =>
      lines.map((line) => `  http-response ${line} if { var(txn.case) -m str r${i} }`),
    ),
    ...REPLY_CASES.map((line, i) => `  ${line} if { req.hdr(x-case) p${i} }`),
    "  default_backend b",
    "backend b",
    `  server s 127.0.0.1:${stubPort}`,
    "backend t",
    "  stick-table type ip size 100 expire 60s store gpc0",
    "backend t2",
    "  stick-table type string len 32 size 100 expire 60s store gpt0,http_req_cnt,conn_cnt,conn_cur,sess_cnt,http_req_rate(10s)",
  ];
}

/** Answers with the head it got for request cases; with fields of its own and "stub" for response cases. */
async function startStub(): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    const isResponseCase = String(request.headers["x-case"]).startsWith("r");
    const lines = [`${request.method} ${request.url}`];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      lines.push(`${request.rawHeaders[i]?.toLowerCase()}: ${request.rawHeaders[i + 1]}`);
    }
    const body = isResponseCase ? "stub" : lines.join("\n");
    response.sendDate = false;
    const fields = isResponseCase ? STUB_FIELDS.flat() : [];
    response.writeHead(200, [...fields, "content-length", String(Buffer.byteLength(body))]);
    response.end(body);
  });
  // No keep-alive field of Node's own.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { server, port: address.port };
}
