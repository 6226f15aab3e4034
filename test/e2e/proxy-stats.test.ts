import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import {
  lacksHaproxy,
  type Origin,
  pause,
  type RunningProxy,
  startOrigin,
  startProxy,
} from "../support/proxy-pair.ts";

// Goal: a scraper, a board or an operator's eyes find on our stats page and in our metrics what they find at HAProxy's.
// Method: one configuration run by both programs beside each other; names, labels, columns and the structure of the
// page are compared, and orders given by the page's form are seen in the counters.
const skip = lacksHaproxy();

const configuration = (port: number) => `
global
  maxconn 500
  nbthread 2
  node here
  description "two of them"
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  balance roundrobin
frontend web
  bind {web} name main
  option socket-stats
  stick-table type ip size 100 expire 1h store http_req_cnt
  http-request use-service prometheus-exporter if { path /metrics }
  default_backend app
frontend raw
  bind {raw}
  mode tcp
  default_backend plain
backend app
  description the application
  server s1 127.0.0.1:${port} check inter 200
  server s2 127.0.0.1:1 check inter 200 fall 1 backup
  server s3 127.0.0.1:${port} disabled
  server s4 127.0.0.1:${port}
backend plain
  mode tcp
  server t1 127.0.0.1:1 check inter 200
listen page
  bind {page}
  stats uri /stats
  stats refresh 7s
  stats show-node
  stats show-desc
  stats show-legends
  stats show-modules
  stats admin if TRUE
listen locked
  bind {locked}
  stats uri /stats
  stats auth me:secret
  stats realm "A Place"
  stats hide-version
  stats scope app
`;

let origin: Origin;
let ours: RunningProxy;
let theirs: RunningProxy;

before(async () => {
  if (skip !== false) return;
  origin = await startOrigin(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  [ours, theirs] = await Promise.all([
    startProxy("lbproxy", configuration(origin.port)),
    startProxy("haproxy", configuration(origin.port)),
  ]);
  for (const proxy of [ours, theirs]) await get(proxy, "web", "/a");
  await pause(700);
});

after(async () => {
  await Promise.all([ours?.stop(), theirs?.stop()]);
  await origin?.close();
});

test("all 203 names have HAProxy's types, and the same series for every object", {
  skip,
}, async () => {
  const [our, their] = await bothGet("web", "/metrics");
  assert.equal(our.type, "text/plain; version=0.0.4");
  assert.deepEqual(types(our.text), types(their.text));
  assert.equal(types(our.text).length, 203);
  assert.deepEqual(series(our.text), series(their.text));
});

test("all series of a name stand in one block", { skip }, async () => {
  const { text } = await get(ours, "web", "/metrics?extra-counters&desc-labels");
  let block = "";
  const seen = new Set<string>();
  for (const line of text.trim().split("\n")) {
    const name = line.startsWith("#") ? (line.split(" ")[2] ?? "") : line.replace(/[{ ].*/, "");
    if (name !== block) assert.ok(!seen.has(name), name);
    seen.add(name);
    block = name;
    if (!line.startsWith("#"))
      assert.match(line, /^[a-z0-9_]+(\{([a-z]+="[^"]*",?)+\})? (-?[\d.]+|NaN)$/);
  }
});

test("a scope leaves the others out, and an unknown one is a bad request", { skip }, async () => {
  for (const query of [
    "scope=global",
    "scope=server",
    "scope=",
    "scope=*",
    "scope=frontend&scope=sticktable",
    "no-maint",
    "scope=server&no-maint",
  ]) {
    const [our, their] = await bothGet("web", `/metrics?${query}`);
    assert.deepEqual(series(our.text), series(their.text), query);
  }
  const answers = await bothGet("web", "/metrics?scope=nothing");
  assert.deepEqual(
    answers.map(({ status }) => status),
    [400, 400],
  );
});

test("metrics= chooses names, and a minus leaves one out", { skip }, async () => {
  const only = await get(
    ours,
    "web",
    "/metrics?metrics=haproxy_server_status,haproxy_process_jobs",
  );
  assert.deepEqual(names(only.text), ["haproxy_process_jobs", "haproxy_server_status"]);
  const without = await get(ours, "web", "/metrics?metrics=-haproxy_server_status");
  assert.equal(names(without.text).length, 202);
  const described = await get(ours, "web", "/metrics?desc-labels&metrics=haproxy_backend_status");
  assert.match(described.text, /proxy="app",desc="the application",state="UP"\} 1/);
});

test("values of the metrics are those of HAProxy after the same traffic", { skip }, async () => {
  const wanted =
    /^haproxy_(backend_(http_responses|sessions|loadbalanced)_total|server_(status|check_status|weight|http_responses_total)|backend_(status|active_servers|agg_server_status|agg_check_status))\b/;
  const pick = (text: string) =>
    text
      .split("\n")
      .filter(
        (line) =>
          wanted.test(line) && !line.includes('proxy="page"') && !line.includes('proxy="locked"'),
      );
  const [our, their] = await bothGet("web", "/metrics");
  assert.deepEqual(pick(our.text), pick(their.text));
});

test("the page has HAProxy's tables, rows, cells and anchors", { skip }, async () => {
  const [our, their] = await bothGet("page", "/stats");
  assert.equal(our.refresh, "7");
  assert.deepEqual(outline(our.text), outline(their.text));
  assert.deepEqual(cells(our.text), cells(their.text));
  assert.match(our.text, /Statistics Report for pid \d+ on here: two of them/);
  assert.doesNotMatch(our.text, /<script/i);
});

test("the page's CSV and JSON have HAProxy's columns and objects", { skip }, async () => {
  const [our, their] = await bothGet("page", "/stats;csv;norefresh");
  assert.equal(our.text.split("\n")[0], their.text.split("\n")[0]);
  const rows = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => line.split(",").slice(0, 2).join("/"));
  assert.deepEqual(rows(our.text), rows(their.text));
  assert.equal(our.refresh, null);
  const [ourJson, theirJson] = await bothGet("page", "/stats;json");
  const shape = (text: string) =>
    (JSON.parse(text) as { objType: string; proxyId: number; id: number }[][]).map(([first]) => [
      first?.objType,
      first?.proxyId,
      first?.id,
    ]);
  assert.deepEqual(shape(ourJson.text), shape(theirJson.text));
  const [up, theirUp] = await bothGet("page", "/stats;csv;up");
  assert.deepEqual(rows(up.text), rows(theirUp.text));
  const [part, theirPart] = await bothGet("page", "/stats;csv?scope=pp");
  assert.deepEqual(rows(part.text), rows(theirPart.text));
});

test("a page with a password asks for it, and shows its scope alone", { skip }, async () => {
  const [our, their] = await bothGet("locked", "/stats");
  assert.deepEqual([our.status, our.challenge], [their.status, their.challenge]);
  assert.deepEqual([our.status, our.challenge], [401, 'Basic realm="A Place"']);
  const wrong = await get(ours, "locked", "/stats", {
    authorization: `Basic ${btoa("me:secreT")}`,
  });
  assert.equal(wrong.status, 401);
  const right = await bothGet("locked", "/stats", { authorization: `Basic ${btoa("me:secret")}` });
  assert.deepEqual(outline(right[0].text), outline(right[1].text));
  assert.doesNotMatch(right[0].text, /HAProxy version/);
  assert.doesNotMatch(right[0].text, /checkbox/);
});

test("orders of the form are obeyed, whichever thread gets them, and answered with HAProxy's redirects", {
  skip,
}, async () => {
  const orders: readonly (readonly [string, string])[] = [
    ["s=s1&action=drain&b=%23{app}", "/stats;st=DONE"],
    ["s=s1&s=nope&action=ready&b=app", "/stats;st=PART"],
    ["s=s1&action=foo&b=app", "/stats;st=ERRP"],
    ["s=s1&action=ready&b=nope", "/stats;st=ERRP"],
    ["", "/stats;st=NONE"],
  ];
  for (const [body, location] of orders) {
    for (const proxy of [ours, theirs]) {
      const rows = (await get(proxy, "page", "/stats;csv")).text;
      const number = /^app,BACKEND,.*$/m.exec(rows)?.[0].split(",")[27] ?? "";
      const answer = await post(proxy, "page", "/stats", body.replace("{app}", number));
      assert.deepEqual(
        [answer.status, answer.location],
        [303, location],
        `${proxy.program} ${body}`,
      );
    }
  }
  for (let i = 0; i < 6; i++) {
    await post(ours, "page", "/stats", `s=s4&action=${i % 2 === 0 ? "maint" : "ready"}&b=app`);
    await pause(700);
    const states = await Promise.all(
      Array.from({ length: 6 }, async () => (await get(ours, "page", "/stats;csv")).text),
    );
    const shown = states.map((text) => /^app,s4,.*$/m.exec(text)?.[0].split(",")[17]);
    assert.deepEqual(new Set(shown), new Set([i % 2 === 0 ? "MAINT" : "no check"]));
  }
  const denied = await post(ours, "locked", "/stats", "s=s1&action=maint&b=app", {
    authorization: `Basic ${btoa("me:secret")}`,
  });
  assert.equal(denied.location, "/stats;st=DENY");
});

test("the result of an order is told on the page", { skip }, async () => {
  for (const [word, className] of [
    ["DONE", "active_up"],
    ["NONE", "active_going_down"],
    ["ERRP", "active_down"],
    ["DENY", "active_down"],
  ] as const) {
    const { text } = await get(ours, "page", `/stats;st=${word}`);
    assert.match(text, new RegExp(`<div class="?${className}"?><a class=lfsb href="/stats"`), word);
  }
  const strange = await get(ours, "page", "/stats;st=%3Cscript%3E?scope=%22%3E%3Cscript%3E");
  assert.doesNotMatch(strange.text, /<script>/);
});

interface Got {
  readonly status: number;
  readonly text: string;
  readonly type: string | null;
  readonly refresh: string | null;
  readonly challenge: string | null;
  readonly location: string | null;
}

async function get(
  proxy: RunningProxy,
  name: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Got> {
  return got(await fetch(url(proxy, name, path), { headers: { ...headers, connection: "close" } }));
}

async function post(
  proxy: RunningProxy,
  name: string,
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<Got> {
  return got(
    await fetch(url(proxy, name, path), {
      method: "POST",
      redirect: "manual",
      body,
      headers: {
        ...headers,
        connection: "close",
        "content-type": "application/x-www-form-urlencoded",
      },
    }),
  );
}

async function got(answer: Response): Promise<Got> {
  const { headers } = answer;
  return {
    status: answer.status,
    text: await answer.text(),
    type: headers.get("content-type"),
    refresh: headers.get("refresh"),
    challenge: headers.get("www-authenticate"),
    location: headers.get("location"),
  };
}

async function bothGet(
  name: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<[Got, Got]> {
  return await Promise.all([get(ours, name, path, headers), get(theirs, name, path, headers)]);
}

function url(proxy: RunningProxy, name: string, path: string): string {
  return `http://127.0.0.1:${proxy.ports[name]}${path}`;
}

function types(text: string): string[] {
  return text.split("\n").filter((line) => line.startsWith("# TYPE"));
}

function names(text: string): string[] {
  return types(text).map((line) => line.split(" ")[2] ?? "");
}

/** Names with their labels, in order; the version is another. */
function series(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("haproxy_"))
    .map((line) => line.replace(/ [^ ]*$/, "").replace(/version="[^"]*"/, ""))
    .sort();
}

/** Anchors, and classes of rows, in their order. */
function outline(html: string): string[] {
  return [...html.matchAll(/<a name="([^"]*)">|<tr class="?(\w+)"?>/g)].map(
    ([, anchor, row]) => anchor ?? row ?? "",
  );
}

/** How many cells each row of a table of a proxy has, without what tool tips hold. */
function cells(html: string): number[] {
  const shown = html.replace(/<div class=tips>.*?<\/div>/gs, "").replaceAll("\n", "");
  return [
    ...shown.matchAll(
      /<tr class="?(?:frontend|backend|socket|active_\w+|backup_\w+|maintain)"?>(.*?)<\/tr>/g,
    ),
  ].map(([, row = ""]) =>
    [...row.matchAll(/<td( [^>]*)?>/g)].reduce(
      (sum, [, attributes = ""]) => sum + Number(/colspan=(\d+)/.exec(attributes)?.[1] ?? 1),
      0,
    ),
  );
}
