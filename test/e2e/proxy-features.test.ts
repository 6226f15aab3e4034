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

// Goal: what a site builds from frontends, rules and servers behaves as under HAProxy. Method: one configuration with
// a frontend for each feature, run by both programs beside each other; answers, logs and what the origin saw are
// compared.
const skip = lacksHaproxy();

const answer: Answer = (request, socket) => {
  const path = request.split(" ")[1] ?? "";
  if (request.startsWith("CONNECT")) {
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => socket.write(`echo ${chunk.toString("latin1")}`));
    return "HTTP/1.1 200 OK\r\n\r\n";
  }
  if (path.startsWith("/slow")) {
    setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"), 300);
    return undefined;
  }
  if (path === "/large")
    return `HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${"x".repeat(3_000_000)}`;
  if (path === "/large-chunked") {
    const chunk = `1e848\r\n${"y".repeat(125_000)}\r\n`;
    return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}0\r\n\r\n`;
  }
  if (path === "/500") return "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\noh";
  const size = request.length;
  return `HTTP/1.1 200 OK\r\nContent-Length: ${String(size).length}\r\n\r\n${size}`;
};

const configuration = (port: number) => `
global
  log {log} local0
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 10s
  timeout server 2s
  timeout http-keep-alive 10s
  timeout queue 200ms
  timeout tarpit 100ms
  retries 1
frontend rules
  bind {rules}
  option forwardfor
  capture request header X-Seen len 5
  capture response header Content-Length len 10
  http-request deny if { path_beg /private }
  http-request return status 200 content-type text/plain string hi if { path /return }
  http-request redirect location /elsewhere if { path /redirect }
  http-request tarpit if { path /tarpit }
  http-request reject if { path /reject }
  http-request auth if { path /auth }
  http-request set-header X-Added yes
  http-request del-header X-Gone
  http-request set-path /changed%[path] if { path_beg /change }
  http-request wait-for-body time 500ms if { path /body }
  http-request deny deny_status 429 if { path /body } { req.body -m sub bad }
  http-response set-header X-Back yes
  http-response del-header X-Nothing
  http-after-response set-header X-After yes
  use_backend other if { path_beg /other }
  default_backend app
frontend monitored
  bind {monitored}
  monitor-uri /alive
  default_backend app
frontend nothing
  bind {nothing}
  use_backend app if { path /only }
frontend limited
  bind {limited}
  default_backend one
frontend elsewhere
  bind {elsewhere}
  default_backend redispatching
frontend moved
  bind {moved}
  default_backend moving
frontend retried
  bind {retried}
  default_backend retrying
frontend serverclose
  bind {serverclose}
  option http-server-close
  default_backend app
frontend proxied
  bind {proxied} accept-proxy
  option forwardfor
  default_backend app
frontend sending1
  bind {sending1}
  default_backend proxy1
frontend sending2
  bind {sending2}
  default_backend proxy2
listen tcprules
  mode tcp
  bind {tcprules}
  option tcplog
  tcp-request inspect-delay 300ms
  tcp-request content reject if { req.payload(0,3) -m str BAD }
  tcp-request content accept if { req.len ge 3 }
  balance roundrobin
  server s1 127.0.0.1:${port}
listen refusing
  mode tcp
  bind {refusing}
  option tcplog
  tcp-request connection reject if { src 127.0.0.0/8 }
  balance roundrobin
  server s1 127.0.0.1:${port}
backend app
  balance roundrobin
  server s1 127.0.0.1:${port}
backend other
  balance roundrobin
  cookie SRV insert indirect nocache
  server a 127.0.0.1:${port} cookie ca
  server b 127.0.0.1:${port} cookie cb
backend one
  balance roundrobin
  server s1 127.0.0.1:${port} maxconn 1
backend redispatching
  balance roundrobin
  option redispatch
  server dead {dead}
  server s1 127.0.0.1:${port} backup
backend moving
  balance roundrobin
  option redispatch
  server dead {dead}
  server s1 127.0.0.1:${port}
backend retrying
  balance roundrobin
  retry-on 500
  retries 2
  server s1 127.0.0.1:${port}
backend proxy1
  balance roundrobin
  server s1 127.0.0.1:${port} send-proxy
backend proxy2
  balance roundrobin
  server s1 127.0.0.1:${port} send-proxy-v2
`;

interface Side {
  readonly origin: Origin;
  readonly proxy: RunningProxy;
}
const sides = new Map<ProgramName, Side>();

before(async () => {
  if (skip !== false) return;
  for (const program of ["haproxy", "lbproxy"] as const) {
    const origin = await startOrigin(answer);
    sides.set(program, { origin, proxy: await startProxy(program, configuration(origin.port)) });
  }
});

after(async () => {
  for (const { origin, proxy } of sides.values()) {
    await proxy.stop();
    await origin.close();
  }
});

type Pieces = readonly (string | number | "FIN")[];

async function observe(
  program: ProgramName,
  frontend: string,
  talks: readonly Pieces[],
  quiet: number,
) {
  const { origin, proxy } = sides.get(program) as Side;
  origin.requests.length = 0;
  proxy.logs.length = 0;
  const connections = origin.connections();
  const port = proxy.ports[frontend] as number;
  const answers = await Promise.all(talks.map((pieces) => talk(port, pieces, quiet)));
  await pause(80);
  return {
    answers: answers
      .map(({ text, ended }) => ({ text: shortened(normalised(text)), ended }))
      .sort(byText),
    requests: origin.requests.map((request) => shortened(normalised(withoutPorts(request)))).sort(),
    connections: origin.connections() - connections,
    logs: proxy.logs.map(normalisedLog).sort(),
  };
}

const byText = (a: { text: string }, b: { text: string }) => (a.text < b.text ? -1 : 1);
const shortened = (text: string) =>
  text.replaceAll(/(.)\1{99,}/gs, (run) => `${run[0]}*${run.length}`);
const withoutPorts = (request: string) =>
  request
    .replace(/^PROXY TCP4 (\S+) (\S+) \d+ \d+/, "PROXY TCP4 $1 $2 PORT PORT")
    // Of version 2 the script sees what follows its first empty line.
    .replace(/^(\0\r\nQUIT\n.{4}.{8}).{4}/s, "$1PPPP");

function same(
  name: string,
  frontend: string,
  talks: readonly Pieces[],
  options: {
    quiet?: number;
    without?: readonly ("logs" | "requests" | "connections" | "answers")[];
  } = {},
): void {
  test(name, { skip }, async () => {
    const [theirs, ours] = [
      await observe("haproxy", frontend, talks, options.quiet ?? 300),
      await observe("lbproxy", frontend, talks, options.quiet ?? 300),
    ] as const;
    for (const part of options.without ?? []) {
      if (part === "connections") theirs.connections = ours.connections = 0;
      else theirs[part] = ours[part] = [];
    }
    assert.deepEqual(ours, theirs);
  });
}

const GET = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: example\r\n${more}\r\n`;
const POST = (path: string, body: string, more = "") =>
  `POST ${path} HTTP/1.1\r\nHost: example\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

same("rules change the request and the response", "rules", [
  [GET("/plain", "X-Gone: 1\r\nX-Seen: 1234567\r\n")],
]);
same("a path is rewritten", "rules", [[GET("/change/a?b=c")]]);
same("deny answers 403 and keeps the connection", "rules", [[GET("/private"), 60, GET("/plain")]]);
same("return answers by itself", "rules", [[GET("/return")]]);
same("redirect answers 302", "rules", [[GET("/redirect")]]);
same("auth answers 401", "rules", [[GET("/auth")]]);
same("tarpit answers 500 after its time", "rules", [[GET("/tarpit")]], {
  quiet: 500,
  without: ["logs"],
});
same("reject ends the connection without a word", "rules", [[GET("/reject")]]);
same("a body is waited for and looked at", "rules", [
  [POST("/body", "all good"), 60, POST("/body", "this is bad")],
]);
same("a body in pieces is waited for", "rules", [
  ["POST /body HTTP/1.1\r\nHost: example\r\nContent-Length: 8\r\n\r\nall", 60, " good"],
]);
same(
  "the own answers pass http-after-response",
  "rules",
  [["HEAD /return HTTP/1.1\r\nHost: example\r\n\r\n"]],
  { without: ["logs"] },
);
const CHUNKS = (size: number) =>
  `${`1f40\r\n${"c".repeat(8_000)}\r\n`.repeat(size / 8_000)}0\r\n\r\n`;
same("a body larger than the buffer is passed on whole after it was waited for", "rules", [
  [POST("/body", "l".repeat(60_000)), 150, POST("/body", "short")],
]);
same(
  "a chunked body larger than the buffer is passed on whole after it was waited for",
  "rules",
  [
    [
      `POST /body HTTP/1.1\r\nHost: example\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS(48_000)}`,
      150,
      GET("/after"),
    ],
  ],
  { without: ["answers", "connections"] },
);
same("a cookie is inserted", "rules", [[GET("/other/1")]]);
same("a cookie leads to its server", "rules", [[GET("/other/1", "Cookie: SRV=cb\r\n")]]);
same("a cookie of no server is replaced", "rules", [
  [GET("/other/1", "Cookie: SRV=none; a=b\r\n")],
]);
same(
  "monitor-uri is answered and not logged as a request of the backend",
  "monitored",
  [[GET("/alive")]],
  { without: ["logs"] },
);
same("no backend is a 503", "nothing", [[GET("/none")]], { without: ["logs"] });
same(
  "requests beyond maxconn wait their turn or leave with 503",
  "limited",
  [[GET("/slow/1")], [30, GET("/slow/2")], [60, GET("/slow/3")]],
  { quiet: 1_200, without: ["logs"] },
);
same("a dead server is left for another", "moved", [[GET("/x")]], { quiet: 2_500 });
same("a dead server is not left for a backup while it counts as up", "elsewhere", [[GET("/x")]], {
  quiet: 2_500,
});
same("retry-on repeats a request that failed", "retried", [[GET("/500")]], { quiet: 500 });
same("http-server-close closes towards the server only", "serverclose", [
  [GET("/1"), 60, GET("/2")],
]);
same(
  "PROXY protocol version 1 tells the client's address",
  "proxied",
  [[`PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n${GET("/x")}`]],
  { without: ["logs"] },
);
same(
  "PROXY protocol version 2 tells the client's address",
  "proxied",
  [[`\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc0\0\x02\x08\x04\xd2\0\x50${GET("/x")}`]],
  { without: ["logs"] },
);
same("a connection that lacks the PROXY header is closed", "proxied", [[GET("/x")]], {
  without: ["logs"],
});
same("send-proxy tells the server the client's address", "sending1", [[GET("/x")]]);
same("send-proxy-v2 tells the server the client's address", "sending2", [[GET("/x")]]);
same("TCP rules see the first bytes", "tcprules", [["BADxxxx"]]);
same("TCP rules let the others pass", "tcprules", [[GET("/x")]]);
same("TCP rules wait for bytes", "tcprules", [["GE", 60, GET("/x").slice(2)]]);
same("TCP rules give up waiting", "tcprules", [["GE"]], { quiet: 600, without: ["logs"] });
same("tcp-request connection reject closes at once", "refusing", [["x"]], { without: ["logs"] });
same("a large answer arrives whole", "monitored", [[GET("/large")]], { quiet: 800 });
same("a large chunked answer arrives whole", "monitored", [[GET("/large-chunked")]], {
  quiet: 800,
});
same("a large body arrives whole", "monitored", [[POST("/up", "z".repeat(2_000_000))]], {
  quiet: 800,
});
same(
  "CONNECT makes a tunnel",
  "monitored",
  [["CONNECT example:8443 HTTP/1.1\r\nHost: example:8443\r\n\r\n", 60, "ping", 60, "pong"]],
  { without: ["logs"] },
);
same("an absolute target is passed on", "monitored", [
  ["GET http://example/abs HTTP/1.1\r\nHost: example\r\n\r\n"],
]);

test("a request line longer than the buffer is 414, fields longer than it are 431", {
  skip,
}, async () => {
  const { proxy } = sides.get("lbproxy") as Side;
  const port = proxy.ports["monitored"] as number;
  const long = await talk(port, [`GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`], 300);
  assert.match(long.text, /^HTTP\/1\.1 414 URI Too Long\r\n/);
  const wide = await talk(port, [GET("/", `X: ${"a".repeat(20_000)}\r\n`)], 300);
  assert.match(wide.text, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
  const many = await talk(port, [GET("/", "X: a\r\n".repeat(150))], 300);
  assert.match(many.text, /^HTTP\/1\.1 431 /);
});
