import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import {
  type Answer,
  lacksHaproxy,
  normalised,
  normalisedLog,
  type Origin,
  type ProgramName,
  pause,
  type RunningProxy,
  startOrigin,
  startProxy,
  talk,
} from "../support/proxy-pair.ts";

// Goal: the same requests through HAProxy and through us give the same answers, the same log lines, and the
// same bytes at the server. Method: one scripted origin each, raw sockets, one conversation at a time.
const skip = lacksHaproxy();
const PROGRAMS: readonly ProgramName[] = ["haproxy", "lbproxy"];

const answer: Answer = (request, socket) => {
  const path = request.split(" ")[1] ?? "";
  if (path === "/close")
    return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
  if (path === "/length") return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  if (path === "/chunked") {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
  }
  if (path === "/until-close") {
    setTimeout(() => socket.end(), 20);
    return "HTTP/1.1 200 OK\r\n\r\ntill the end";
  }
  if (path === "/empty") return "HTTP/1.1 204 No Content\r\n\r\n";
  if (path === "/not-modified") return 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n';
  if (path === "/continue")
    return "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!";
  if (path === "/reset") return "reset";
  if (path === "/hang-up") return "close";
  if (path === "/junk") return "this is no response\r\n\r\n";
  if (path === "/short") {
    setTimeout(() => socket.end(), 20);
    return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
  }
  if (path === "/never") return undefined;
  if (path === "/upgrade") {
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => socket.write(`echo ${chunk.toString("latin1")}`));
    return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  }
  return `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
};

interface Side {
  readonly origin: Origin;
  readonly proxy: RunningProxy;
}
const sides = new Map<ProgramName, Side>();

before(async () => {
  if (skip !== false) return;
  for (const program of PROGRAMS) {
    const origin = await startOrigin(answer);
    const proxy = await startProxy(
      program,
      `
global
  log {log} local0
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 10s
  timeout server 700ms
  timeout http-request 500ms
  timeout http-keep-alive 5s
  retries 1
frontend www
  bind {www}
  default_backend app
frontend closing
  bind {closing}
  option httpclose
  default_backend app
frontend dead
  bind {dead}
  default_backend nobody
listen passing
  mode tcp
  bind {passing}
  option tcplog
  server s1 127.0.0.1:${origin.port}
backend app
  balance roundrobin
  server s1 127.0.0.1:${origin.port}
backend nobody
  server s1 {refused}
`,
    );
    sides.set(program, { origin, proxy });
  }
});

after(async () => {
  for (const { origin, proxy } of sides.values()) {
    await proxy.stop();
    await origin.close();
  }
});

/** What a conversation looked like from all sides. */
async function observe(
  program: ProgramName,
  frontend: string,
  pieces: readonly (string | number | "FIN")[],
  quiet: number,
) {
  const { origin, proxy } = sides.get(program) as Side;
  origin.requests.length = 0;
  proxy.logs.length = 0;
  const { text, ended } = await talk(proxy.ports[frontend] as number, pieces, quiet);
  await pause(50);
  return {
    answer: normalised(text),
    ended,
    requests: origin.requests.map(normalised),
    logs: proxy.logs.map(normalisedLog),
  };
}

function same(
  name: string,
  pieces: readonly (string | number | "FIN")[],
  options: { frontend?: string; quiet?: number; without?: "logs" } = {},
): void {
  test(name, { skip }, async () => {
    const { frontend = "www", quiet = 250, without } = options;
    const theirs = await observe("haproxy", frontend, pieces, quiet);
    const ours = await observe("lbproxy", frontend, pieces, quiet);
    if (without === "logs") theirs.logs = ours.logs = [];
    assert.deepEqual(ours, theirs);
  });
}

const GET = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: example\r\n${more}\r\n`;

same("a plain request", [GET("/length")]);
same("two requests one after the other on one connection", [GET("/length"), 100, GET("/two")]);
same("three requests at once are answered in order", [GET("/1") + GET("/22") + GET("/333")]);
same("a request in pieces", [
  "GET /pie",
  20,
  "ces HTTP/1.1\r\nHo",
  20,
  "st: example\r\n\r",
  20,
  "\n",
]);
same("a request that asks to close", [GET("/length", "Connection: close\r\n")]);
same("HTTP/1.0 without keep-alive", ["GET /length HTTP/1.0\r\nHost: example\r\n\r\n"]);
same("HTTP/1.0 with keep-alive", [
  "GET /length HTTP/1.0\r\nHost: example\r\nConnection: keep-alive\r\n\r\n",
  100,
  "GET /two HTTP/1.0\r\nHost: example\r\nConnection: keep-alive\r\n\r\n",
]);
same("a server that closes", [GET("/close")]);
same("a chunked answer", [GET("/chunked")]);
same("an answer that ends with the connection", [GET("/until-close")]);
same("204", [GET("/empty")]);
same("304", [GET("/not-modified")]);
same("HEAD", ["HEAD /length HTTP/1.1\r\nHost: example\r\n\r\n"], { without: "logs" });
same("a body with a length", [
  "POST /p HTTP/1.1\r\nHost: example\r\nContent-Length: 5\r\n\r\nhello",
]);
same("a body in pieces", [
  "POST /p HTTP/1.1\r\nHost: example\r\nContent-Length: 10\r\n\r\nhel",
  30,
  "lo wor",
  30,
  "l",
]);
same("a chunked body", [
  "POST /p HTTP/1.1\r\nHost: example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
]);
same("100-continue", [
  "POST /continue HTTP/1.1\r\nHost: example\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
  50,
  "x",
]);
same(
  "a websocket",
  [
    GET(
      "/upgrade",
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ),
    50,
    "ping",
    50,
    "pong",
  ],
  { without: "logs" },
);
same("httpclose ends the connection", [GET("/length")], { frontend: "closing" });
same("a server that resets is a 502", [GET("/reset")]);
same("a server that hangs up is a 502", [GET("/hang-up")]);
same("a server that answers junk is a 502", [GET("/junk")]);
same("a server that never answers is a 504", [GET("/never")], { quiet: 1_200 });
same("an answer that breaks off breaks off", [GET("/short")]);
same("a server that refuses is a 503", [GET("/x")], { frontend: "dead", quiet: 1_500 });
same("a client that sends no whole head in time gets a 408", ["GET / HTT"], { quiet: 900 });
same("a blank before the colon is a 400", ["GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"]);
same("two lengths that differ are a 400", [
  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
]);
same(
  "a client that leaves in the middle of its body",
  ["POST /p HTTP/1.1\r\nHost: example\r\nContent-Length: 10\r\n\r\nhel", "FIN"],
  { without: "logs" },
);
same("TCP mode passes bytes", [GET("/length"), 50, GET("/two")], { frontend: "passing" });
same("TCP mode passes the end of the client's stream", [GET("/length"), 50, "FIN"], {
  frontend: "passing",
});
