import { strict as assert } from "node:assert";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as connectTls, createServer, type Server } from "node:tls";
import { fileURLToPath } from "node:url";
import {
  freePort,
  lacksHaproxy,
  type Origin,
  type RunningProxy,
  startOrigin,
  startProxy,
} from "../support/proxy-pair.ts";

// Goal: clients and servers with TLS see the same of HAProxy and of us, and so do the logs. Method: the same commands of
// curl and openssl s_client through both, and through us on both executors.
const skip = lacksHaproxy();
const LBPROXY = fileURLToPath(new URL("../../../packages/proxy/bin/lbproxy.js", import.meta.url));
const SIDES = ["haproxy", "io_uring", "epoll"] as const;
type Side = (typeof SIDES)[number];

const folder = mkdtempSync(join(tmpdir(), "proxy-tls-"));
const file = (name: string) => join(folder, name);
const proxies = new Map<Side, RunningProxy>();
let origin: Origin;
let secure: Server;
let securePort = 0;
/** Of connections to the origin with TLS: what each asked for, and whether it was resumed. */
const asked: string[] = [];

before(async () => {
  if (skip !== false) return;
  makeCertificates();
  origin = await startOrigin((request) => {
    const size = /^GET \/size\/(\d+)/.exec(request);
    const body =
      size === null
        ? request.split("\r\n\r\n").slice(1).join("\r\n\r\n")
        : "x".repeat(Number(size[1]));
    return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
  secure = createServer({
    cert: readFileSync(file("server.crt")),
    key: readFileSync(file("server.key")),
    ca: readFileSync(file("ca.crt")),
    requestCert: true,
    rejectUnauthorized: false,
  });
  secure.on("secureConnection", (socket) => {
    const { CN = "" } = socket.getPeerCertificate()?.subject ?? {};
    asked.push(
      `${socket.servername || "-"} ${CN || "-"} ${socket.isSessionReused() ? "resumed" : "full"}`,
    );
    socket.on("error", () => {});
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"));
  });
  secure.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
  securePort = (secure.address() as { port: number }).port;
  for (const side of SIDES) {
    const program = side === "haproxy" ? "haproxy" : "lbproxy";
    proxies.set(side, await startProxy(program, configuration(), { LBPROXY_EXECUTOR: side }));
  }
});

after(async () => {
  for (const proxy of proxies.values()) await proxy.stop();
  await origin?.close();
  secure?.close();
  rmSync(folder, { recursive: true, force: true });
});

function makeCertificates(): void {
  const openssl = (line: string) =>
    execFileSync("openssl", line.split(" "), { cwd: folder, stdio: "pipe" });
  const fresh = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9";
  openssl(`req -x509 ${fresh} -subj /CN=authority -keyout ca.key -out ca.crt`);
  openssl(`req -x509 ${fresh} -subj /CN=stranger -keyout other.key -out other.crt`);
  for (const [name, subject] of [
    ["server", "localhost"],
    ["client", "someone"],
  ]) {
    writeFileSync(file(`${name}.ext`), `subjectAltName=DNS:${subject}\n`);
    openssl(`req ${fresh} -subj /CN=${subject} -keyout ${name}.key -out ${name}.csr`);
    openssl(
      `x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -days 9 -out ${name}.crt -extfile ${name}.ext`,
    );
    writeFileSync(
      file(`${name}.pem`),
      readFileSync(file(`${name}.crt`), "utf8") + readFileSync(file(`${name}.key`), "utf8"),
    );
  }
  writeFileSync(
    file("other.pem"),
    readFileSync(file("other.crt"), "utf8") + readFileSync(file("other.key"), "utf8"),
  );
}

function configuration(): string {
  const crt = `ssl crt ${file("server.pem")}`;
  const ca = file("ca.crt");
  return `
global
  log {log} local0
  tune.ssl.lifetime 60
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 600ms
  timeout server 2s
  retries 0
frontend www
  bind {www} ${crt} alpn http/1.1
  default_backend app
frontend cached
  bind {cached} ${crt} no-tls-tickets
  default_backend app
frontend strict
  bind {strict} ${crt} verify required ca-file ${ca} name mutual
  default_backend app
frontend optional
  bind {optional} ${crt} verify optional ca-file ${ca} crt-ignore-err all ca-ignore-err all
  http-request set-header x-client "%[ssl_c_used] %[ssl_c_verify]"
  default_backend app
frontend new
  bind {new} ${crt} ssl-min-ver TLSv1.3
  default_backend app
frontend proxied
  bind {proxied} ${crt} accept-proxy
  default_backend app
frontend quiet
  option dontlognull
  bind {quiet} ${crt}
  default_backend app
listen raw
  mode tcp
  option tcplog
  bind {raw} ${crt}
  server s1 127.0.0.1:${origin.port}
frontend towards
  bind {towards}
  use_backend %[path,field(2,/)]
backend app
  server s1 127.0.0.1:${origin.port}
backend plain
  server s1 127.0.0.1:${securePort} ssl verify none
backend named
  server s1 127.0.0.1:${securePort} ssl verify required ca-file ${ca} sni str(localhost) crt ${file("client.pem")}
backend host
  server s1 127.0.0.1:${securePort} ssl verify required ca-file ${ca} verifyhost localhost
backend wrongname
  server s1 127.0.0.1:${securePort} ssl verify required ca-file ${ca} verifyhost elsewhere
backend wrongca
  server s1 127.0.0.1:${securePort} ssl verify required ca-file ${file("other.crt")}
backend notls
  server s1 127.0.0.1:${origin.port} ssl verify none
`;
}

/**
 * Output and exit code of a program. With `input`, its standard input stays open till it leaves by itself.
 */
function run(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: 8_000, maxBuffer: 64 << 20, encoding: "latin1" } as const;
    const child = execFile(command, args, options, (error, stdout, stderr) =>
      resolve(
        `${stdout}${stderr.trim() === "" ? "" : `\n${stderr}`}${error === null ? "" : `\nexit ${error.code}`}`,
      ),
    );
    child.stdin?.on("error", () => {});
    if (input === undefined) child.stdin?.end();
    else child.stdin?.write(input);
  });
}

/**
 * What comes over a connection with TLS until both ends have ended it; ours ends once `enough` has come. (openssl's
 * s_client keeps the rest of a record back until something else comes.)
 */
function stream(port: number, text: string, enough: (all: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
    let all = "";
    socket.setEncoding("latin1");
    socket.on("error", reject);
    socket.on("data", (chunk: string) => {
      all += chunk;
      if (enough(all)) socket.end();
    });
    socket.on("close", () => resolve(all));
    socket.write(text);
  });
}

const curl = (side: Side, name: string, path: string, ...more: string[]) =>
  run("curl", [
    "-sk",
    "--resolve",
    `localhost:${portOf(side, name)}:127.0.0.1`,
    ...more,
    `https://localhost:${portOf(side, name)}${path}`,
  ]);

function portOf(side: Side, name: string): number {
  return (proxies.get(side) as RunningProxy).ports[name] as number;
}

/** Runs it on every side, and tells that all gave what HAProxy gave; what that was, and the log lines of each. */
async function alike<T>(
  what: (side: Side) => Promise<T>,
  linesOf: (lines: string[]) => string[] = (lines) => lines,
) {
  const results = new Map<Side, { result: T; logs: string[] }>();
  for (const side of SIDES) {
    const { logs } = proxies.get(side) as RunningProxy;
    logs.length = 0;
    const result = await what(side);
    for (let seen = -1; seen !== logs.length; ) {
      seen = logs.length;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    results.set(side, { result, logs: linesOf(logs.map(normalised)) });
  }
  const reference = results.get("haproxy");
  for (const side of SIDES) assert.deepEqual(results.get(side), reference, side);
  return reference as { result: T; logs: string[] };
}

/** A line without what differs from run to run. */
function normalised(line: string): string {
  return (
    line
      .replace(/127\.0\.0\.1:\d+/, "CLIENT")
      .replace(/\[[^\]]*\]/, "[TIME]")
      // HAProxy counts its own form of a head.
      .replace(/ -?\d+\/-?\d+\/-?\d+\/-?\d+\/\+?\d+ (\d+) \d+ /, " TIMES $1 BYTES ")
      .replace(/ -?\d+\/-?\d+\/\+?\d+ (\d+) (--|\w\w) /, " TIMES $1 $2 ")
  );
}

test("requests, bodies both ways and large answers pass through TLS as through HAProxy's", {
  skip,
}, async () => {
  const { result, logs } = await alike(async (side) => {
    const body = "b".repeat(300_000);
    writeFileSync(file("body"), body);
    return [
      await curl(side, "www", "/size/5"),
      (await curl(side, "www", "/size/2000000")).length,
      (await curl(side, "www", "/", "--data-binary", `@${file("body")}`)) === body,
      (
        await curl(
          side,
          "www",
          "/",
          "-H",
          "Transfer-Encoding: chunked",
          "--data-binary",
          `@${file("body")}`,
        )
      ).replaceAll(/[^b]/g, "").length,
      await curl(side, "www", "/size/3", "--tls-max", "1.2", "-w", " %{http_version}"),
    ];
  });
  assert.deepEqual(result.slice(0, 3), ["xxxxx", 2_000_000, true]);
  assert.match(logs[0] ?? "", /^CLIENT \[TIME\] www~ app\/s1 TIMES 200 BYTES - - ---- /);
});

test("TCP mode carries streams, and the end of each in its direction", { skip }, async () => {
  const { result } = await alike(async (side) => {
    const text = await stream(portOf(side, "raw"), "GET /size/40000 HTTP/1.1\r\n\r\n", (all) =>
      /x{40000}$/.test(all),
    );
    return text.match(/x+/)?.[0].length;
  });
  assert.equal(result, 40_000);
});

test("handshakes that fail leave HAProxy's log line, and its alert with the client", {
  skip,
}, async () => {
  const { logs } = await alike(async (side) => [
    (await curl(side, "www", "/", "--tls-max", "1.1", "--ciphers", "ALL@SECLEVEL=0")).slice(-8),
    (await curl(side, "new", "/", "--tls-max", "1.2")).slice(-8),
    (await curl(side, "strict", "/")).slice(-8),
    (await curl(side, "strict", "/", "--tls-max", "1.2", "--cert", file("other.pem"))).slice(-8),
    await raw(portOf(side, "www"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    await raw(portOf(side, "www"), ""),
    await raw(portOf(side, "www"), "\x16\x03\x01\x02\x00"),
    await raw(portOf(side, "www"), undefined),
    await raw(portOf(side, "quiet"), "nonsense, and enough of it"),
    await raw(portOf(side, "quiet"), ""),
    await raw(portOf(side, "quiet"), undefined),
  ]);
  assert.deepEqual(
    logs.map((line) => line.replace("CLIENT [TIME] ", "")),
    [
      "www/1: SSL handshake failure",
      "new/1: SSL handshake failure",
      "strict/mutual: SSL handshake failure",
      "strict/mutual: SSL client certificate not trusted",
      "www/1: SSL handshake failure",
      "www/1: Connection closed during SSL handshake",
      "www/1: Connection closed during SSL handshake",
      "www/1: Timeout during SSL handshake",
      "quiet/1: SSL handshake failure",
    ],
  );
});

test("certificates of clients are checked, or only judged where errors are ignored", {
  skip,
}, async () => {
  const seen: string[] = [];
  await alike(async (side) => {
    origin.requests.length = 0;
    const answers = [
      await curl(side, "strict", "/size/2", "--cert", file("client.pem")),
      await curl(side, "optional", "/size/2"),
      await curl(side, "optional", "/size/2", "--cert", file("client.pem")),
      await curl(side, "optional", "/size/2", "--cert", file("other.pem")),
    ];
    const clients = origin.requests.map((request) => /x-client: (.*)\r/.exec(request)?.[1]);
    seen.push(JSON.stringify(clients));
    return { answers, clients };
  });
  assert.equal(seen[0], JSON.stringify([undefined, "0 0", "1 0", "1 18"]));
});

test("a client resumes by ticket in TLS 1.2 and 1.3, and by the cache without tickets", {
  skip,
}, async () => {
  const { result } = await alike(async (side) => {
    const found: string[] = [];
    for (const [name, version] of [
      ["www", "-tls1_2"],
      ["www", "-tls1_3"],
      ["cached", "-tls1_2"],
      ["cached", "-tls1_3"],
    ] as const) {
      const session = file(`session-${side}-${name}${version}`);
      const ask = (how: string) =>
        run(
          "openssl",
          ["s_client", version, "-connect", `127.0.0.1:${portOf(side, name)}`, how, session],
          "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        );
      await ask("-sess_out");
      found.push(/^(New|Reused), /m.exec(await ask("-sess_in"))?.[1] ?? "none");
    }
    return found;
  });
  assert.deepEqual(result, ["Reused", "Reused", "Reused", "Reused"]);
});

test("protocols are chosen by the bind's list; a PROXY header may stand before TLS", {
  skip,
}, async () => {
  const { result } = await alike(async (side) => [
    await curl(side, "www", "/size/1", "-w", " %{http_version}"),
    await curl(side, "proxied", "/size/1", "--haproxy-protocol"),
  ]);
  assert.deepEqual(result, ["x 1.1", "x"]);
});

test("servers are spoken to in TLS: name, certificate and trust as configured, else 503", {
  skip,
}, async () => {
  const ask = (side: Side, path: string) =>
    run("curl", [
      "-s",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      `http://127.0.0.1:${portOf(side, "towards")}/${path}`,
    ]);
  const { result, logs } = await alike(async (side) => {
    asked.length = 0;
    const codes: string[] = [];
    for (const path of ["plain", "named", "host", "wrongname", "wrongca", "notls"])
      codes.push(await ask(side, path));
    // TLS 1.3 gives tickets with the answer: the second connection of each resumes.
    for (const path of ["plain", "named"]) codes.push(await ask(side, path));
    return { codes, asked: asked.slice(0, 3), last: asked.slice(-2) };
  });
  assert.deepEqual(result.codes, ["200", "200", "200", "503", "503", "503", "200", "200"]);
  assert.deepEqual(result.asked, ["- - full", "localhost someone full", "- - full"]);
  assert.match(logs[3] ?? "", / towards wrongname\/s1 TIMES 503 BYTES - - SC-- /);
});

test("clients resume by ticket at the process that took over with -x", {
  timeout: 20_000,
}, async () => {
  const port = await freePort();
  const [socket, config, session] = [file("handover.sock"), file("handover.cfg"), file("handover")];
  if (skip !== false) makeCertificates();
  writeFileSync(
    config,
    `
global
  stats socket ${socket} level admin expose-fd listeners
defaults
  mode http
  timeout client 5s
frontend www
  bind 127.0.0.1:${port} ssl crt ${file("server.pem")}
  http-request return status 200 content-type text/plain lf-string "%[ssl_fc_is_resumed] of %pid"
`,
  );
  const start = async (...words: string[]) => {
    const child = spawn(process.execPath, [LBPROXY, "-db", "-f", config, ...words], {
      stdio: "ignore",
    });
    for (let tries = 0; (await ask("-no_ticket")).indexOf(` of ${child.pid}`) < 0; tries++) {
      assert.ok(tries < 100 && child.exitCode === null, "it serves");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return child;
  };
  const ask = (...how: string[]) =>
    run(
      "openssl",
      ["s_client", "-quiet", "-connect", `127.0.0.1:${port}`, ...how],
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
  const children: ChildProcess[] = [];
  try {
    const first = await start();
    children.push(first);
    assert.match(await ask("-sess_out", session), /0 of /);
    const second = await start("-x", socket, "-sf", String(first.pid));
    children.push(second);
    // The one before may still take some.
    let answer = await ask("-sess_in", session);
    for (let tries = 0; tries < 20 && !answer.includes(` of ${second.pid}`); tries++) {
      answer = await ask("-sess_in", session);
    }
    assert.match(answer, new RegExp(`1 of ${second.pid}`));
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
});

/** Sends it in clear; undefined sends nothing and waits. Gives the first byte that came back. */
function raw(port: number, text: string | undefined): Promise<number> {
  return new Promise((resolve) => {
    let first = -1;
    const socket = connect(port, "127.0.0.1", () => {
      if (text !== undefined) socket.end(text, "latin1");
    });
    socket.on("data", (chunk) => {
      if (first < 0) first = chunk[0] as number;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(first));
    setTimeout(() => socket.destroy(), 3_000).unref();
  });
}
