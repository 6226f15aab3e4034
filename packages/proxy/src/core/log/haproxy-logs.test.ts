import assert from "node:assert/strict";
import { test } from "node:test";
import { numberProxies } from "../../daemon/runtime-build.ts";
import { placed } from "../rule/compile-rules.ts";
import { AT_LOG } from "../sample/compile-context.ts";
import {
  ask,
  DEFAULTS,
  nodePorts,
  runHaproxy,
  withoutHaproxy,
} from "../sample/haproxy-runner.test.ts";
import { createTestWorld, format, testContext, testTransaction } from "../sample/testing/index.ts";
import { createProxyState } from "../server/proxy-state.ts";
import { CAUSE_LOCAL, PHASE_REQUEST } from "../transaction.ts";
import { compileCaptures } from "./captures.ts";
import { LOG_LINE } from "./log-format.ts";

// Goal: what a log line says of a request that the proxy answers itself is what haproxy's says, byte for byte.
// Method: one haproxy that answers and logs; formats without times and ports, the same requests through our own.

const FORMATS = [
  "%HM %HP %HPO %HQ %HU %HV",
  "%{+Q}r %r",
  "%ci %f %ft %b/%s %ST %tsc %ts %rc %sq/%bq",
  "%hr %hs %{+Q}r",
  "a  b %hs  c",
  "%hrl|%hsl",
  "x%{+Q}o %hr %hrl %[capture.req.hdr(0)] %[capture.req.hdr(9)] %{-Q}o",
  "%[capture.req.uri] %[capture.req.method] %[var(txn.none)] %[var(txn.v)]",
  "%{+X}ci %{+X}o %fi %[src] %ci %{-X}o",
  "%si:%sp %bi:%bp %sslv %sslc",
  "x %HQ %{+Q}HQ %{+Q}HPO",
  "%{+E}[var(txn.q)] %{+Q,+E}[var(txn.q)] %{+Q}[var(txn.q)]",
  "%%done %{-Q}f",
] as const;

const REQUESTS = [
  "GET /a/b?c=d HTTP/1.1",
  "POST http://h.example/a%20b?x=%22 HTTP/1.1",
  'GET /quote"s HTTP/1.1',
  "OPTIONS * HTTP/1.1",
];

const FIELDS = ["Host: h.example", "X-Cap: one|two{}#", 'X-Cut: 0123456789"'];

test("log lines say what haproxy's say", { skip: withoutHaproxy }, async () => {
  const haproxy = await runHaproxy([
    "global",
    "  log stdout format raw local0",
    ...DEFAULTS,
    "  log global",
    "  option dontlognull",
    "frontend f",
    "  bind 127.0.0.1:PORT",
    "  capture request header X-Cap len 20",
    "  capture request header X-Cut len 12",
    "  capture request header X-None len 12",
    "  capture response header X-R len 5",
    "  http-request set-var(txn.v) str(value)",
    `  http-request set-var(txn.q) 'bin(61225c5d62)'`,
    "  http-request return status 404 content-type text/plain string x hdr X-R response",
    `  log-format '${FORMATS.join("<>")}'`,
  ]);
  try {
    const [front] = haproxy.config.frontends;
    assert.ok(front !== undefined);
    const captures = compileCaptures(front);
    const proxies = numberProxies(haproxy.config).map(({ frontend, backend }, index) =>
      createProxyState(index, frontend, backend),
    );
    const section = testContext(createTestWorld({ ports: nodePorts(), proxies }));
    const base = {
      ...section,
      proxy: { ...section.proxy, captures: captures.lengths },
    } as typeof section;
    const context = { ...placed(base, AT_LOG, "log-format"), diagnostics: section.diagnostics };
    const wrong: string[] = [];
    for (const line of REQUESTS) {
      const request = `${[line, ...FIELDS].join("\r\n")}\r\n\r\n`;
      const before = haproxy.output().length;
      const answer = await ask(haproxy.port, request);
      const written = await lineAfter(() => haproxy.output().slice(before));
      const transaction = testTransaction(request, `${answer.head}${answer.body}`);
      transaction.session.source.address.set([127, 0, 0, 1]);
      transaction.session.destination.address.set([127, 0, 0, 1]);
      transaction.status = 404;
      transaction.cause = CAUSE_LOCAL;
      transaction.phase = PHASE_REQUEST;
      captures.request?.(transaction);
      const { variables } = context.world;
      const [v, q] = [variables.variable("txn.v"), variables.variable("txn.q")];
      assert.ok(v !== undefined && q !== undefined);
      variables.set(v, transaction, { type: "str", bytes: Buffer.from("value") });
      variables.set(q, transaction, { type: "str", bytes: Buffer.from('a"\\]b') });
      const theirs = written.split("<>");
      for (const [i, text] of FORMATS.entries()) {
        // Flags of %o last to the end of a line: those formats end them themselves.
        const ours = format(text, transaction, context, LOG_LINE);
        if (ours !== theirs[i]) wrong.push(`${line} | ${text}: haproxy ${theirs[i]}, we ${ours}`);
      }
    }
    assert.deepEqual(wrong, []);
  } finally {
    haproxy.stop();
  }
});

async function lineAfter(output: () => string): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const text = output();
    if (text.includes("\n")) return text.slice(0, text.indexOf("\n"));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("haproxy wrote no line");
}
