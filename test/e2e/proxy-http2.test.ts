import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as http2 from "node:http2";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { frame, get, literal, RawHttp2 } from "../support/http2-frames.ts";
import {
  type Answer,
  lacksHaproxy,
  normalised,
  type Origin,
  type ProgramName,
  pause,
  type RunningProxy,
  startOrigin,
  startProxy,
} from "../support/proxy-pair.ts";

// Goal: the same requests over HTTP/2 through HAProxy and through us (on both executors) give the same answers, the same
// bytes at the server and the same log lines; frames that break rules get the same verdict. Method: curl, nghttp, h2load,
// Node's http2 and raw frames; one origin of HTTP/1 and one of HTTP/2 each.
const skip = lacksHaproxy();
const SIDES = ["haproxy", "io_uring", "epoll"] as const;
type SideName = (typeof SIDES)[number];
const OURS = ["io_uring", "epoll"] as const;

const answer: Answer = (request, socket) => {
  const path = request.split(" ")[1] ?? "";
  if (path === "/chunked") {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
  }
  if (path === "/trailers") {
    return "HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
  }
  if (path === "/until-close") {
    setTimeout(() => socket.end(), 20);
    return "HTTP/1.1 200 OK\r\n\r\ntill the end";
  }
  if (path === "/empty") return "HTTP/1.1 204 No Content\r\n\r\n";
  if (path === "/not-modified") return 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n';
  if (path === "/early")
    return "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!";
  if (path === "/hang-up") return "close";
  if (path === "/junk") return "this is no response\r\n\r\n";
  if (path === "/big")
    return `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${"0123456789".repeat(100_000)}`;
  if (path === "/hop")
    return "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n";
  if (path === "/slow") {
    setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"), 400);
    return undefined;
  }
  if (path === "/chat") {
    const key = /sec-websocket-key: *(\S+)/i.exec(request)?.[1] ?? "";
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => socket.write(`echo ${chunk.toString("latin1")}`));
    return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept(key)}\r\n\r\n`;
  }
  return `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n${path}`;
};

interface Side {
  readonly origin: Origin;
  readonly second: Http2Server;
  /** What the second origin saw: pseudo-header fields, body, trailers. */
  readonly seen: string[];
  readonly proxy: RunningProxy;
}
const sides = new Map<SideName, Side>();
const side = (name: SideName): Side => sides.get(name) as Side;

before(async () => {
  if (skip !== false) return;
  for (const name of SIDES) {
    const origin = await startOrigin(answer);
    const seen: string[] = [];
    const second = await startSecond(seen);
    const program: ProgramName = name === "haproxy" ? "haproxy" : "lbproxy";
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
  timeout client 5s
  timeout server 2s
  timeout http-keep-alive 5s
  retries 1
frontend www
  bind {www} proto h2
  bind {plain}
  http-request set-header X-Version %[fc_http_major]-%[req.ver]
  http-request deny if { path /denied }
  http-request reject if { path /rejected }
  http-request set-path /rewritten if { path /rewrite }
  http-response set-header X-Server-Version %[bc_http_major]
  use_backend second if { path_beg /second }
  default_backend app
frontend strict
  bind {strict}
  option disable-h2-upgrade
  default_backend app
backend app
  http-reuse always
  server s1 127.0.0.1:${origin.port}
backend second
  http-reuse always
  server s1 127.0.0.1:${(second.address() as AddressInfo).port} proto h2
`,
      name === "haproxy" ? {} : { LBPROXY_EXECUTOR: name },
    );
    sides.set(name, { origin, second, seen, proxy });
  }
});

after(async () => {
  for (const { origin, second, proxy } of sides.values()) {
    await proxy.stop();
    await origin.close();
    second.close();
  }
});

async function startSecond(seen: string[]): Promise<Http2Server> {
  const server = createServer();
  let refusals = 0;
  server.on("sessionError", () => {});
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    if (headers[":path"] === "/second/refuse" && refusals++ === 0) {
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    let body = 0;
    let trailers = "";
    stream.on("data", (chunk: Buffer) => (body += chunk.length));
    stream.on("trailers", (fields) => (trailers = JSON.stringify(fields)));
    stream.on("end", () => {
      seen.push(
        `${headers[":method"]} ${headers[":scheme"]} ${headers[":authority"]} ${headers[":path"]} ${body} ${trailers}`,
      );
      if (headers[":path"] === "/second/trailers") {
        stream.respond({ ":status": 200 }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "2" }));
        stream.end("body");
        return;
      }
      stream.respond({ ":status": 200, "x-second": "1" });
      stream.end(headers[":path"] === "/second/big" ? "y".repeat(500_000) : "second");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function accept(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(command, [...args], { maxBuffer: 1 << 26, encoding: "latin1" }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

/** An answer's head (without what differs: reason, date, order, case) and body. */
function plain(text: string): string {
  const ends = text.lastIndexOf("\r\n\r\n", text.indexOf("\r\n\r\n") + 1);
  const at = ends < 0 ? text.length : ends;
  const lines = text.slice(0, at).split("\r\n");
  const fields = lines
    .slice(1)
    .map((line) => line.replace(/^[^:]*/, (word) => word.toLowerCase()))
    .filter((line) => !/^(date|trailer):/.test(line))
    .sort();
  return [lines[0]?.trim(), ...fields, "", text.slice(at + 4)].join("\n");
}

async function curl(
  name: SideName,
  frontend: string,
  path: string,
  ...more: string[]
): Promise<string> {
  const port = side(name).proxy.ports[frontend];
  const text = await run("curl", [
    ...["-s", "-i", "-m", "5", "--http2-prior-knowledge", "-H", "Host: test"],
    ...more,
    `http://127.0.0.1:${port}${path}`,
  ]);
  return plain(text);
}

const REQUESTS: readonly (readonly [what: string, path: string, ...args: string[]])[] = [
  ["a plain request", "/plain?a=b"],
  ["cookies, which come in crumbs", "/cookies", "-H", "Cookie: a=1; b=2; c=3"],
  ["a chunked answer", "/chunked"],
  ["an answer with trailers", "/trailers"],
  ["an answer that ends with the connection", "/until-close"],
  ["an answer without a body", "/empty"],
  ["304", "/not-modified"],
  ["a hint before the answer", "/early"],
  ["HEAD", "/head", "-I"],
  ["a body with a length", "/post", "-d", "some body"],
  ["a body without one", "/stream", "-X", "POST", "-T", "/dev/null"],
  ["a long body", "/upload", "--data-binary", "@/etc/services"],
  ["an answer of a million bytes", "/big"],
  ["a refused request", "/denied"],
  ["a path that a rule rewrites", "/rewrite"],
  ["a server that talks nonsense", "/junk"],
  ["a server of HTTP/2", "/second/plain"],
  ["a server of HTTP/2 and a body", "/second/post", "-d", "some body"],
  ["a server of HTTP/2 and a long answer", "/second/big"],
  ["a server of HTTP/2 and trailers", "/second/trailers"],
];

for (const [what, path, ...args] of REQUESTS) {
  test(`${what}: answers and what servers saw are HAProxy's`, { skip }, async () => {
    const results: Record<string, unknown>[] = [];
    for (const name of SIDES) {
      const { origin, seen } = side(name);
      origin.requests.length = seen.length = 0;
      const body = await curl(name, "www", path, ...args);
      results.push({ body, requests: origin.requests.map(request), seen: [...seen] });
    }
    const [reference, ...ours] = results;
    for (const one of ours) assert.deepEqual(one, reference);
  });
}

/** A request without the coding of its body, whose chunks differ. */
function request(text: string): string {
  return normalised(text);
}

test("log lines are HAProxy's, with HTTP/2.0 and the absolute target", { skip }, async () => {
  const lines: string[] = [];
  for (const name of SIDES) {
    const { proxy } = side(name);
    await pause(100);
    proxy.logs.length = 0;
    await curl(name, "www", "/plain?a=b");
    await curl(name, "www", "/denied");
    for (let i = 0; i < 100 && proxy.logs.length < 2; i++) await pause(10);
    lines.push(
      proxy.logs
        .map((line) =>
          line
            .replace(/^\S+ \[[^\]]*\]/, "CLIENT")
            .replaceAll(/127\.0\.0\.1:\d+/g, "HOST")
            .replace(
              /(-?\d+)\/(-?\d+)\/(-?\d+)\/(-?\d+)\/(-?\d+) (\d+) \d+/,
              (_all, ...times) =>
                `${times
                  .slice(0, 5)
                  .map((time: string) => (time === "-1" ? "-1" : "T"))
                  .join("/")} ${times[5]} BYTES`,
            ),
        )
        .join("\n"),
    );
  }
  assert.match(lines[0] ?? "", /"GET http:\/\/\S+\/plain\?a=b HTTP\/2\.0"/);
  for (const ours of lines.slice(1)) assert.equal(ours, lines[0]);
});

test("the preface on a frontend of HTTP/1 switches to HTTP/2, unless the configuration forbids it", {
  skip,
}, async () => {
  for (const name of SIDES) {
    assert.match(await curl(name, "plain", "/plain"), /^HTTP\/2 200/);
    assert.doesNotMatch(await curl(name, "strict", "/plain"), /^HTTP\/2 200/);
  }
});

const AUTHORITY = literal(":authority", "a");
/** Frames after the preface, and the verdict that both must give; where ours is stricter it stands second. */
const BROKEN: readonly (readonly [
  what: string,
  frames: readonly Buffer[],
  verdict: string,
  ours?: string,
])[] = [
  ["a request that a rule rejects", [frame(1, 5, 1, get("/rejected"))], "reset 11"],
  ["no :scheme", [frame(1, 5, 1, `\x82\x84${AUTHORITY}`)], "reset 1"],
  ["no :method", [frame(1, 5, 1, `\x86\x84${AUTHORITY}`)], "reset 1"],
  ["no :path", [frame(1, 5, 1, `\x82\x86${AUTHORITY}`)], "reset 1"],
  ["an empty :path", [frame(1, 5, 1, get(""))], "reset 1"],
  ["a :path with a blank", [frame(1, 5, 1, get("/a b"))], "reset 1"],
  ["a :path without slash", [frame(1, 5, 1, get("a"))], "reset 1"],
  [":method twice", [frame(1, 5, 1, `\x82${get()}`)], "reset 1"],
  [":status in a request", [frame(1, 5, 1, `\x88${get()}`)], "reset 1"],
  ["an unknown pseudo-header field", [frame(1, 5, 1, get("/", literal(":x", "y")))], "reset 1"],
  [
    "a pseudo-header field behind others",
    [frame(1, 5, 1, `${get("/", literal("x", "y"))}\x82`)],
    "reset 1",
  ],
  ["a name in capitals", [frame(1, 5, 1, get("/", literal("X-A", "y")))], "reset 1"],
  ["a name with a blank", [frame(1, 5, 1, get("/", literal("x a", "y")))], "reset 1"],
  ["a name with a colon", [frame(1, 5, 1, get("/", literal("x:a", "y")))], "reset 1"],
  ["a value with a line feed", [frame(1, 5, 1, get("/", literal("x", "a\nb: c")))], "reset 1"],
  ["a value with a carriage return", [frame(1, 5, 1, get("/", literal("x", "a\rb")))], "reset 1"],
  ["a value with NUL", [frame(1, 5, 1, get("/", literal("x", "a\0b")))], "reset 1"],
  ["Connection", [frame(1, 5, 1, get("/", literal("connection", "x")))], "reset 1"],
  [
    "Transfer-Encoding",
    [frame(1, 4, 1, get("/", literal("transfer-encoding", "chunked")))],
    "reset 1",
  ],
  ["Upgrade", [frame(1, 5, 1, get("/", literal("upgrade", "h2c")))], "reset 1"],
  ["Keep-Alive", [frame(1, 5, 1, get("/", literal("keep-alive", "1")))], "reset 1"],
  ["TE but trailers", [frame(1, 5, 1, get("/", literal("te", "gzip")))], "reset 1"],
  [
    "less data than Content-Length",
    [frame(1, 4, 1, get("/", literal("content-length", "3"))), frame(0, 1, 1, "ab")],
    "reset 1",
  ],
  [
    "more data than Content-Length",
    [frame(1, 4, 1, get("/", literal("content-length", "1"))), frame(0, 1, 1, "ab")],
    "reset 1",
  ],
  [
    "Content-Length without data",
    [frame(1, 5, 1, get("/", literal("content-length", "3")))],
    "nothing",
    "reset 1",
  ],
  [
    "Content-Length of two numbers",
    [frame(1, 4, 1, get("/", literal("content-length", "1, 2")))],
    "reset 1",
  ],
  [
    "Host against :authority",
    [frame(1, 5, 1, get("/", literal("host", "b")))],
    "nothing",
    "reset 1",
  ],
  ["neither Host nor :authority", [frame(1, 5, 1, "\x82\x86\x84")], "nothing", "reset 1"],
  ["an index that is none", [frame(1, 5, 1, "\x80")], "goaway 9"],
  ["an index beyond the table", [frame(1, 5, 1, "\xff\x80\x01")], "goaway 9"],
  ["a string cut short", [frame(1, 5, 1, "\0\x05ab")], "goaway 9"],
  ["a stream with an even number", [frame(1, 5, 2, get())], "goaway 1"],
  [
    "a stream with a lower number",
    [frame(1, 4, 5, get("/slow")), frame(1, 5, 3, get())],
    "goaway 5",
    "reset 5",
  ],
  ["a header block on stream 0", [frame(1, 5, 0, get())], "goaway 1"],
  ["data on stream 0", [frame(0, 1, 0, "x")], "goaway 1"],
  ["data on a stream that never was", [frame(0, 1, 1, "x")], "goaway 1"],
  ["a reset of a stream that never was", [frame(3, 0, 1, "\0\0\0\x08")], "goaway 1"],
  ["a window update of a stream that never was", [frame(8, 0, 1, "\0\0\0\x01")], "goaway 1"],
  ["a window update of nothing", [frame(8, 0, 0, "\0\0\0\0")], "goaway 1"],
  ["a window update of the wrong size", [frame(8, 0, 0, "\0\0\0")], "goaway 6"],
  ["a window beyond 2^31-1", [frame(8, 0, 0, "\x7f\xff\xff\xff")], "goaway 3"],
  ["PING of the wrong size", [frame(6, 0, 0, "1234567")], "goaway 6"],
  ["PING on a stream", [frame(6, 0, 1, "12345678")], "goaway 1"],
  ["SETTINGS of the wrong size", [frame(4, 0, 0, "12345")], "goaway 6"],
  ["SETTINGS on a stream", [frame(4, 0, 1)], "goaway 1"],
  ["SETTINGS with an acknowledgement and more", [frame(4, 1, 0, "\0\x04\0\0\0\0")], "goaway 6"],
  ["a setting out of its range", [frame(4, 0, 0, "\0\x02\0\0\0\x02")], "goaway 1"],
  ["a window setting out of its range", [frame(4, 0, 0, "\0\x04\x80\0\0\0")], "goaway 3"],
  ["a frame size out of its range", [frame(4, 0, 0, "\0\x05\0\0\x0f\xff")], "goaway 1"],
  ["PUSH_PROMISE", [frame(5, 4, 1, `\0\0\0\x02${get()}`)], "goaway 1"],
  ["CONTINUATION without a beginning", [frame(9, 4, 1, get())], "goaway 1"],
  [
    "another frame within a header block",
    [frame(1, 1, 1, get()), frame(6, 0, 0, "12345678")],
    "goaway 1",
  ],
  ["CONTINUATION of another stream", [frame(1, 1, 1, get()), frame(9, 4, 3)], "goaway 1"],
  ["a frame longer than allowed", [frame(0, 0, 1, "x".repeat(16_385))], "goaway 6"],
  [
    "padding longer than the frame",
    [frame(1, 4, 1, get("/slow")), frame(0, 8, 1, "\x09abc")],
    "goaway 1",
  ],
  ["a stream that depends on itself", [frame(2, 0, 1, "\0\0\0\x01\x10")], "goaway 1"],
  ["PRIORITY of the wrong size", [frame(2, 0, 1, "\0\0\0\x01")], "goaway 6"],
  [
    "RST_STREAM of the wrong size",
    [frame(1, 5, 1, get("/slow")), frame(3, 0, 1, "\0\0\0")],
    "goaway 6",
  ],
  [
    "trailers that do not end the stream",
    [frame(1, 4, 1, get("/slow")), frame(1, 4, 1, literal("x", "y"))],
    "goaway 1",
    "reset 1",
  ],
  [
    "trailers with a pseudo-header field",
    [frame(1, 4, 1, get("/slow")), frame(1, 5, 1, "\x82")],
    "reset 2",
    "reset 1",
  ],
];

for (const [what, frames, verdict, ours = verdict] of BROKEN) {
  test(`${what} is answered with ${ours}`, { skip }, async () => {
    const verdicts: Record<string, string> = {};
    for (const name of SIDES) {
      const client = new RawHttp2(side(name).proxy.ports["www"] as number);
      client.write(...frames);
      verdicts[name] = await client.verdict(
        verdict === "nothing" && name === "haproxy" ? 300 : 3_000,
      );
      client.end();
    }
    assert.deepEqual(verdicts, { haproxy: verdict, io_uring: ours, epoll: ours });
  });
}

test("a websocket over extended CONNECT goes to a server of HTTP/1 as an upgrade, and back", {
  skip,
}, async () => {
  for (const name of SIDES) {
    const session = http2.connect(`http://127.0.0.1:${side(name).proxy.ports["www"]}`);
    session.on("error", () => {});
    await new Promise<void>((resolve) => session.once("remoteSettings", () => resolve()));
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": "/chat",
    });
    const status = await new Promise((resolve) =>
      stream.once("response", (head) => resolve(head[":status"])),
    );
    assert.equal(status, 200, name);
    let got = "";
    stream.setEncoding("latin1");
    stream.on("data", (text: string) => (got += text));
    stream.write("one");
    for (let i = 0; i < 200 && !got.includes("echo one"); i++) await pause(10);
    stream.write("two");
    for (let i = 0; i < 200 && !got.includes("echo two"); i++) await pause(10);
    assert.equal(got, "echo oneecho two", name);
    session.destroy();
  }
});

test("windows of a thousand bytes slow an answer down and lose none of it", { skip }, async () => {
  for (const name of SIDES) {
    const session = http2.connect(`http://127.0.0.1:${side(name).proxy.ports["www"]}`, {
      settings: { initialWindowSize: 1_000 },
    });
    session.on("error", () => {});
    const bodies = await Promise.all(
      ["/big", "/second/big"].map(
        (path) =>
          new Promise<string>((resolve) => {
            const stream = session.request({ ":path": path });
            let body = "";
            stream.setEncoding("latin1");
            stream.on("data", (text: string) => (body += text));
            stream.on("end", () => resolve(body));
          }),
      ),
    );
    assert.equal(bodies[0], "0123456789".repeat(100_000), name);
    assert.equal(bodies[1], "y".repeat(500_000), name);
    session.destroy();
  }
});

test("what the server's connection is told of goes no further, and a server that hangs up is 502", {
  skip,
}, async () => {
  for (const name of OURS) {
    assert.equal(
      await curl(name, "www", "/hop"),
      "HTTP/2 200\ncontent-length: 0\nx-end: 2\nx-server-version: 1\n\n",
    );
    assert.match(await curl(name, "www", "/hang-up"), /^HTTP\/2 502/);
  }
});

test("request trailers reach servers of both kinds", { skip }, async () => {
  for (const name of OURS) {
    const { origin, seen, proxy } = side(name);
    origin.requests.length = seen.length = 0;
    const client = new RawHttp2(proxy.ports["www"] as number);
    for (const [id, path] of [
      [1, "/with"],
      [3, "/second/with"],
    ] as const) {
      client.write(
        frame(1, 4, id, get(path)),
        frame(0, 0, id, "data"),
        frame(1, 5, id, literal("x-sum", "9")),
      );
      await client.until("DATA", id);
    }
    client.end();
    assert.match(origin.requests[0] ?? "", /\r\n\r\n4\r\ndata\r\n0\r\nx-sum: 9\r\n\r\n$/);
    assert.match(seen[0] ?? "", /\/second\/with 4 .*"x-sum":"9"/);
  }
});

test("a stream that a server refuses is asked for again, and the client sees nothing of it", {
  skip,
}, async () => {
  for (const name of OURS) assert.match(await curl(name, "www", "/second/refuse"), /^HTTP\/2 200/);
});

test("h2load and nghttp find nothing to complain about", { skip }, async () => {
  for (const name of OURS) {
    const url = `http://127.0.0.1:${side(name).proxy.ports["www"]}`;
    const load = await run("h2load", [
      "-n",
      "2000",
      "-c",
      "10",
      "-m",
      "20",
      `${url}/load`,
      `${url}/second/load`,
    ]);
    assert.match(load, /2000 succeeded, 0 failed, 0 errored/);
    const shown = await run("nghttp", ["-nv", `${url}/big`]);
    assert.match(shown, /recv DATA frame .*flags=0x01/);
    assert.doesNotMatch(shown, /\[ERROR\]|INVALID/);
  }
});

test("ALPN chooses HTTP/2 on both sides of TLS, and HTTP/1 for those who ask for it", {
  skip,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "http2-tls-"));
  const pem = join(folder, "both.pem");
  await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...[
      "-keyout",
      join(folder, "key"),
      "-out",
      join(folder, "crt"),
      "-days",
      "30",
      "-subj",
      "/CN=test",
    ],
  ]);
  writeFileSync(
    pem,
    readFileSync(join(folder, "crt"), "latin1") + readFileSync(join(folder, "key"), "latin1"),
  );
  const origin = await startOrigin(answer);
  for (const name of SIDES) {
    const proxy = await startProxy(
      name === "haproxy" ? "haproxy" : "lbproxy",
      `
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend first
  bind {first} ssl crt ${pem} alpn h2,http/1.1
  http-response set-header X-Both %[ssl_fc_alpn]-%[bc_http_major]
  default_backend again
backend again
  server s1 {second} ssl verify none alpn h2
frontend second
  bind {second} ssl crt ${pem} alpn h2,http/1.1
  default_backend app
backend app
  server s1 127.0.0.1:${origin.port}
`,
      name === "haproxy" ? {} : { LBPROXY_EXECUTOR: name },
    );
    for (const [flag, version, alpn] of [
      ["--http2", "HTTP/2", "h2"],
      ["--http1.1", "HTTP/1.1", "http/1.1"],
    ] as const) {
      const text = await run("curl", [
        "-skim",
        "5",
        flag,
        `https://127.0.0.1:${proxy.ports["first"]}/big`,
      ]);
      assert.ok(text.startsWith(`${version} 200`), `${name} ${flag}: ${text.slice(0, 200)}`);
      assert.match(text, new RegExp(`x-both: ${alpn}-2\r`, "i"));
      assert.ok(text.endsWith("0123456789".repeat(100_000)), name);
    }
    await proxy.stop();
  }
  await origin.close();
  rmSync(folder, { recursive: true });
});

test("a soft stop says GOAWAY, serves what is under way, and closes", { skip }, async () => {
  const origin = await startOrigin(answer);
  const proxy = await startProxy(
    "lbproxy",
    `
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
listen www
  bind {www} proto h2
  server s1 127.0.0.1:${origin.port}
`,
  );
  const client = new RawHttp2(proxy.ports["www"] as number);
  client.write(frame(1, 5, 1, get("/slow")));
  for (let i = 0; i < 200 && origin.requests.length === 0; i++) await pause(10);
  proxy.process.kill("SIGUSR1");
  assert.equal(await client.until("GOAWAY"), "goaway 0");
  assert.match(await client.until("DATA", 1), /^DATA/);
  assert.equal(client.body(1), "slow");
  for (let i = 0; i < 300 && !client.isClosed; i++) await pause(10);
  assert.ok(client.isClosed);
  client.end();
  await proxy.stop();
  await origin.close();
});
