import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { test } from "node:test";
import { numberProxies } from "../../daemon/runtime-build.ts";
import type { Message } from "../http/message.ts";
import {
  ask,
  DEFAULTS,
  nodePorts,
  type RunningHaproxy,
  runHaproxy,
  withoutHaproxy,
} from "../sample/haproxy-runner.test.ts";
import { latin1 } from "../sample/sample.ts";
import { createTestWorld, testContext, testTransaction } from "../sample/testing/index.ts";
import { createProxyState } from "../server/proxy-state.ts";
import { compilePersistence } from "./persistence.ts";

// Goal: cookie persistence picks the server, hides cookies from it and sets cookies as the real haproxy does.
// Method: one haproxy with a backend for each mode over two stubs that tell what cookies they got and set one of
// the same name when asked; the same requests and responses through our own.

const MODES = [
  "cookie SRV insert",
  "cookie SRV insert indirect",
  "cookie SRV insert indirect nocache",
  "cookie SRV insert postonly",
  "cookie SRV insert preserve",
  "cookie SRV insert httponly secure domain .example.com",
  "cookie SRV insert attr SameSite=Lax",
  "cookie SRV rewrite",
  "cookie SRV prefix",
  "cookie SRV prefix nocache",
  "cookie SRV indirect",
  "cookie SRV insert dynamic",
];

const COOKIES = [
  undefined,
  "SRV=one",
  "SRV=two",
  "a=1; SRV=two; b=2",
  "SRV=two; b=2",
  "a=1; SRV=two",
  "SRV=nobody",
  "SRV=",
  "SRV=two~app",
  "a=1; SRV=one~app~x; b=2",
  "; SRV=two",
  "xSRV=one; SRVx=two",
];

/** What the server's own answer sets. */
const SETS = [undefined, "SRV=fromserver; path=/", "other=x"];
/** What it says of caching, which `nocache` looks at. */
const CACHING = { Expires: "Thu, 01 Dec 2036 16:00:00 GMT" };

test("cookies persist, hide and are set as with haproxy", { skip: withoutHaproxy }, async () => {
  const stubs = [await startStub("one"), await startStub("two")];
  let haproxy: RunningHaproxy | undefined;
  try {
    haproxy = await runHaproxy(configuration(stubs.map(({ port }) => port)));
    const states = numberProxies(haproxy.config).map(({ frontend, backend }, index) =>
      createProxyState(index, frontend, backend),
    );
    const wrong: string[] = [];
    for (const [mode, line] of MODES.entries()) {
      const state = states.find(({ name }) => name === `b${mode}`);
      assert.ok(state?.backend !== undefined);
      const context = testContext(createTestWorld({ ports: nodePorts(), proxies: states }));
      const persistence = compilePersistence(state.backend, state.servers, context);
      for (const cookie of COOKIES) {
        for (const set of SETS) {
          const request = requestFor(mode, cookie, set);
          const answer = await ask(haproxy.port, request);
          const [chosen = "", seen = ""] = answer.body.split("|");
          const server = chosen === "one" ? 0 : 1;

          const transaction = testTransaction(request, responseFor(set));
          transaction.hasResponse = false;
          assert.ok(persistence.request?.(transaction));
          const wanted = transaction.wantedServer;
          transaction.server = server;
          transaction.hasResponse = true;
          assert.ok(persistence.response?.(transaction) ?? true);
          const what = `${line} | Cookie: ${cookie} | Set-Cookie: ${set}`;
          if (wanted !== -1 && wanted !== server)
            wrong.push(`${what}: haproxy chose ${server}, we ${wanted}`);
          const ourSeen = valuesOf(transaction.request, "cookie").join("&");
          if (ourSeen !== seen) wrong.push(`${what}: haproxy sent ${seen}, we ${ourSeen}`);
          const theirs = fieldsOf(answer.head, ["set-cookie", "cache-control"]);
          const ours = [
            ...valuesOf(transaction.response, "set-cookie"),
            ...valuesOf(transaction.response, "cache-control"),
          ];
          if (ours.join("&") !== theirs.join("&"))
            wrong.push(`${what}: haproxy set ${theirs.join("&")}, we ${ours.join("&")}`);
        }
      }
    }
    assert.deepEqual(wrong, []);
  } finally {
    haproxy?.stop();
    for (const { server } of stubs) {
      server.closeAllConnections();
      server.close();
    }
  }
});

function requestFor(mode: number, cookie: string | undefined, set: string | undefined): string {
  return [
    "GET / HTTP/1.1",
    "Host: h",
    `X-Mode: ${mode}`,
    ...(set === undefined ? [] : [`X-Set: ${set}`]),
    ...(cookie === undefined ? [] : [`Cookie: ${cookie}`]),
    "",
    "",
  ].join("\r\n");
}

function responseFor(set: string | undefined): string {
  return `HTTP/1.1 200 OK\r\nExpires: ${CACHING.Expires}\r\n${set === undefined ? "" : `Set-Cookie: ${set}\r\n`}content-length: 0\r\n\r\n`;
}

function valuesOf({ head, bytes }: Message, wanted: string): string[] {
  const values: string[] = [];
  for (let i = 0; i < head.fields; i++) {
    const name = latin1(
      bytes,
      head.nameStart[i] as number,
      head.nameEnd[i] as number,
    ).toLowerCase();
    if (name === wanted)
      values.push(latin1(bytes, head.valueStart[i] as number, head.valueEnd[i] as number));
  }
  return values;
}

function fieldsOf(head: string, wanted: readonly string[]): string[] {
  return wanted.flatMap((name) =>
    head
      .split("\r\n")
      .filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim()),
  );
}

function configuration(ports: readonly number[]): string[] {
  return [
    ...DEFAULTS,
    "frontend f",
    "  bind 127.0.0.1:PORT",
    "  use_backend b%[req.hdr(x-mode)]",
    ...MODES.flatMap((line, i) => [
      `backend b${i}`,
      `  ${line}`,
      ...(line.includes("dynamic") ? ["  dynamic-cookie-key secret"] : []),
      ...ports.map(
        (port, at) =>
          `  server ${["one", "two"][at]} 127.0.0.1:${port}${line.includes("dynamic") ? "" : ` cookie ${["one", "two"][at]}`}`,
      ),
    ]),
  ];
}

async function startStub(name: string): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    response.sendDate = false;
    const cookies = request.rawHeaders.filter(
      (_, i) => i % 2 === 1 && request.rawHeaders[i - 1]?.toLowerCase() === "cookie",
    );
    const body = `${name}|${cookies.join("&")}`;
    const set = request.headers["x-set"];
    response.writeHead(200, [
      ...(typeof set === "string" ? ["Set-Cookie", set] : []),
      "Expires",
      CACHING.Expires,
      "content-length",
      String(body.length),
    ]);
    response.end(body);
  });
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { server, port: address.port };
}
