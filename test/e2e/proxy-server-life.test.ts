import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  type CheckStub,
  httpManner,
  type StubManner,
  startCheckStub,
} from "../support/check-stub.ts";
import {
  lacksHaproxy,
  type ProgramName,
  pause,
  type RunningProxy,
  startProxy,
  talk,
} from "../support/proxy-pair.ts";

// Goal: what follows from a server's state - sessions, queues, weights, the next process - is as in HAProxy. Method:
// the same scene played with both programs, and compared; what is ours alone is asserted.
const skip = lacksHaproxy();
const PROGRAMS: readonly ProgramName[] = ["haproxy", "lbproxy"];
const OK = httpManner(200, "OK", "hello");

const DEFAULTS = `
global
  log {log} local0
  nbthread 1
defaults
  mode http
  log global
  timeout connect 300ms
  timeout client 5s
  timeout server 5s
  timeout queue 3s
  default-server inter 200ms rise 2 fall 2
`;

/** Plays a scene with each program at once, each with stubs of its own by name; gives what each scene gave. */
async function both<T>(
  configuration: string,
  stubs: Readonly<Record<string, StubManner>>,
  scene: (proxy: RunningProxy, stubs: Readonly<Record<string, CheckStub>>) => Promise<T>,
  programs: readonly ProgramName[] = PROGRAMS,
  environment: Readonly<Record<string, string>> = {},
): Promise<T[]> {
  return await Promise.all(
    programs.map(async (program) => {
      const own: Record<string, CheckStub> = {};
      for (const [name, manner] of Object.entries(stubs)) own[name] = await startCheckStub(manner);
      const text = configuration.replaceAll(
        /<(\w+)>/g,
        (_all, name: string) => `127.0.0.1:${own[name]?.port}`,
      );
      const proxy = await startProxy(program, text, environment);
      try {
        return await scene(proxy, own);
      } finally {
        await proxy.stop();
        for (const stub of Object.values(own)) await stub.close();
      }
    }),
  );
}

/** Lines about servers, without durations. */
function serverLines({ logs }: RunningProxy): string[] {
  return logs
    .filter((line) => /^(Backup )?[Ss]erver|no server available/.test(line))
    .map((line) => line.replace(/duration: \d+ms/, "duration: Nms"));
}

function compared(name: string, run: () => Promise<void>): void {
  test(name, { skip }, run);
}

compared("errors seen in traffic take a server down when observe layer7 says so", async () => {
  const [theirs, ours] = await both(
    `${DEFAULTS}
frontend www
  bind {www}
  default_backend app
backend app
  server s <s> check inter 20s observe layer7 error-limit 3 on-error mark-down
  server other <other> backup
`,
    {
      s: {
        answer: (ask) =>
          ask.includes("\r\n\r\n")
            ? "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            : undefined,
        ends: true,
      },
      other: OK,
    },
    async (proxy) => {
      for (let i = 0; i < 5; i++)
        await talk(proxy.ports["www"] as number, [
          "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ]);
      await pause(100);
      // The request that was one too many may still count, or be over: both programs print either.
      return serverLines(proxy).map((line) => line.replace(/[01] sessions/, "N sessions"));
    },
  );
  assert.deepEqual(ours, theirs);
  assert.match(
    ours?.[0] ?? "",
    /reason: Health analyze, info: "Detected 3 consecutive errors, last one was: Wrong http response"/,
  );
});

compared(
  "on-marked-down shutdown-sessions ends what is under way at the server, with a D in the log",
  async () => {
    const [theirs, ours] = await both(
      `${DEFAULTS}
frontend front
  mode tcp
  option tcplog
  bind {front}
  default_backend app
backend app
  mode tcp
  server s <s> track judge/s on-marked-down shutdown-sessions
backend judge
  server s <judge> check
`,
      { s: { greet: "hello" }, judge: OK },
      async (proxy, stubs) => {
        const socket = await open(proxy.ports["front"] as number);
        await pause(200);
        await stubs["judge"]?.behave("refuse");
        await pause(1_200);
        const ended = socket.destroyed || socket.readableEnded;
        socket.destroy();
        await pause(100);
        const line = proxy.logs.findLast((text) => text.includes("front")) ?? "";
        return { ended, state: / (\S\S) \d+\/\d+\//.exec(line)?.[1], servers: serverLines(proxy) };
      },
    );
    assert.deepEqual(ours, theirs);
    assert.equal(ours?.state, "D-");
  },
);

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return socket;
}

compared(
  "requests that wait for a server go to another when it goes down, and the line counts them",
  async () => {
    const [theirs, ours] = await both(
      `${DEFAULTS}
frontend front
  bind {front}
  default_backend app
backend app
  option redispatch
  balance roundrobin
  cookie S insert
  server s <s> cookie s maxconn 1 track judge/s
  server t <t> cookie t
backend judge
  server s <judge> check
`,
      { s: {}, t: OK, judge: OK },
      async (proxy, stubs) => {
        const ask = () =>
          talk(
            proxy.ports["front"] as number,
            ["GET / HTTP/1.1\r\nHost: x\r\nCookie: S=s\r\nConnection: close\r\n\r\n"],
            2_500,
          );
        // The first holds the only slot of a server that never answers; two more wait for it.
        const first = ask();
        await pause(100);
        const waiting = [ask(), ask()];
        await pause(300);
        await stubs["judge"]?.behave("refuse");
        const answers = (await Promise.all(waiting)).map(({ text }) => text.slice(0, 12));
        await first;
        return { answers, lines: serverLines(proxy) };
      },
    );
    assert.deepEqual(ours, theirs);
    assert.deepEqual(ours?.answers, ["HTTP/1.1 200", "HTTP/1.1 200"]);
    assert.match(ours?.lines.join() ?? "", /1 sessions active, 2 requeued, 0 remaining in queue/);
  },
);

compared("without option redispatch requests wait on for a server that went down", async () => {
  const [theirs, ours] = await both(
    `${DEFAULTS}
frontend front
  bind {front}
  default_backend app
backend app
  balance roundrobin
  cookie S insert
  server s <s> cookie s maxconn 1 track judge/s
  server t <t> cookie t
backend judge
  server s <judge> check
`,
    { s: {}, t: OK, judge: OK },
    async (proxy, stubs) => {
      const ask = () =>
        talk(
          proxy.ports["front"] as number,
          ["GET / HTTP/1.1\r\nHost: x\r\nCookie: S=s\r\nConnection: close\r\n\r\n"],
          4_500,
        );
      // The first holds the only slot of a server that never answers; two more wait for it.
      const first = ask();
      await pause(100);
      const waiting = [ask(), ask()];
      await pause(300);
      await stubs["judge"]?.behave("refuse");
      const answers = (await Promise.all(waiting)).map(({ text }) => text.slice(0, 12));
      await first;
      return { answers, lines: serverLines(proxy) };
    },
  );
  assert.deepEqual(ours, theirs);
  assert.deepEqual(ours?.answers, ["HTTP/1.1 503", "HTTP/1.1 503"]);
  assert.match(ours?.lines.join() ?? "", /1 sessions active, 0 requeued, 2 remaining in queue/);
});

compared(
  "a state file keeps a server in maintenance, its weight, and one that was down",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "server-states-"));
    const file = join(folder, "state");
    const head =
      "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";
    try {
      const results = await Promise.all(
        PROGRAMS.map(async (program) => {
          const stub = await startCheckStub(OK);
          const other = await startCheckStub(httpManner(201, "Other"));
          const row = (id: number, name: string, port: number, state: string) =>
            `3 app ${id} ${name} 127.0.0.1 ${state} 0 0 - ${port} - 0 0 - - 0\n`;
          const path = `${file}.${program}`;
          writeFileSync(
            path,
            `1\n# ${head}\n${row(1, "s", stub.port, "0 1 1 1 20 1 0 2 0 0")}${row(2, "t", other.port, "2 0 1 1 20 1 0 2 0 0")}`,
          );
          const proxy = await startProxy(
            program,
            DEFAULTS.replace("nbthread 1", `nbthread 1\n  server-state-file ${path}`) +
              `
frontend front
  bind {front}
  default_backend app
backend app
  load-server-state-from-file global
  balance roundrobin
  server s 127.0.0.1:${stub.port}
  server t 127.0.0.1:${other.port}
`,
          );
          const answers: string[] = [];
          for (let i = 0; i < 4; i++) {
            const { text } = await talk(proxy.ports["front"] as number, [
              "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            ]);
            answers.push(text.slice(9, 12));
          }
          await proxy.stop();
          await stub.close();
          await other.close();
          return answers;
        }),
      );
      assert.deepEqual(results[1], results[0]);
      assert.deepEqual(results[1], ["201", "201", "201", "201"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

/** Asks again and again over kept connections; gives how each request ended. */
async function load(port: number, milliseconds: number): Promise<Map<string, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const outcomes = new Map<string, number>();
  const end = performance.now() + milliseconds;
  const worker = async () => {
    while (performance.now() < end) {
      const outcome = await new Promise<string>((resolve) => {
        const request = get({ port, host: "127.0.0.1", agent }, (response) => {
          response.resume();
          response.once("end", () => resolve(String(response.statusCode)));
        });
        request.once("error", (error) => resolve(error.message));
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  agent.destroy();
  return outcomes;
}

test("a server killed and revived under load costs no request, and is known to be down within two intervals", async () => {
  const keeping: StubManner = {
    answer: (ask) =>
      ask.endsWith("\r\n\r\n") ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" : undefined,
  };
  const [result] = await both(
    `${DEFAULTS}
frontend front
  bind {front}
  default_backend app
backend app
  option redispatch 1
  retries 2
  retry-on all-retryable-errors
  balance roundrobin
  default-server inter 500ms fall 3
  server s <s> check
  server t <t> check
`,
    { s: keeping, t: keeping },
    async (proxy, stubs) => {
      await pause(700);
      const outcomes = load(proxy.ports["front"] as number, 5_000);
      await pause(700);
      const killedAt = performance.now();
      await stubs["s"]?.behave("refuse");
      while (!proxy.logs.some((line) => line.startsWith("Server app/s is DOWN"))) {
        await pause(10);
        assert.ok(performance.now() - killedAt < 4_000, "the server was never marked down");
      }
      const noticed = performance.now() - killedAt;
      await stubs["s"]?.behave(keeping);
      return { outcomes: await outcomes, noticed, lines: serverLines(proxy) };
    },
    ["lbproxy"],
  );
  assert.deepEqual([...(result?.outcomes.keys() ?? [])], ["200"]);
  assert.ok((result?.outcomes.get("200") ?? 0) > 200);
  // Three failed checks half a second apart would take more than a second: refused traffic brings them forward.
  assert.ok((result?.noticed ?? 9_999) < 1_000, `${result?.noticed} ms`);
  assert.ok(result?.lines.some((line) => line.startsWith("Server app/s is UP")));
});

test("with LBPROXY_SUSPECT=off only the checks' own pace finds a dead server", async () => {
  const [noticed] = await both(
    `${DEFAULTS}
frontend front
  bind {front}
  default_backend app
backend app
  option redispatch 1
  retries 2
  balance roundrobin
  default-server inter 500ms fall 3
  server s <s> check
  server t <t> check
`,
    { s: OK, t: OK },
    async (proxy, stubs) => {
      await pause(1_200);
      const outcomes = load(proxy.ports["front"] as number, 2_500);
      const killedAt = performance.now();
      await stubs["s"]?.behave("refuse");
      while (!proxy.logs.some((line) => line.startsWith("Server app/s is DOWN"))) {
        await pause(10);
        assert.ok(performance.now() - killedAt < 4_000, "the server was never marked down");
      }
      const time = performance.now() - killedAt;
      await outcomes;
      return time;
    },
    ["lbproxy"],
    { LBPROXY_SUSPECT: "off" },
  );
  assert.ok((noticed ?? 0) > 950, `${noticed} ms`);
});

test("threads beside the first know of a dead server, end its sessions, and report their refused connections", async () => {
  const [result] = await both(
    `${DEFAULTS.replace("nbthread 1", "nbthread 3")}
frontend front
  mode tcp
  option tcplog
  bind {front}
  default_backend app
backend app
  mode tcp
  balance roundrobin
  option redispatch 1
  server s <s> check inter 600ms on-marked-down shutdown-sessions
`,
    { s: { greet: "hello" } },
    async (proxy, stubs) => {
      await pause(1_500);
      const port = proxy.ports["front"] as number;
      const sockets = await Promise.all(Array.from({ length: 12 }, () => open(port)));
      await pause(200);
      await stubs["s"]?.stopListening();
      const probe = async () => (await open(port)).destroy();
      const start = performance.now();
      while (!proxy.logs.some((line) => line.startsWith("Server app/s is DOWN"))) {
        await probe();
        await pause(20);
        assert.ok(performance.now() - start < 5_000, "the server was never marked down");
      }
      const noticed = performance.now() - start;
      await pause(300);
      const open_ = sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
      for (const socket of sockets) socket.destroy();
      return {
        noticed,
        open: open_,
        killed: proxy.logs.filter((line) => / D- /.test(line)).length,
      };
    },
    ["lbproxy"],
  );
  assert.equal(result?.open, 0);
  assert.ok((result?.killed ?? 0) >= 12);
  assert.ok((result?.noticed ?? 9_999) < 1_150, `${result?.noticed} ms`);
});
