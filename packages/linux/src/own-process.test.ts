import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { lockFile, setProcessName } from "./own-process.ts";
import { peerCredentials } from "./peer-credentials.ts";
import { applySysctls, readSysctl, writeSysctl } from "./sysctl.ts";

const folder = mkdtempSync(join(tmpdir(), "own-process-"));
after(() => rmSync(folder, { recursive: true }));
const notRoot = process.getuid?.() === 0 ? false : "needs root";
const MODULE = new URL("./own-process.js", import.meta.url).href;

function inChild(text: string): string {
  const source = `import * as own from ${JSON.stringify(MODULE)};\nimport { execSync } from "node:child_process";\n${text}`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", source], {
    encoding: "utf8",
  });
  return run.stdout + run.stderr;
}

test("the process takes a name", () => {
  assert.equal(setProcessName("ha-name-test-beyond"), undefined);
  assert.equal(readFileSync("/proc/self/comm", "utf8"), "ha-name-test-be\n");
  assert.equal(setProcessName("node"), undefined);
});

test("real-time scheduling and affinity are ours alone, children are ordinary", {
  skip: notRoot,
}, () => {
  const output = inChild(`
    console.log(own.setRealtimePriority(10), own.setCpuAffinity([0]));
    console.log(execSync("chrt -p " + process.pid).toString());
    console.log(execSync("taskset -p " + process.pid).toString());
    console.log(execSync("chrt -p $$").toString());
    console.log(own.setRealtimePriority(1000)?.code, own.setResourceLimit("rttime", { soft: 10000, hard: 20000 }));
    console.log(execSync("grep realtime.timeout /proc/" + process.pid + "/limits").toString());
  `);
  assert.match(output, /undefined undefined/);
  assert.match(output, /policy: SCHED_RR\|SCHED_RESET_ON_FORK/);
  assert.match(output, /affinity mask: 1\n/);
  assert.match(output, /policy: SCHED_OTHER/);
  assert.match(output, /EINVAL undefined/);
  assert.match(output, /realtime timeout\s+10000\s+20000/);
});

test("a locked file cannot be locked again from another opening", () => {
  const path = join(folder, "pid");
  const first = openSync(path, "w");
  const second = openSync(path, "w");
  assert.equal(lockFile(first), undefined);
  assert.equal(lockFile(second)?.code, "EAGAIN");
});

test("the peer of a Unix socket is known", async () => {
  const path = join(folder, "socket");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const client = connect(path);
  const socket = await accepted;
  const handle = (socket as unknown as { _handle: { fd: number } })._handle;
  assert.deepEqual(peerCredentials(handle.fd), {
    pid: process.pid,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
  });
  client.destroy();
  socket.destroy();
  server.close();
});

test("kernel settings are set and put back, unless someone else has changed them", {
  skip: notRoot,
}, () => {
  const source = `
    import { unshareNetwork } from ${JSON.stringify(MODULE)};
    import { applySysctls, readSysctl, vmacSysctls, writeSysctl } from ${JSON.stringify(new URL("./sysctl.js", import.meta.url).href)};
    unshareNetwork();
    const key = (name) => ["net", "ipv4", "conf", "lo", name];
    const applied = applySysctls([{ words: key("arp_ignore"), value: "1" }, { words: key("arp_filter"), value: "1" }, { words: key("nonsense"), value: "1" }]);
    console.log(readSysctl(...key("arp_ignore")), readSysctl(...key("arp_filter")), applied.errors.map((e) => e.code).join());
    writeSysctl(key("arp_filter"), "0");
    writeSysctl(key("arp_filter"), "1");
    console.log(writeSysctl(key("arp_ignore"), "2"));
    console.log(applied.restore().length, readSysctl(...key("arp_ignore")), readSysctl(...key("arp_filter")));
    const rp = (device) => readSysctl("net", "ipv4", "conf", device, "rp_filter");
    writeSysctl(["net", "ipv4", "conf", "all", "rp_filter"], "1");
    const vmac = applySysctls(vmacSysctls({ vmac: "lo", parent: "default" }));
    console.log(rp("all"), rp("default"), rp("lo"), vmac.errors.length);
    vmac.restore();
    console.log(rp("all"), rp("default"));
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", source], {
    encoding: "utf8",
  });
  assert.equal(output, "1 1 ENOENT\nundefined\n0 2 0\n0 1 0 0\n0 1\n");
  assert.equal(typeof applySysctls, "function");
  assert.ok(readSysctl("no", "such") instanceof Error);
  assert.equal(writeSysctl(["no", "such"], "1")?.code, "ENOENT");
});
