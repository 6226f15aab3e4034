import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
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
} from "../support/proxy-pair.ts";

// Goal: servers that come and go are told of in the same words, in the same order, by HAProxy and by us. Method: for
// each program its own stub servers, whose manners change step by step; after each step the lines are compared.
const skip = lacksHaproxy();
const PROGRAMS: readonly ProgramName[] = ["haproxy", "lbproxy"];

const OK = httpManner(200, "OK", "hello");

/** A stub for each server name that stands as `<name>` in the configuration. */
const CONFIGURATION = `
global
  log {log} local0
  nbthread 1
defaults
  mode http
  log global
  timeout connect 200ms
  timeout client 5s
  timeout server 1s
  timeout check 300ms
  option dontlognull
  default-server inter 150ms fastinter 150ms downinter 150ms rise 2 fall 2
frontend www
  bind {www}
  default_backend plain
backend plain
  balance roundrobin
  server a <a> check
  server b <b> check
  server spare <spare> check backup
backend follows
  server t <a> track plain/a
backend web
  option httpchk GET /health
  http-check disable-on-404
  http-check expect status 200
  server w <web> check
backend loud
  option log-health-checks
  option httpchk
  http-check send meth GET uri /x ver HTTP/1.1 hdr Host example.org
  http-check expect string hello
  server l <loud> check
backend script
  mode tcp
  option tcp-check
  tcp-check connect
  tcp-check send PING\\r\\n comment asking
  tcp-check expect string +PONG comment answering
  tcp-check send "QUIT\\r\\n"
  tcp-check expect rstring ^\\+PONG.\\+OK
  server s <script> check
backend script2
  mode tcp
  option tcp-check
  tcp-check send-binary 0102
  tcp-check expect binary 0304
  server s <script2> check
backend mail
  mode tcp
  option smtpchk EHLO example.org
  server m <mail> check
backend cache
  mode tcp
  option redis-check
  server r <redis> check
backend pg
  mode tcp
  option pgsql-check user bob
  server p <pg> check
backend my
  mode tcp
  option mysql-check user bob
  server m <my> check
backend dir
  mode tcp
  option ldap-check
  server d <ldap> check
backend hello
  mode tcp
  option ssl-hello-chk
  server h <tls> check
backend agents
  mode tcp
  server g <a> weight 20 agent-check agent-inter 150ms agent-port <agent:port>
`;

const mysqlPacket = (sequence: number, body: string): string =>
  `${String.fromCharCode(body.length, 0, 0, sequence)}${body}`;
const GREETING = mysqlPacket(0, `\x0a8.0.1\0${"\0".repeat(30)}`);

const GOOD: Readonly<Record<string, StubManner>> = {
  a: OK,
  b: OK,
  spare: OK,
  web: OK,
  loud: OK,
  script: { answer: (ask) => (ask.endsWith("QUIT\r\n") ? "+OK\r\n" : "+PONG\r\n") },
  script2: { answer: () => "\x03\x04" },
  mail: {
    greet: "220 hello\r\n",
    answer: (ask) => (ask.includes("QUIT") ? "221 bye\r\n" : "250 you\r\n"),
  },
  redis: { answer: () => "+PONG\r\n" },
  pg: { answer: () => "R\0\0\0\x08\0\0\0\0" },
  my: { greet: GREETING, answer: () => mysqlPacket(2, "\0\0\0\x02\0\0\0") },
  ldap: { answer: () => "0\x0c\x02\x01\x01a\x07\x0a\x01\0\x04\0\x04\0" },
  tls: { answer: () => "\x16\x03\x03\0\x02ab" },
  agent: { greet: "up\n", ends: true },
};

interface Side {
  readonly stubs: Map<string, CheckStub>;
  readonly proxy: RunningProxy;
}
const sides = new Map<ProgramName, Side>();

before(async () => {
  if (skip !== false) return;
  await Promise.all(
    PROGRAMS.map(async (program) => {
      const stubs = new Map<string, CheckStub>();
      for (const [name, manner] of Object.entries(GOOD)) {
        stubs.set(name, await startCheckStub(manner));
      }
      const text = CONFIGURATION.replaceAll(
        /<(\w+)(:port)?>/g,
        (_all, name: string, port?: string) => {
          const stub = stubs.get(name) as CheckStub;
          return port === undefined ? `127.0.0.1:${stub.port}` : String(stub.port);
        },
      );
      sides.set(program, { stubs, proxy: await startProxy(program, text) });
    }),
  );
  await settle();
});

after(async () => {
  for (const { stubs, proxy } of sides.values()) {
    await proxy.stop();
    for (const stub of stubs.values()) await stub.close();
  }
});

/** Lines without what differs between runs. Those of one backend keep their order. */
function lines(program: ProgramName): string[] {
  const { proxy } = sides.get(program) as Side;
  return proxy.logs
    .splice(0)
    .map((line) => line.replace(/duration: \d+ms/, "duration: Nms"))
    .filter((line) => /[Ss]erver/.test(line));
}

async function settle(): Promise<void> {
  await pause(1_200);
  for (const program of PROGRAMS) lines(program);
}

/** Changes manners in both worlds, waits till checks have seen it, and gives the lines that both wrote. */
async function change(
  manners: Readonly<Record<string, StubManner | "refuse" | "silence">>,
  milliseconds = 1_300,
): Promise<string[]> {
  for (const { stubs } of sides.values()) {
    for (const [name, manner] of Object.entries(manners)) await stubs.get(name)?.behave(manner);
  }
  await pause(milliseconds);
  const theirs = lines("haproxy");
  const ours = lines("lbproxy");
  assert.deepEqual(ours, theirs);
  return ours;
}

function told(name: string, run: () => Promise<void>): void {
  test(name, { skip }, run);
}

told(
  "a server that refuses goes down with what tracks it, and comes back the same way",
  async () => {
    const down = await change({ a: "refuse" });
    assert.match(
      down[0] ?? "",
      /^Server plain\/a is DOWN, reason: Layer4 connection problem, info: "Connection refused"/,
    );
    assert.ok(down.some((line) => line.startsWith("Server follows/t is DOWN via plain/a")));
    assert.ok(down.includes("backend follows has no server available!"));
    const up = await change({ a: OK });
    assert.match(up[0] ?? "", /^Server plain\/a is UP, reason: Layer4 check passed/);
  },
);

told("without active servers the backup runs, and without any the backend says so", async () => {
  await change({ a: "refuse" });
  const onBackup = await change({ b: "refuse" });
  assert.match(onBackup.join(), /Running on backup/);
  const none = await change({ spare: "refuse" });
  assert.ok(none.includes("backend plain has no server available!"));
  await change({ spare: OK });
  await change({ a: OK });
  await change({ b: OK });
});

told(
  "a 404 with disable-on-404 stops a server gently, while another status takes it down",
  async () => {
    assert.match(
      (await change({ web: httpManner(404, "Not Found") })).join(),
      /web\/w is stopping/,
    );
    assert.match((await change({ web: OK })).join(), /web\/w is UP/);
    assert.match(
      (await change({ web: httpManner(500, "Broken") })).join(),
      /code: 500, info: "Broken"/,
    );
    await change({ web: httpManner(404, "Not Found") });
    assert.match((await change({ web: OK })).join(), /web\/w is UP/);
    assert.match((await change({ web: "silence" }, 2_000)).join(), /Layer7 timeout/);
    await change({ web: { answer: () => "nonsense\r\n\r\n", ends: true } });
    await change({ web: OK });
  },
);

told("with log-health-checks every change of a check's result has its line", async () => {
  const wrong = await change({ loud: httpManner(200, "OK", "goodbye") });
  assert.match(
    wrong[0] ?? "",
    /^Health check for server loud\/l failed, reason: Layer7 invalid response, info: "HTTP content check did not match"/,
  );
  const right = await change({ loud: OK });
  assert.equal(right.filter((line) => line.startsWith("Health check")).length, 2);
});

told("scripts say at which step they failed", async () => {
  await change({ script: "refuse" });
  await change({ script: GOOD["script"] as StubManner });
  await change({ script: "silence" }, 2_000);
  await change({ script: GOOD["script"] as StubManner });
  await change({ script: { answer: () => "-ERR\r\n", ends: true } });
  await change({ script: GOOD["script"] as StubManner });
  await change({ script2: { answer: () => "\x09\x09", ends: true } });
  await change({ script2: { answer: () => "\x03\x04" } });
});

told("every protocol says in its words what was wrong", async () => {
  const bad: Readonly<Record<string, StubManner>> = {
    mail: { greet: "554 go away\r\n" },
    redis: { answer: () => "-NOAUTH Authentication required.\r\n", ends: true },
    pg: { answer: () => "E\0\0\0\x14SFATAL", ends: true },
    my: { greet: mysqlPacket(0, "\xff\x69\x04Host is blocked") },
    ldap: { answer: () => "0\x0c\x02\x01\x01a\x07\x0a\x01\x31\x04\0\x04\0" },
    tls: { answer: () => "HTTP/1.0 400 Bad\r\n\r\n" },
  };
  for (const [name, manner] of Object.entries(bad)) {
    const said = await change({ [name]: manner });
    assert.ok(said.length >= 1, `${name}: ${said.join()}`);
    await change({ [name]: GOOD[name] as StubManner });
  }
});

told(
  "an agent takes its server down, drains it, puts it to maintenance, and brings it back",
  async () => {
    const says = (text: string): StubManner => ({ greet: `${text}\n`, ends: true });
    assert.match(
      (await change({ agent: says("down #too hot") })).join(),
      /via agent : down \(too hot\)/,
    );
    await change({ agent: says("up") });
    assert.match((await change({ agent: says("drain") })).join(), /enters drain state/);
    assert.match((await change({ agent: says("ready") })).join(), /leaving forced drain/);
    assert.match((await change({ agent: says("maint") })).join(), /going DOWN for maintenance/);
    assert.match(
      (await change({ agent: says("ready up 50%") })).join(),
      /leaving forced maintenance/,
    );
    await change({ agent: says("stopped") });
    await change({ agent: says("up 100%") });
    await change({ agent: "refuse" });
  },
);

told("both ask their servers for the same", async () => {
  const asked = (program: ProgramName): Record<string, string[]> => {
    const found: Record<string, string[]> = {};
    for (const [name, stub] of (sides.get(program) as Side).stubs) {
      // Of TLS, HAProxy offers SSLv3 and we do not.
      if (name === "tls") continue;
      found[name] = [...new Set(stub.asked.filter((text) => text !== ""))].sort();
    }
    return found;
  };
  await pause(10);
  assert.deepEqual(asked("lbproxy"), asked("haproxy"));
});
