import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { CheckRun, type Finding } from "../../core/check/check-run.ts";
import { compileCheck } from "../../core/check/compile-check.ts";
import { backendOf, testScope } from "../../core/check/testing/checked-backend.ts";
import { AT_CHECK } from "../../core/sample/compile-context.ts";
import { createTestWorld, testContext } from "../../core/sample/testing/index.ts";
import { CheckSocket } from "./check-socket.ts";

const folder = mkdtempSync(join(tmpdir(), "check-socket-"));
const servers: Server[] = [];
const sockets = new Set<Socket>();
after(() => {
  for (const server of servers) server.close();
  for (const socket of sockets) socket.destroy();
  rmSync(folder, { recursive: true });
});

/** Listens on a free port, or on a path; gives what `server` lines say for it. */
async function listen(server: Server, path?: string): Promise<string> {
  servers.push(server);
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  server.unref();
  return path ?? `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that tells what it was sent first, and answers. */
async function echoing(answer = "", path?: string): Promise<{ address: string; heard: string[] }> {
  const heard: string[] = [];
  const server = createServer((socket: Socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      heard.push(data.toString("latin1"));
      if (answer !== "") socket.write(answer, "latin1");
    });
  });
  return { address: await listen(server, path), heard };
}

/** Checks one server as its line and its backend's lines say. */
async function check(
  lines: readonly string[],
  line: string,
  milliseconds = 1_000,
): Promise<Finding> {
  // The reader looks whether the file is there; the check reads it.
  const path = /ca-file (\S+)/.exec(line)?.[1];
  const files = path === undefined ? {} : { [path]: readFileSync(path, "latin1") };
  const backend = backendOf(lines, line, files);
  const [server] = backend.servers;
  const plan = compileCheck(backend, testContext(createTestWorld(), AT_CHECK, "check"));
  assert.ok(server !== undefined && plan !== undefined);
  const scope = testScope();
  return await new Promise((resolve) => {
    new CheckSocket(
      new CheckRun(plan, scope, true),
      scope,
      {
        server,
        address: server.address,
        checkPort: 0,
        source: undefined,
        connectTimeout: milliseconds,
        readTimeout: milliseconds,
      },
      resolve,
    ).start();
  });
}

test("a connection that stands passes, and one that is refused says so in the system's words", async () => {
  const { address } = await echoing();
  assert.equal((await check([], `server s ${address} check`)).status, "L4OK");
  const gone = createServer();
  const refused = await listen(gone);
  await new Promise<void>((resolve) => gone.close(() => resolve()));
  assert.deepEqual(await check([], `server s ${refused} check`), {
    status: "L4CON",
    code: 0,
    info: "Connection refused",
  });
});

test("a unix socket is checked like any other, and one that is not there says so", async () => {
  const { address } = await echoing("", join(folder, "a.sock"));
  assert.equal((await check([], `server s unix@${address} check`)).status, "L4OK");
  const absent = await check([], `server s unix@${join(folder, "b.sock")} check`);
  assert.equal(absent.info, "No such file or directory");
});

test("port and addr of the line lead the check elsewhere than traffic", async () => {
  const { address } = await echoing();
  const port = address.split(":")[1];
  assert.equal((await check([], `server s 127.0.0.1:1 check port ${port}`)).status, "L4OK");
  assert.equal((await check([], `server s 127.0.0.2:1 check addr ${address}`)).status, "L4OK");
  const script = ["option tcp-check", `tcp-check connect port ${port}`];
  assert.equal((await check(script, "server s 127.0.0.1:1 check")).status, "L4OK");
});

test("a check says who it is by the PROXY protocol as check-send-proxy and send-proxy want", async () => {
  const script = ["option tcp-check", "tcp-check send hello", "tcp-check expect string you"];
  const first = async (words: string) => {
    const { address, heard } = await echoing("you");
    await check(script, `server s ${address} check ${words}`);
    return heard.join("");
  };
  assert.equal(await first(""), "hello");
  assert.equal(await first("check-send-proxy"), "PROXY UNKNOWN\r\nhello");
  assert.equal(await first("send-proxy"), "PROXY UNKNOWN\r\nhello");
  const version2 = await first("send-proxy-v2");
  assert.equal(version2, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0hello");
});

test("a server that says nothing is given up after the time for reading", async () => {
  const { address } = await echoing();
  const found = await check(["option httpchk"], `server s ${address} check`, 80);
  assert.equal(found.status, "L7TOUT");
});

test("TLS checks verify what the line says, and a server without TLS fails at layer 6", async (t) => {
  const key = join(folder, "key.pem");
  const certificate = join(folder, "cert.pem");
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=example.org"],
    ...["-keyout", key, "-out", certificate],
  ]);
  if (made.status !== 0) return t.skip("openssl is not installed");
  const names: (string | false)[] = [];
  const secure = createTlsServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    (socket) => {
      names.push(socket.servername ?? false);
      socket.on("error", () => undefined);
      socket.on("data", () => socket.end("HTTP/1.0 200 OK\r\n\r\n"));
    },
  );
  secure.on("tlsClientError", () => undefined);
  const address = await listen(secure);
  const line = (words: string) => `server s ${address} check check-ssl ${words}`;
  assert.equal((await check([], line("verify none"))).status, "L6OK");
  assert.equal(
    (await check(["option httpchk"], line("verify none check-sni example.net"))).status,
    "L7OK",
  );
  assert.equal(names.at(-1), "example.net");
  assert.equal((await check([], line(`verify required ca-file ${certificate}`))).status, "L6OK");
  const distrusted = join(folder, "other.pem");
  spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other"],
    ...["-keyout", join(folder, "k2.pem"), "-out", distrusted],
  ]);
  assert.deepEqual(await check([], line(`verify required ca-file ${distrusted}`)), {
    status: "L6RSP",
    code: 0,
    info: "SSL handshake failure",
  });
  const plain = await echoing("HTTP/1.0 400 Bad\r\n\r\n");
  assert.equal(
    (await check([], `server s ${plain.address} check check-ssl verify none`)).status,
    "L6RSP",
  );
});

test("a check through a SOCKS4 proxy names the server to it, and its refusal is a failed connection", async () => {
  const accepted = await echoing("\0\x5a\0\0\0\0\0\0");
  const line = (address: string) =>
    `server s 192.0.2.7:80 check check-via-socks4 socks4 ${address}`;
  assert.equal((await check([], line(accepted.address))).status, "L4OK");
  assert.equal(accepted.heard.join(""), "\x04\x01\0\x50\xc0\0\x02\x07HAProxy\0");
  const denied = await echoing("\0\x5b\0\0\0\0\0\0");
  assert.equal((await check([], line(denied.address))).status, "L4CON");
});
