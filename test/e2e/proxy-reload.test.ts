import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { type HttpLoad, startHttpLoad } from "../support/http-load.ts";
import {
  ask,
  childrenOf,
  listenerInode,
  ProxyFolder,
  type Started,
  tryConnect,
  until,
} from "../support/lbproxy.ts";
import { freePort, lacksHaproxy, pause } from "../support/proxy-pair.ts";

// Goal: whatever happens to configurations and workers, no client is refused, and none that was accepted is reset.
// Method: clients that count every request that is not answered, while the proxy is reloaded, replaced, and killed.

/** Requests of each load; the long form is `LBPROXY_RELOAD_REQUESTS=200000`. */
const REQUESTS = Number(process.env["LBPROXY_RELOAD_REQUESTS"] ?? 20_000);
const BODY = "hello";
/** Milliseconds that a test may take. */
const LIMIT = 40_000 + REQUESTS;

function configuration(port: number, options: { global?: string; frontend?: string } = {}): string {
  return `global
  nbthread 2
  hard-stop-after 20s
${options.global ?? ""}
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
frontend www
  bind 127.0.0.1:${port}
${options.frontend ?? ""}
  http-request return status 200 content-type text/plain string "${BODY}"
`;
}

async function inFolder(body: (folder: ProxyFolder, port: number) => Promise<void>): Promise<void> {
  const folder = new ProxyFolder();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not over in time:\n${folder.output()}`)), LIMIT);
  });
  try {
    await Promise.race([body(folder, await freePort()), limit]);
  } finally {
    clearTimeout(timer);
    await folder.close();
  }
}

function load(port: number, requests = REQUESTS): HttpLoad {
  return startHttpLoad({
    port,
    keepAlive: 6,
    idling: { clients: 6, milliseconds: 30 },
    closing: 6,
    requests,
    body: BODY,
  });
}

const serves = (port: number) =>
  until("it serves", async () => (await tryConnect(port)) === "connected");
/** Starts a master, and waits until its first worker serves. */
async function startMaster(
  folder: ProxyFolder,
  args: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
): Promise<Started> {
  const master = folder.start(["-W", "-db", ...args], { environment });
  await until("it serves", () => successes(master) === 1);
  return master;
}

const successes = (master: Started) => master.output().split("Loading success.").length - 1;

test("USR2 reloads under load: every request is answered", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const master = await startMaster(folder, ["-p", folder.file("pid")]);
    const first = childrenOf(master.pid);
    const traffic = load(port, Number.POSITIVE_INFINITY);
    let reloads = 0;
    while (traffic.answered < REQUESTS || reloads < 3) {
      master.signal("SIGUSR2");
      reloads++;
      await until("a reload", () => successes(master) === 1 + reloads);
      await pause(150);
    }
    traffic.stop();
    await traffic.done;
    assert.deepEqual(traffic.failures, []);
    await until("one worker", () => childrenOf(master.pid).length === 1);
    assert.notDeepEqual(childrenOf(master.pid), first);
  }));

test("USR2 reloads under load with a server behind: every request is answered", () =>
  inFolder(async (folder, port) => {
    const origin = createHttpServer((_request, response) => response.end(BODY));
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", () => resolve()));
    const { port: behind } = origin.address() as AddressInfo;
    folder.write(
      `${configuration(port).replace(/ {2}http-request return.*\n/, "  default_backend app\n")}backend app\n  server s1 127.0.0.1:${behind} check\n`,
    );
    const master = await startMaster(folder);
    const traffic = load(port, Number.POSITIVE_INFINITY);
    for (let reloads = 1; traffic.answered < REQUESTS / 5 || reloads <= 3; reloads++) {
      master.signal("SIGUSR2");
      await until("a reload", () => successes(master) === 1 + reloads);
      await pause(150);
    }
    traffic.stop();
    await traffic.done;
    assert.deepEqual(traffic.failures, []);
    origin.closeAllConnections();
    origin.close();
  }));

test("a TCP session goes on through reloads, while new ones go to the new worker", () =>
  inFolder(async (folder, port) => {
    const echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", () => resolve()));
    const { port: behind } = echo.address() as AddressInfo;
    folder.write(
      `global\n  nbthread 2\ndefaults\n  mode tcp\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s\nlisten l\n  bind 127.0.0.1:${port}\n  server s1 127.0.0.1:${behind}\n`,
    );
    const master = await startMaster(folder);
    const socket = connect(port, "127.0.0.1");
    let text = "";
    let isClosed = false;
    socket.on("data", (chunk) => (text += chunk.toString("latin1")));
    socket.on("close", () => (isClosed = true));
    for (let round = 1; round <= 3; round++) {
      socket.write(`${round};`);
      await until("an echo", () => text.endsWith(`${round};`));
      if (round === 3) break;
      master.signal("SIGUSR2");
      await until("a reload", () => successes(master) === 1 + round);
      assert.equal(await tryConnect(port), "connected");
    }
    assert.equal(text, "1;2;3;");
    assert.equal(isClosed, false);
    // The first worker, which has the session, and the newest.
    await until("two workers", () => childrenOf(master.pid).length === 2);
    socket.end();
    await until("one worker", () => childrenOf(master.pid).length === 1);
    echo.close();
  }));

test("a process that follows another by -x and -sf loses no request, and has its very socket", () =>
  inFolder(async (folder, port) => {
    const stats = folder.file("stats.sock");
    folder.write(
      configuration(port, {
        global: `stats socket ${stats} level admin mode 600 expose-fd listeners`,
      }),
    );
    let running = folder.start(["-db", "-p", folder.file("pid")]);
    await serves(port);
    await until("a stats socket", () => existsSync(stats));
    const inode = listenerInode(port);
    assert.notEqual(inode, undefined);
    const traffic = load(port, Number.POSITIVE_INFINITY);
    for (let changes = 0; traffic.answered < REQUESTS || changes < 2; changes++) {
      const old = running;
      const follow = ["-x", stats, "-sf", String(old.pid)];
      running = folder.start(["-db", "-p", folder.file("pid"), ...follow]);
      assert.equal(await old.ended, 0, running.output());
      await pause(100);
    }
    traffic.stop();
    await traffic.done;
    assert.deepEqual(traffic.failures, []);
    assert.equal(listenerInode(port), inode);
    assert.equal(readFileSync(folder.file("pid"), "latin1").trim(), String(running.pid));
  }));

for (const [from, to] of [
  ["haproxy", undefined],
  [undefined, "haproxy"],
] as const) {
  test(
    `${to ?? "lbproxy"} takes over the sockets of ${from ?? "lbproxy"}`,
    { skip: lacksHaproxy() },
    () =>
      inFolder(async (folder, port) => {
        const stats = folder.file("stats.sock");
        folder.write(
          configuration(port, {
            global: `stats socket ${stats} level admin mode 600 expose-fd listeners`,
          }),
        );
        const options = (program: string | undefined) => (program === undefined ? {} : { program });
        const old = folder.start(["-db"], options(from));
        await serves(port);
        await until("a stats socket", () => existsSync(stats));
        const inode = listenerInode(port);
        const traffic = load(port, 2_000);
        const next = folder.start(["-db", "-x", stats, "-sf", String(old.pid)], options(to));
        await old.ended;
        await traffic.done;
        assert.equal(listenerInode(port), inode, next.output());
        // Idle clients of HAProxy are cut by its soft stop; those of ours are not.
        const failures = traffic.failures.filter(
          (text) => from === undefined || !/after 0 bytes/.test(text),
        );
        assert.deepEqual(failures, []);
      }),
  );
}

test("a file with an error leaves the workers alone, and is said", () =>
  inFolder(async (folder, port) => {
    const cli = folder.file("master.sock");
    folder.write(configuration(port));
    const master = await startMaster(folder, ["-S", `${cli},mode,600`]);
    const before = childrenOf(master.pid);
    folder.write(configuration(port, { frontend: "  nonsense" }));
    const answer = await ask(cli, "reload");
    assert.match(answer, /^Success=0\n--\n/);
    assert.match(
      answer,
      /parsing \[.*proxy\.cfg:\d+\] : unknown keyword 'nonsense' in 'frontend' section/,
    );
    assert.deepEqual(childrenOf(master.pid), before);
    assert.equal(await tryConnect(port), "connected");
    assert.match(await ask(cli, "show proc"), /master +1 \[failed: 1\]/);
    folder.write(configuration(port));
    assert.match(await ask(cli, "reload"), /^Success=1\n--\n/);
    assert.match(await ask(cli, "show startup-logs"), /Loading success/);
  }));

test("an address that is taken leaves the workers alone", () =>
  inFolder(async (folder, port) => {
    const other = new ProxyFolder();
    const taken = await freePort();
    const cli = folder.file("master.sock");
    try {
      // nginx or the like, without SO_REUSEPORT.
      const blocker = spawn(process.execPath, [
        "-e",
        `require("node:net").createServer().listen(${taken}, "127.0.0.1", () => console.log("up"))`,
      ]);
      await new Promise((resolve) => blocker.stdout.once("data", resolve));
      folder.write(configuration(port));
      const master = await startMaster(folder, ["-S", cli]);
      const before = childrenOf(master.pid);
      folder.write(configuration(port, { frontend: `  bind 127.0.0.1:${taken}` }));
      assert.match(await ask(cli, "reload"), /^Success=0\n--\n[\s\S]*Address already in use/);
      assert.deepEqual(childrenOf(master.pid), before);
      assert.equal(await tryConnect(port), "connected");
      blocker.kill("SIGKILL");
    } finally {
      await other.close();
    }
  }));

test("a reload opens what is new and closes what is gone", () =>
  inFolder(async (folder, port) => {
    const second = await freePort();
    const cli = folder.file("master.sock");
    folder.write(configuration(port));
    await startMaster(folder, ["-S", cli]);
    folder.write(configuration(second));
    assert.match(await ask(cli, "reload"), /^Success=1/);
    assert.equal(await tryConnect(second), "connected");
    await until("refused", async () => (await tryConnect(port)) === "ECONNREFUSED");
  }));

test("a killed worker is replaced while clients wait: nobody is refused", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const master = await startMaster(folder);
    const traffic = load(port, 6_000);
    for (let kills = 0; kills < 2; kills++) {
      await pause(300);
      const [worker] = childrenOf(master.pid);
      process.kill(worker as number, "SIGKILL");
      await until("another worker", () => childrenOf(master.pid)[0] !== worker);
    }
    await traffic.done;
    // What was under way in the killed process is lost with it: at most one request for each client.
    assert.ok(traffic.failures.length <= 2 * 18, traffic.failures.join("\n"));
    assert.deepEqual(
      traffic.failures.filter((text) => /REFUSED|no answer/.test(text)),
      [],
    );
    assert.match(master.output(), /Current worker \(\d+\) exited with code 137 \(Killed\)/);
  }));

test("a reload right after a crash leaves one worker, the reload's", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const master = await startMaster(folder);
    process.kill(childrenOf(master.pid)[0] as number, "SIGKILL");
    await until("another worker is starting", () => /Starting another/.test(master.output()));
    master.signal("SIGUSR2");
    await until("a reload", () => successes(master) === 2);
    await until("one worker", () => childrenOf(master.pid).length === 1);
    const last = master.output().match(/New worker \((\d+)\) forked(?![\s\S]*forked)/)?.[1];
    assert.deepEqual(childrenOf(master.pid), [Number(last)]);
  }));

test("LBPROXY_EXIT_ON_FAILURE=1 makes the master leave with a killed worker's code", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const master = await startMaster(folder, [], { LBPROXY_EXIT_ON_FAILURE: "1" });
    process.kill(childrenOf(master.pid)[0] as number, "SIGKILL");
    assert.equal(await master.ended, 137);
    assert.match(master.output(), /exit-on-failure/);
  }));

test("a reload that is asked for during the start follows it", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const master = folder.start(["-W", "-db"]);
    await serves(port);
    master.signal("SIGUSR2");
    await until("two starts", () => successes(master) === 2);
    await until("one worker", () => childrenOf(master.pid).length === 1);
  }));

test("an idle client is not cut by a reload: its next answer says close", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const master = await startMaster(folder);
    const socket = connect(port, "127.0.0.1");
    let text = "";
    let isClosed = false;
    socket.on("data", (chunk) => (text += chunk.toString("latin1")));
    socket.on("close", () => (isClosed = true));
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until("an answer", () => text.endsWith(BODY));
    assert.doesNotMatch(text, /connection: close/i);
    master.signal("SIGUSR2");
    await until("a reload", () => successes(master) === 2);
    await pause(200);
    assert.equal(isClosed, false);
    assert.equal(childrenOf(master.pid).length, 2);
    text = "";
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until("an answer", () => text.endsWith(BODY));
    assert.match(text, /connection: close/i);
    await until("the end", () => isClosed);
    await until("one worker", () => childrenOf(master.pid).length === 1);
  }));

test("hard-stop-after ends a worker whose client never leaves", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port).replace("hard-stop-after 20s", "hard-stop-after 500ms"));
    const master = await startMaster(folder);
    const socket = connect(port, "127.0.0.1");
    let isClosed = false;
    socket.on("error", () => {});
    socket.on("close", () => (isClosed = true));
    socket.write("GET / HTTP/1.1\r\n");
    await pause(100);
    master.signal("SIGUSR2");
    await until("the end", () => isClosed);
    await until("one worker", () => successes(master) === 2 && childrenOf(master.pid).length === 1);
  }));

for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGUSR1", 0],
] as const) {
  test(`a master that gets ${signal} leaves with ${status} within 2 s, and so do its workers`, () =>
    inFolder(async (folder, port) => {
      folder.write(configuration(port));
      const master = await startMaster(folder, ["-p", folder.file("pid")]);
      assert.equal(readFileSync(folder.file("pid"), "latin1"), `${master.pid}\n`);
      const workers = childrenOf(master.pid);
      const begin = performance.now();
      master.signal(signal);
      assert.equal(await master.ended, status);
      assert.ok(performance.now() - begin < 2_000);
      for (const pid of workers) assert.equal(existsSync(`/proc/${pid}`), false);
      assert.equal(await tryConnect(port), "ECONNREFUSED");
    }));
}

test("workers whose master was killed finish softly", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const master = await startMaster(folder);
    const [worker] = childrenOf(master.pid);
    master.signal("SIGKILL");
    await until("the worker's end", () => !existsSync(`/proc/${worker}`));
    assert.equal(await tryConnect(port), "ECONNREFUSED");
  }));

test("the first worker that cannot start ends the master", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port, { global: "chroot /nonexistent-folder-of-nobody" }));
    assert.equal(await folder.start(["-W", "-db"]).ended, 1);
  }));

const lacksSocat =
  spawnSync("socat", ["-V"]).error === undefined ? false : "socat is not installed";

test(
  "-Ws tells systemd: ready first, reloading with its time, stopping",
  { skip: lacksSocat },
  () =>
    inFolder(async (folder, port) => {
      const path = folder.file("notify.sock");
      const listener = spawn("socat", ["-u", `UNIX-RECV:${path}`, "STDOUT"]);
      let told = "";
      listener.stdout.on("data", (chunk: Buffer) => (told += chunk.toString("latin1")));
      await until("a listener", () => existsSync(path));
      try {
        folder.write(configuration(port));
        const master = folder.start(["-Ws", "-db"], { environment: { NOTIFY_SOCKET: path } });
        await until("READY", () => told.includes("READY=1"));
        assert.match(told, new RegExp(`^READY=1\\nMAINPID=${master.pid}`));
        assert.equal(await tryConnect(port), "connected");
        told = "";
        master.signal("SIGUSR2");
        await until("ready again", () => told.includes("READY=1"));
        assert.match(told, /^RELOADING=1\nMONOTONIC_USEC=\d+\n/);
        told = "";
        master.signal("SIGTERM");
        assert.equal(await master.ended, 143);
        assert.match(told, /STOPPING=1/);
      } finally {
        listener.kill("SIGKILL");
      }
    }),
);

test("the master's CLI reaches workers by number and by pid", () =>
  inFolder(async (folder, port) => {
    const cli = folder.file("master.sock");
    folder.write(configuration(port));
    const master = await startMaster(folder, ["-S", cli]);
    const [worker] = childrenOf(master.pid);
    const pidOf = async (prefix: string) =>
      /\nPid: (\d+)\n/.exec(await ask(cli, `${prefix} show info`))?.[1];
    assert.equal(await pidOf("@1"), String(worker));
    assert.equal(await pidOf(`@!${worker}`), String(worker));
    assert.equal(
      await ask(cli, "@7 show info"),
      "Can't find the target PID matching the prefix '@7'\n",
    );
    assert.match(await ask(cli, "@1 show version; @master show version"), /^[^\n]+\n\n[^\n]+\n\n$/);
    assert.match(await ask(cli, "nonsense"), /^Unknown command/);
    assert.match(await ask(cli, "prompt\n@1\n@master\nquit"), /^master> \d+> master> $/);
  }));

test("-sf asks the old process to pause when it has the address, and binds then", () =>
  inFolder(async (folder, port) => {
    // Without SO_REUSEPORT, and it lets go on TTOU as HAProxy does.
    const script = `const server = require("node:net").createServer().listen(${port}, "127.0.0.1", () => console.log("up"));
      process.on("SIGTTOU", () => server.close());
      process.on("SIGUSR1", () => process.exit(17));
      setInterval(() => {}, 1000);`;
    const old = spawn(process.execPath, ["-e", script]);
    try {
      await new Promise((resolve) => old.stdout.once("data", resolve));
      const ended = new Promise((resolve) => old.once("exit", resolve));
      folder.write(configuration(port));
      folder.start(["-db", "-sf", String(old.pid)]);
      assert.equal(await ended, 17);
      await serves(port);
    } finally {
      old.kill("SIGKILL");
    }
  }));

const isRoot = process.getuid?.() === 0;

test(
  "the master stays root, its workers are in the chroot as another user, and a reload binds a low port",
  {
    skip: isRoot ? false : "needs root",
  },
  () =>
    inFolder(async (folder, port) => {
      const jail = folder.file("jail");
      mkdirSync(jail);
      const rights = { global: `chroot ${jail}\nuser nobody\ngroup nogroup` };
      folder.write(configuration(port, rights));
      const master = await startMaster(folder);
      const [worker] = childrenOf(master.pid);
      assert.equal(readlinkSync(`/proc/${worker}/root`), jail);
      assert.notEqual(statSync(`/proc/${worker}`).uid, 0);
      assert.equal(readlinkSync(`/proc/${master.pid}/root`), "/");
      const low = await freeLowPort();
      folder.write(configuration(port, { ...rights, frontend: `  bind 127.0.0.1:${low}` }));
      master.signal("SIGUSR2");
      await until("a reload", () => successes(master) === 2);
      assert.equal(await tryConnect(low), "connected");
      assert.equal(await tryConnect(port), "connected");
    }),
);

test("-D -W returns once a worker serves, and leaves a master with its pid in the file", () =>
  inFolder(async (folder, port) => {
    folder.write(configuration(port));
    const pidfile = folder.file("pid");
    assert.equal(await folder.start(["-D", "-W", "-p", pidfile]).ended, 0);
    const pid = Number(readFileSync(pidfile, "latin1"));
    try {
      assert.equal(await tryConnect(port), "connected");
      assert.equal(childrenOf(pid).length, 1);
    } finally {
      process.kill(pid, "SIGTERM");
    }
    await until("refused", async () => (await tryConnect(port)) === "ECONNREFUSED");
    await until("no pid file", () => !existsSync(pidfile));
  }));

/** A port below 1024 that nobody has. */
async function freeLowPort(): Promise<number> {
  for (let port = 1_000; port > 800; port--) {
    if ((await tryConnect(port)) === "ECONNREFUSED") return port;
  }
  throw new Error("no low port is free");
}
