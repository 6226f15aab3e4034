import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { LBPROXY, until } from "../support/lbproxy.ts";
import {
  freePort,
  type Origin,
  type RunningProxy,
  startOrigin,
  startProxy,
  talk,
} from "../support/proxy-pair.ts";

// Goal: options that change what goes over the wire do so. Method: one configuration with a frontend for each; the
// origin answers with the header lines that the request's path holds, so that a test words both sides itself.
let origin: Origin;
let ringServer: Server;
let ringText = "";
let proxy: RunningProxy;
let folder = "";

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "proxy-options-"));
  writeFileSync(join(folder, "404.http"), "HTTP/1.1 404 Nope\r\ncontent-length: 5\r\n\r\nnope\n");
  origin = await startOrigin((request) => {
    // A PROXY header may come first.
    const path = decodeURIComponent(/[A-Z]+ \/(\S*) HTTP/.exec(request)?.[1] ?? "");
    const [status, ...lines] = path.split("|");
    const fields = lines.map((line) => `${line}\r\n`).join("");
    return `HTTP/1.1 ${status || "200 OK"}\r\nContent-Length: 2\r\n${fields}\r\nok`;
  });
  ringServer = createServer((socket) => {
    socket.on("data", (chunk) => (ringText += chunk.toString("latin1")));
    socket.on("error", () => socket.destroy());
  });
  const ringPort = await freePort();
  await new Promise<void>((resolve) => ringServer.listen(ringPort, "127.0.0.1", resolve));
  const [first, second] = [await freePort(), await freePort()].sort((a, b) => a - b);
  const server = `127.0.0.1:${origin.port}`;
  proxy = await startProxy(
    "lbproxy",
    `
global
  nbthread 2
  stats socket ${"{"}api} level admin
  log {log} format rfc5424 local0
  log-tag all
  tune.stick-counters 5
  set-var proc.greeting str(hello)
  set-var-fmt proc.number "n%[int(3)]"
  h1-case-adjust x-foo X-FOO
  h1-case-adjust connection CONNECTION
http-errors pages
  errorfile 404 ${join(folder, "404.http")}
ring kept
  format iso
  maxlen 60
  size 20000
  server s 127.0.0.1:${ringPort} log-proto octet-count
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  default_backend plain
frontend spelt
  bind {spelt} shards by-thread
  option h1-case-adjust-bogus-client
  default_backend spelling
frontend rejects
  bind {rejects} thread 1
  option http-restrict-req-hdr-names reject
frontend deletes
  bind {deletes} thread 2
  option http-restrict-req-hdr-names delete
frontend forwards
  bind {forwards}
  option forwarded proto host by-expr str(_me) for for_port-expr int(10)
frontend caches
  bind {caches}
  default_backend careful
frontend replies
  bind {replies}
  log-tag mine
  log ring@kept local0
  log-format-sd [x@1\\ path=\\"%HP\\"]
  http-request deny deny_status 404 if { path /404 }
  http-request deny deny_status 410 if { path /410 }
  http-request return status 200 content-type text/plain lf-string "%[var(proc.greeting)] %[var(proc.number)]" if { path /vars }
  http-request track-sc4 src table counted
  http-request return status 200 content-type text/plain lf-string "%[sc_http_req_cnt(4)]" if { path /count }
  http-error status 404 errorfiles pages
  http-error status 410 content-type text/plain lf-string "gone from %[src]" hdr x-why me
frontend told
  bind {told}
  unique-id-format ID-%ci
  default_backend telling
frontend sources
  bind {sources}
  default_backend ranged
frontend rewrites
  bind {rewrites}
  http-request strict-mode off
  http-request set-header x-long "${"%[req.hdr(big)]".repeat(20)}"
frontend hurries
  bind {hurries}
  http-request set-retries int(0)
  default_backend closed
backend closed
  retries 3
  server s 127.0.0.1:1
backend plain
  server s ${server}
backend spelling
  option h1-case-adjust-bogus-server
  server s ${server}
backend careful
  option checkcache
  server s ${server}
backend telling
  server s ${server} send-proxy-v2 proxy-v2-options unique-id,ssl set-proxy-v2-tlv-fmt(0xE1) "v=%[src]"
backend ranged
  http-reuse never
  source 127.0.0.1:${first}-${second}
  server s ${server} tcp-ut 5s cc reno
backend counted
  stick-table type ip size 10 store http_req_cnt
`,
  );
});

after(async () => {
  await proxy?.stop();
  await origin?.close();
  ringServer?.close();
  rmSync(folder, { recursive: true });
});

const request = async (
  frontend: string,
  path: string,
  { method = "GET", fields = "" } = {},
): Promise<string> => {
  const head = `${method} /${path} HTTP/1.1\r\nHost: site.test\r\n${fields}Connection: close\r\n\r\n`;
  return (await talk(proxy.ports[frontend] ?? 0, [head])).text;
};

const command = (line: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(proxy.ports["api"] ?? 0, "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString("latin1")));
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
    socket.write(`${line}\n`);
  });

const lastSeen = (): string => origin.requests.at(-1) ?? "";

test("h1-case-adjust spells the names of its table in both directions, and connection that we add", async () => {
  const answer = await request("spelt", "200%20OK%7Cx-foo:%201", { fields: "x-foo: 2\r\n" });
  assert.match(answer, /\r\nX-FOO: 1\r\n/);
  assert.match(answer, /\r\nCONNECTION: close\r\n/);
  assert.match(lastSeen(), /\r\nX-FOO: 2\r\n/);
});

test("http-restrict-req-hdr-names refuses or removes names that applications misread", async () => {
  const fields = "x_bar: 1\r\nx.y: 2\r\nok-1: 3\r\n";
  assert.match(await request("rejects", "", { fields }), /^HTTP\/1\.1 403 /);
  assert.match(await request("rejects", "", { fields: "ok-1: 3\r\n" }), /^HTTP\/1\.1 200 /);
  assert.match(await request("deletes", "", { fields }), /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(lastSeen(), /x_bar|x\.y/);
  assert.match(lastSeen(), /ok-1: 3/);
});

test("option forwarded adds what RFC 7239 says, in HAProxy's order", async () => {
  await request("forwards", "");
  assert.match(
    lastSeen(),
    /\r\nforwarded: proto=http;host="site\.test";by=_me;for="127\.0\.0\.1:10"\r\n/,
  );
});

test("checkcache blocks a cookie in what caches may keep, and nothing else", async () => {
  const status = async (lines: string, method = "GET") =>
    (await request("caches", encodeURIComponent(lines), { method })).slice(9, 12);
  const cookie = "set-cookie: a=b";
  for (const blocked of [
    `200 OK|${cookie}`,
    `404 No|${cookie}`,
    `200 OK|${cookie}|cache-control: public`,
    `200 OK|${cookie}|cache-control: max-age=10`,
    `302 Go|${cookie}|cache-control: public`,
    "200 OK|set-cookie2: a=b",
  ]) {
    assert.equal(await status(blocked), "502", blocked);
  }
  for (const passed of [
    "200 OK|x: y",
    `302 Go|${cookie}`,
    ...[
      "private",
      "no-cache",
      "no-store",
      "max-age=0",
      "s-maxage=0",
      'no-cache="set-cookie, x"',
    ].map((value) => `200 OK|${cookie}|cache-control: ${value}`),
    `200 OK|${cookie}|pragma: no-cache`,
  ]) {
    assert.equal(await status(passed), passed.slice(0, 3), passed);
  }
  assert.equal(await status(`200 OK|${cookie}`, "DELETE"), "200");
});

test("http-error takes its page from a section or words it itself", async () => {
  assert.match(await request("replies", "404"), /^HTTP\/1\.1 404 Nope\r\n.*nope\n$/s);
  const gone = await request("replies", "410");
  assert.match(gone, /^HTTP\/1\.1 410 Gone\r\nx-why: me\r\n/);
  assert.match(gone, /gone from 127\.0\.0\.1$/);
});

test("process variables of the global section are there for rules", async () => {
  assert.match(await request("replies", "vars"), /\r\n\r\nhello n3$/);
});

test("a fifth tracking counter counts where tune.stick-counters permits it", async () => {
  assert.match(await request("replies", "count"), /\r\n\r\n[1-9]\d*$/);
});

test("log-tag of a frontend and structured data stand in its lines, and the ring has its own form", async () => {
  await request("replies", "logged");
  await until("the line", () => proxy.logs.some((line) => line.includes("/logged")));
  const line = proxy.logs.find((text) => text.includes("/logged")) ?? "";
  assert.match(line, / mine \d+ - \[x@1 path="\/logged"\] 127\.0\.0\.1:/);
  const events = await command("show events kept");
  assert.match(events, /^\d{4}-\d\d-\d\dT\S+ 127\.0\.0\.1:\d+ \[/m);
  for (const kept of events.trim().split("\n")) assert.ok(kept.length <= 60, kept);
  await until("the ring's server has lines", () => /(^|\D)60 \d{4}-\d\d-/.test(ringText));
  assert.match(await command("show events"), /kept +: type=buffer/);
});

test("a server is told what proxy-v2-options and set-proxy-v2-tlv-fmt say", async () => {
  await request("told", "");
  // The signature begins with what ends a head.
  const header = Buffer.from(origin.requests.slice(-2).join(""), "latin1");
  assert.equal(header.subarray(0, 12).toString("latin1"), "\r\n\r\n\0\r\nQUIT\n");
  const tlvs = header.subarray(28, 16 + header.readUInt16BE(14)).toString("latin1");
  assert.equal(tlvs, "\xe1\0\x0bv=127.0.0.1\x05\0\x0cID-127.0.0.1\x20\0\x05\0\0\0\0\0");
});

test("a source range with a busy first port goes on with the next, and TCP options are taken", async () => {
  assert.match(await request("sources", ""), /^HTTP\/1\.1 200 /);
});

test("a rewriting without room counts as wrew where strict-mode is off, and the request goes on", async () => {
  const answer = await request("rewrites", "", { fields: `big: ${"x".repeat(1_000)}\r\n` });
  assert.match(answer, /^HTTP\/1\.1 200 /);
  const [head = "", row = ""] = (await command("show stat rewrites 1 -1")).split("\n");
  assert.equal(row.split(",")[head.split(",").indexOf("wrew")], "1");
});

test("set-retries takes the place of the backend's retries", async () => {
  const started = performance.now();
  const head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const { text } = await talk(proxy.ports["hurries"] ?? 0, [head], 5_000);
  assert.match(text, /^HTTP\/1\.1 503 /);
  assert.ok(performance.now() - started < 900, "no try follows after a second");
});

test("set rate-limit holds new sessions back until it is lifted", async () => {
  assert.equal((await command("set rate-limit sessions global 1")).trim(), "");
  await request("forwards", "");
  const started = performance.now();
  const head = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const { text } = await talk(proxy.ports["forwards"] ?? 0, [head], 5_000);
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.ok(performance.now() - started > 500, "a session beyond the limit waited");
  assert.equal((await command("set rate-limit sessions global 0")).trim(), "");
  assert.match(await command("show info"), /^SessRateLimit: 0$/m);
});

test("a limit of descriptors that cannot be had refuses the start", () => {
  const file = join(folder, "limits.cfg");
  writeFileSync(file, "global\n ulimit-n 2000000000\nlisten l\n bind 127.0.0.1:1\n");
  const { status, stderr } = spawnSync(process.execPath, [LBPROXY, "-db", "-f", file], {
    encoding: "utf8",
    timeout: 10_000,
  });
  assert.equal(status, 1);
  assert.match(stderr, /\[haproxy\.main\(\)\] Cannot raise FD limit to 2000000000, limit is \d+\./);
});

test("words without effect warn by name, and zero-warning makes that an error", () => {
  const file = join(folder, "warn.cfg");
  const run = (global: string) => {
    writeFileSync(
      file,
      `global\n${global}defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nlisten l\n mode http\n bind :1\n option independent-streams\n server s 127.0.0.1:1 check-reuse-pool\n`,
    );
    return spawnSync(process.execPath, [LBPROXY, "-c", "-f", file], { encoding: "utf8" });
  };
  const warned = run("");
  assert.equal(warned.status, 0);
  assert.match(warned.stderr, /'independent-streams' in 'option' is not supported by lbproxy/);
  assert.match(warned.stderr, /'check-reuse-pool' on a server line is not supported by lbproxy/);
  assert.equal(run(" zero-warning\n").status, 1);
  assert.equal(run(" quiet\n").stderr, "");
});
