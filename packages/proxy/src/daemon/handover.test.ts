import assert from "node:assert/strict";
import { closeSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { parseAddress } from "@ha/base";
import { closeDescriptor, listenStream, socketPair } from "@ha/linux/ring";
import { parseCommandLine } from "./cli.ts";
import { giveSockets, takeOverSockets } from "./handover.ts";
import { descriptorKey } from "./socket-key.ts";
import { StartReport } from "./start-report.ts";

const folder = mkdtempSync(join(tmpdir(), "handover-"));
after(() => rmSync(folder, { recursive: true }));

function listener(): number {
  const address = parseAddress("127.0.0.1");
  assert.ok(address !== undefined);
  const fd = listenStream({ address: { kind: "inet", address, port: 0 }, backlog: 8 });
  assert.ok(typeof fd === "number");
  return fd;
}

/** A predecessor in a thread of its own, since the successor waits without a turn of the loop. */
async function predecessor(path: string, what: string): Promise<Worker> {
  const source = `
    const { createServer } = require("node:net");
    import(${JSON.stringify(new URL("./handover.js", import.meta.url).href)}).then(({ giveSockets }) => {
      createServer((socket) => socket.once("data", () => { ${what} }))
        .listen(${JSON.stringify(path)}, () => require("node:worker_threads").parentPort.postMessage("up"));
    });`;
  const thread = new Worker(source, { eval: true });
  await new Promise((resolve) => thread.once("message", resolve));
  return thread;
}

const take = (path: string, report: StartReport) =>
  takeOverSockets(parseCommandLine(["-f", "x", "-x", path]), report);

test("all sockets come over, also more than one message carries, each known by its address", async () => {
  const sockets = Array.from({ length: 130 }, listener);
  const path = join(folder, "many.sock");
  const list = JSON.stringify(sockets.map((fd, i) => ({ fd, device: i === 0 ? "lo" : "" })));
  const thread = await predecessor(path, `giveSockets(socket._handle.fd, ${list});`);
  const report = new StartReport(true);
  const taken = take(path, report);
  assert.deepEqual(report.lines, []);
  assert.deepEqual(
    taken.map(({ key }) => key),
    sockets.map((fd, i) => descriptorKey(fd, i === 0 ? "lo" : "")),
  );
  assert.match(taken[0]?.key ?? "", /^127\.0\.0\.1:\d+%lo$/);
  for (const { fd } of taken) closeDescriptor(fd);
  for (const fd of sockets) closeDescriptor(fd);
  await thread.terminate();
});

test("a process that does not answer, closes, or is not there gives no sockets and a warning", async () => {
  for (const [what, words] of [
    ["socket.destroy();", "no answer"],
    ["socket.end(Buffer.from([3, 0, 0, 0]));", "0 of 3 sockets"],
    ["socket.end('Unknown command\\\\n');", "sockets came"],
  ] as const) {
    const path = join(folder, `${words.replaceAll(" ", "-")}-${what.length}.sock`);
    const thread = await predecessor(path, what);
    const report = new StartReport(true);
    assert.deepEqual(take(path, report), []);
    assert.match(report.lines.join(""), new RegExp(`Failed to get the sockets.*${words}`));
    await thread.terminate();
  }
  const report = new StartReport(true);
  assert.deepEqual(take(join(folder, "nobody.sock"), report), []);
  assert.match(report.lines.join(""), /Failed to get the sockets/);
});

test("a successor that leaves in between ends the gift", () => {
  const fds = socketPair();
  assert.ok(fds !== undefined);
  closeSync(fds[1]);
  assert.equal(giveSockets(fds[0], [{ fd: 0, device: "" }]), false);
  closeSync(fds[0]);
});

test("a unix socket is known by its path, also one that was bound under HAProxy's temporary name", async () => {
  const path = join(folder, "web.sock");
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.123.tmp`, () => resolve()));
  assert.ok(existsSync(`${path}.123.tmp`));
  const { _handle: handle } = server as unknown as { _handle: { fd: number } };
  assert.equal(descriptorKey(handle.fd, ""), `unix@${path}`);
  await new Promise((resolve) => server.close(resolve));
});
