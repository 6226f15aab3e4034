import { strict as assert } from "node:assert";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  lacksHaproxy,
  type Origin,
  type ProgramName,
  pause,
  type RunningProxy,
  startOrigin,
  startProxy,
} from "../support/proxy-pair.ts";

// Goal: what operators, hatop, Ansible and exporters send to a stats socket is answered as HAProxy answers it.
// Method: one configuration run by both programs beside each other, the same traffic, the same commands; answers
// are compared with what must differ (pointers, times, versions) taken out.
const skip = lacksHaproxy();
const folder = mkdtempSync(join(tmpdir(), "proxy-cli-"));

const configuration = (port: number, program: ProgramName) => `
global
  stats socket {api} level admin
  stats socket {user} level user
  stats socket ${folder}/${program}.sock mode 600 level operator
  maxconn 500
  nbthread 2
  node here
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  balance roundrobin
  fullconn 100
frontend web
  bind {web}
  option socket-stats
  acl blocked path -f ${folder}/blocked.lst
  http-request deny if blocked
  http-request track-sc0 src table seen
  http-request set-header X-Kind %[path,map(${folder}/kinds.map,none)]
  default_backend app
frontend counted
  bind {counted}
  stick-table type ip size 10 store conn_cnt,conn_cur,sess_cnt,http_req_cnt,http_err_cnt,http_fail_cnt
  tcp-request connection track-sc0 src
  http-request track-sc1 path table paths
  http-request return status 404 if { path /missing }
  http-request deny if { path /denied }
  default_backend app
backend paths
  stick-table type string size 10 store http_req_cnt,http_err_cnt,http_fail_cnt
frontend raw
  bind {raw}
  mode tcp
  default_backend plain
backend app
  cookie SRV insert indirect
  server s1 127.0.0.1:${port} check inter 200 weight 10 maxconn 50 cookie c1
  server s2 127.0.0.1:1 check inter 200 fall 1 backup
  server s3 127.0.0.1:${port} disabled maxqueue 7
  server s4 127.0.0.1:${port} weight 0
backend plain
  mode tcp
  server t1 127.0.0.1:${port}
backend seen
  stick-table type ip size 100 expire 1h store http_req_cnt,gpc0
`;

let origin: Origin;
let ours: RunningProxy;
let theirs: RunningProxy;

before(async () => {
  if (skip !== false) return;
  writeFileSync(join(folder, "blocked.lst"), "/blocked\n");
  writeFileSync(join(folder, "kinds.map"), "/a one\n/b two\n");
  origin = await startOrigin((request, socket) => {
    if (request.startsWith("GET /slow")) {
      setTimeout(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 4_000);
      return undefined;
    }
    if (request.startsWith("GET /500")) return "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n";
    return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  });
  [ours, theirs] = await Promise.all([
    startProxy("lbproxy", configuration(origin.port, "lbproxy")),
    startProxy("haproxy", configuration(origin.port, "haproxy")),
  ]);
  for (const proxy of [ours, theirs]) {
    for (const path of ["/a", "/b", "/blocked"])
      await fetch(`http://${address(proxy, "web")}${path}`);
    const answer = await ask(proxy, "web", "GET /raw HTTP/1.0\r\nConnection: close\r\n\r\n", false);
    assert.match(answer, /^HTTP/);
  }
  await pause(700);
});

after(async () => {
  await Promise.all([ours?.stop(), theirs?.stop()]);
  await origin?.close();
  rmSync(folder, { recursive: true });
});

test("show stat has HAProxy's columns, and the same of them filled for every object", {
  skip,
}, async () => {
  const [our, their] = await both("show stat");
  assert.equal(our.split("\n")[0], their.split("\n")[0]);
  assert.deepEqual(filled(our), filled(their));
});

test("counters of show stat are HAProxy's after the same traffic", { skip }, async () => {
  // Checks give their first word when they come: what differs only by that is the same a moment later.
  for (const end = performance.now() + 8_000; ; await pause(100)) {
    try {
      sameCounters((await both("show stat")).map(table));
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
  }
});

function sameCounters([our, their]: readonly ReturnType<typeof table>[]): void {
  const columns = ["stot", "dreq", "req_tot", "lbtot", "hrsp_2xx", "hrsp_4xx", "status", "weight"];
  columns.push("act", "bck", "conn_tot", "type", "iid", "sid", "check_status", "algo", "cookie");
  columns.push("smax", "slim", "qlimit", "mode", "uweight", "wretr", "econ", "intercepted");
  for (const [name, row] of their ?? []) {
    const own = our?.get(name);
    // The probes of the test's own start count as connections, two at once where they overlap, and at HAProxy as
    // requests that did not come.
    const shown = columns.filter(
      (column) => !(/^(web|counted)/.test(name) && /stot|_tot|hrsp_4xx|smax/.test(column)),
    );
    const pick = (from: ReadonlyMap<string, string> | undefined) =>
      Object.fromEntries(shown.map((column) => [column, from?.get(column)]));
    assert.deepEqual(pick(own), pick(row), name);
  }
}

test("typed output gives every field HAProxy's number, tag and type", { skip }, async () => {
  const strip = (text: string) =>
    text
      .split("\n")
      .map((line) => line.split(":").slice(0, 3).join(":"))
      .filter((line) => line !== "");
  const [ourStat, theirStat] = await both("show stat typed");
  assert.deepEqual(strip(ourStat), strip(theirStat));
  const [ourInfo, theirInfo] = await both("show info typed");
  assert.deepEqual(
    strip(ourInfo),
    strip(theirInfo).filter((line) => !/Zlib/.test(line)),
  );
});

test("JSON is made of the same objects", { skip }, async () => {
  const shape = (text: string) =>
    (JSON.parse(text) as { field: { name: string }; tags: object; objType: string }[][]).map(
      (row) => row.map(({ field, tags, objType }) => ({ name: field.name, tags, objType })),
    );
  const [our, their] = await both("show stat json");
  assert.deepEqual(shape(our), shape(their));
});

const SAME = [
  "get weight app/s1",
  "set weight app/s1 50%",
  "get weight app/s1",
  "set weight app/s1 300",
  "set weight app/s1 10",
  "set weight app/nope 1",
  "set weight nope/s1 1",
  "get weight app",
  "set server app/s1",
  "set server app/s1 state foo",
  "set server app/s1 state maint",
  "show stat app 4 1",
  "set server app/s1 state ready",
  "set server app/s1 health foo",
  "set server app/s1 agent up",
  "set server app/s4 addr 127.0.0.2",
  "set server app/s4 addr 127.0.0.2 port 99",
  "set server app/s4 addr foo",
  "enable agent app/s1",
  "enable health app/s4",
  "disable frontend web",
  "disable frontend web",
  "enable frontend web",
  "enable frontend web",
  "enable frontend nope",
  "set maxconn frontend web 100",
  "set maxconn frontend nope 1",
  "set maxconn server app/s1 77",
  "set maxconn server app/s1",
  "set maxconn global 400",
  "set maxconn global 90000",
  "set timeout cli 20",
  "set timeout foo",
  "show stat domain",
  "show stat nope 1 -1",
  "show servers state nope",
  "show backend",
  "show cli level",
  "show env NOPE",
  "show errors nope",
  "set table seen key 1.2.3.4 data.gpc0 7",
  "show table seen key 1.2.3.4",
  "show table seen data.gpc0 gt 1",
  "show table seen data.foo gt 1",
  "show table seen data.gpc0 xx 1",
  "set table seen key 1.2.3.4 data.foo 7",
  "clear table seen key 1.2.3.4",
  "show table nope",
  "clear table",
  "shutdown session 0x123",
  "shutdown session",
  "shutdown sessions server app/x",
  "shutdown frontend nope",
  `show map ${folder}/kinds.map`,
  `get map ${folder}/kinds.map /a`,
  `add map ${folder}/kinds.map /c three`,
  `set map ${folder}/kinds.map /c four`,
  `set map ${folder}/kinds.map /zz four`,
  `del map ${folder}/kinds.map /zz`,
  `prepare map ${folder}/kinds.map`,
  `add map @1 ${folder}/kinds.map /n new`,
  `show map @1 ${folder}/kinds.map`,
  `commit map @1 ${folder}/kinds.map`,
  `commit map ${folder}/kinds.map`,
  `show map ${folder}/kinds.map`,
  "show map nope",
  `add acl ${folder}/blocked.lst /x`,
  `show acl ${folder}/blocked.lst`,
  `del acl ${folder}/blocked.lst /nope`,
  "add acl nope /x",
  "clear acl",
];

test("commands and refusals are answered in HAProxy's words", { skip }, async () => {
  for (const command of SAME) {
    const [our, their] = await both(command);
    assert.equal(settled(our, command), settled(their, command), command);
  }
});

test("stick tables count what HAProxy counts", { skip }, async () => {
  for (const proxy of [ours, theirs]) {
    await ask(proxy, "api", "clear table counted;clear table paths");
    for (const path of ["/a", "/missing", "/denied", "/500"]) {
      await ask(
        proxy,
        "counted",
        `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
        false,
      );
    }
  }
  await pause(50);
  for (const name of ["counted", "paths"]) {
    const [our, their] = await both(`show table ${name}`);
    const entries = (text: string) => settled(text, "").split("\n").sort();
    assert.deepEqual(entries(our), entries(their));
  }
});

test("every answer ends with an empty line, those of lines that came together too", {
  skip,
}, async () => {
  for (const proxy of [ours, theirs]) {
    const answer = await ask(proxy, "api", "show cli level\nshow cli level\n");
    assert.equal(answer, "admin\n\nadmin\n\n");
    assert.equal(await ask(proxy, "api", "show cli level;show cli level\n"), "admin\n\nadmin\n\n");
  }
});

test("a prompt stays until quit", { skip }, async () => {
  for (const proxy of [ours, theirs]) {
    const answer = await ask(
      proxy,
      "api",
      "prompt\nshow cli level\noperator\nset maxconn global 3\nquit\n",
    );
    assert.equal(answer, "\n> admin\n\n> \n> Permission denied\n\n> ");
  }
});

test("a payload adds many entries of a map", { skip }, async () => {
  const name = `${folder}/kinds.map`;
  for (const proxy of [ours, theirs]) {
    assert.equal(await ask(proxy, "api", `add map ${name} <<\n/p one\n/q two three\n\n`), "\n");
    assert.match(await ask(proxy, "api", `show map ${name}`), /\/p one\n.* \/q two three\n/);
  }
});

test("maps changed by the API change what servers get, in every thread", { skip }, async () => {
  await ask(ours, "api", `add map ${folder}/kinds.map /new fresh`);
  for (let i = 0; i < 12; i++) {
    await fetch(`http://${address(ours, "web")}/new`, { headers: { connection: "close" } });
  }
  const kinds = origin.requests
    .filter((request) => request.startsWith("GET /new"))
    .map((request) => /x-kind: (\S*)/i.exec(request)?.[1]);
  assert.deepEqual(new Set(kinds), new Set(["fresh"]));
});

test("a level permits what HAProxy's does, and no more", { skip }, async () => {
  for (const command of [
    "set server app/s1 state maint",
    "show sess",
    "show env",
    "clear counters",
    "show errors",
    "disable frontend web",
    "set maxconn global 3",
    "show fd",
  ]) {
    for (const proxy of [ours, theirs]) {
      assert.equal(await ask(proxy, "user", command), "Permission denied\n\n", command);
    }
  }
  for (const command of [
    "show stat",
    "show info",
    "show map",
    "show table",
    "show servers state",
  ]) {
    assert.doesNotMatch(await ask(ours, "user", command), /Permission denied/, command);
  }
});

test("a session is listed, and ended on demand", { skip }, async () => {
  const slow = fetch(`http://${address(ours, "web")}/slow`).then(
    () => "answered",
    () => "cut",
  );
  await pause(300);
  const list = await ask(ours, "api", "show sess");
  const line = list.split("\n").find((text) => text.includes("fe=web be=app srv=s1"));
  assert.match(line ?? "", /^0x[0-9a-f]+: proto=tcpv4 src=127\.0\.0\.1:\d+ fe=web be=app srv=s1 /);
  assert.equal(await ask(ours, "api", `shutdown session ${line?.split(":")[0]}`), "\n");
  assert.equal(await slow, "cut");
});

test("a disabled frontend refuses connections until it is enabled", { skip }, async () => {
  for (const proxy of [ours, theirs]) {
    await ask(proxy, "api", "disable frontend web");
    await pause(50);
    await assert.rejects(ask(proxy, "web", "GET / HTTP/1.0\r\n\r\n"), { code: "ECONNREFUSED" });
    await ask(proxy, "api", "enable frontend web");
    assert.match(await ask(proxy, "web", "GET / HTTP/1.0\r\n\r\n", false), /200 OK/);
  }
});

test("a server that is moved gets the requests at its new place", { skip }, async () => {
  const other = await startOrigin(() => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nmoved");
  try {
    await ask(ours, "api", `set server app/s1 addr 127.0.0.1 port ${other.port}`);
    for (let i = 0; i < 4; i++) {
      const answer = await fetch(`http://${address(ours, "web")}/`, {
        headers: { connection: "close" },
      });
      assert.equal(await answer.text(), "moved");
    }
  } finally {
    await ask(ours, "api", `set server app/s1 addr 127.0.0.1 port ${origin.port}`);
    await other.close();
  }
});

test("the socket file has the mode of its line, and nothing temporary is left", { skip }, () => {
  const path = join(folder, "lbproxy.sock");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(existsSync(`${path}.${ours.process.pid}.tmp`), false);
});

test("clear counters all sets counters to zero", { skip }, async () => {
  await ask(ours, "api", "clear counters all");
  const rows = table(await ask(ours, "api", "show stat"));
  for (const [name, row] of rows) {
    for (const column of ["stot", "bin", "bout", "smax", "hrsp_2xx"]) {
      assert.match(row.get(column) ?? "", /^0?$/, `${name} ${column}`);
    }
  }
});

function address(proxy: RunningProxy, name: string): string {
  return `127.0.0.1:${proxy.ports[name]}`;
}

async function both(command: string): Promise<[string, string]> {
  return await Promise.all([ask(ours, "api", command), ask(theirs, "api", command)]);
}

/** Sends text, by default ends its side, and gives all that comes back. */
function ask(proxy: RunningProxy, name: string, text: string, ends = true): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      port: proxy.ports[name] as number,
      host: "127.0.0.1",
      allowHalfOpen: true,
    });
    let answer = "";
    socket.setTimeout(8_000, () => socket.destroy(new Error(`no answer to ${text}`)));
    socket.on("data", (chunk) => (answer += chunk.toString("latin1")));
    socket.on("end", () => {
      socket.end();
      resolve(answer);
    });
    socket.on("error", reject);
    if (ends) socket.end(text.endsWith("\n") ? text : `${text}\n`, "latin1");
    else socket.write(text, "latin1");
  });
}

/** Rows of CSV by proxy and server, each by column. */
function table(text: string): Map<string, Map<string, string>> {
  const [head = "", ...lines] = text.trim().split("\n");
  const columns = head.replace("# ", "").split(",");
  return new Map(
    lines.map((line) => {
      const row = new Map(line.split(",").map((value, i) => [columns[i] ?? "", value]));
      return [`${row.get("pxname")}/${row.get("svname")}`, row];
    }),
  );
}

function filled(text: string): Record<string, string[]> {
  const rows = [...table(text)].map(([name, row]) => {
    const columns = [...row].filter(([, value]) => value !== "").map(([column]) => column);
    return [name, columns.filter((column) => !UNSTEADY.has(column))] as const;
  });
  return Object.fromEntries(rows);
}

/** Filled at some times only: a connection refused has a text or not by the moment. */
const UNSTEADY = new Set(["last_chk"]);

/** An answer without what is another's each time. */
function settled(text: string, command: string): string {
  let shown = text
    .trim()
    .replaceAll(/0x[0-9a-f]+/g, "0x…")
    .replaceAll(/exp=\d+/g, "exp=…");
  if (command.startsWith("show stat "))
    shown = shown
      .split("\n")
      .map((line) =>
        line
          .split(",")
          .filter((_, i) => i < 6 || i === 17 || i === 18)
          .join(","),
      )
      .join("\n");
  return shown;
}
