import { strict as assert } from "node:assert";
import { after, before, test } from "node:test";
import { frame, get, literal, RawHttp2 } from "../support/http2-frames.ts";
import {
  type Origin,
  pause,
  type RunningProxy,
  startOrigin,
  startProxy,
} from "../support/proxy-pair.ts";

// Goal: whatever HTTP/2 lets a client waste is bounded, answered with the right error, counted and told in the log,
// and costs the next client nothing. Method: raw frames, on both executors.
const EXECUTORS = ["io_uring", "epoll"] as const;
const CALM = "goaway 11";

interface Side {
  readonly origin: Origin;
  readonly proxy: RunningProxy;
}
const sides = new Map<string, Side>();

before(async () => {
  for (const executor of EXECUTORS) {
    const origin = await startOrigin((request) => {
      const path = request.split(" ")[1] ?? "";
      if (path.endsWith("/never")) return undefined;
      const body = path === "/big" ? "x".repeat(200_000) : path;
      return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    });
    const proxy = await startProxy(
      "lbproxy",
      `
defaults
  mode http
  log {log} local0
  option httplog
  timeout connect 1s
  timeout client 700ms
  timeout server 5s
frontend www
  bind {www} proto h2
  bind {plain}
  use_backend one if { path_beg /one }
  default_backend app
frontend stats
  bind {stats}
  http-request use-service prometheus-exporter if { path /metrics }
  stats enable
  stats uri /
backend app
  server s1 127.0.0.1:${origin.port}
backend one
  server s1 127.0.0.1:${origin.port} maxconn 1
`,
      { LBPROXY_EXECUTOR: executor },
    );
    sides.set(executor, { origin, proxy });
  }
});

after(async () => {
  for (const { origin, proxy } of sides.values()) {
    await proxy.stop();
    await origin.close();
  }
});

const repeated = (count: number, one: (i: number) => Buffer): Buffer[] =>
  Array.from({ length: count }, (_, i) => one(i));
const id = (i: number): number => 1 + i * 2;
const word = (value: number): Buffer =>
  Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);

/** Each is what a client sends after its preface, and the reason that the log must name. */
const FLOODS: readonly (readonly [what: string, reason: string, frames: () => Buffer[]])[] = [
  [
    "requests that are reset at once",
    "rapid-reset",
    () =>
      repeated(700, (i) =>
        Buffer.concat([frame(1, 5, id(i), get("/never")), frame(3, 0, id(i), word(8))]),
      ),
  ],
  [
    "a header block in endless CONTINUATION",
    "continuation",
    () => [frame(1, 1, 1, get()), ...repeated(40, () => frame(9, 0, 1, "")), frame(9, 4, 1)],
  ],
  [
    "a header block longer than a buffer",
    "continuation",
    () => [
      frame(1, 1, 1, get()),
      frame(9, 0, 1, "x".repeat(16_000)),
      frame(9, 4, 1, "x".repeat(16_000)),
    ],
  ],
  [
    "SETTINGS without end",
    "settings",
    () => repeated(200, () => frame(4, 0, 0, "\0\x04\0\0\xff\xff")),
  ],
  [
    "SETTINGS of a thousand entries",
    "settings",
    () => [frame(4, 0, 0, "\0\x04\0\0\xff\xff".repeat(1_000))],
  ],
  ["PING without end", "ping", () => repeated(1_000, () => frame(6, 0, 0, "12345678"))],
  [
    "empty DATA frames",
    "empty-frame",
    () => [frame(1, 4, 1, get("/never")), ...repeated(300, () => frame(0, 0, 1))],
  ],
  [
    "window updates of one byte",
    "window-update",
    () => [frame(1, 5, 1, get("/never")), ...repeated(2_000, () => frame(8, 0, 1, word(1)))],
  ],
  [
    "PRIORITY without end",
    "priority",
    () => repeated(4_000, () => frame(2, 0, 1, "\0\0\0\x03\x10")),
  ],
  ["frames that nobody knows", "unknown-frame", () => repeated(500, () => frame(99, 0, 0, "x"))],
  [
    "data on streams that are closed",
    "closed-stream",
    () => [
      frame(1, 5, 1, get("/a")),
      frame(3, 0, 1, word(8)),
      ...repeated(2_000, () => frame(0, 0, 1, "x")),
    ],
  ],
  [
    "malformed requests",
    "malformed",
    () => repeated(100, (i) => frame(1, 5, id(i), get("/", literal("UPPER", "x")))),
  ],
  [
    "header lists that are too long",
    "header-list",
    () => repeated(100, (i) => frame(1, 5, id(i), get("/", literal("x-a", "y").repeat(120)))),
  ],
  ["GOAWAY without end", "goaway", () => repeated(20, () => frame(7, 0, 0, "\0\0\0\0\0\0\0\0"))],
];

for (const executor of EXECUTORS) {
  for (const [what, reason, frames] of FLOODS) {
    test(`${executor}: ${what} end the connection with ENHANCE_YOUR_CALM, and the log says ${reason}`, async () => {
      const { proxy } = sides.get(executor) as Side;
      proxy.logs.length = 0;
      const client = new RawHttp2(proxy.ports["www"] as number);
      client.write(...frames());
      let verdict = "";
      const end = performance.now() + 4_000;
      while (performance.now() < end && verdict !== CALM) {
        const goAway = client.frames.find(({ type }) => type === "GOAWAY");
        if (goAway !== undefined) verdict = `goaway ${goAway.payload.readUInt32BE(4)}`;
        else await pause(5);
      }
      client.end();
      assert.equal(verdict, CALM);
      const told = () => proxy.logs.some((line) => line.includes(`abuse: ${reason}`));
      for (const late = performance.now() + 2_000; !told() && performance.now() < late; )
        await pause(10);
      assert.ok(told(), proxy.logs.join("\n"));
    });
  }

  test(`${executor}: a hundred thousand header bytes by tiny references are refused with 431, and the table stays in step`, async () => {
    const { proxy } = sides.get(executor) as Side;
    const client = new RawHttp2(proxy.ports["www"] as number);
    // One entry of 3,000 bytes, then a hundred references to it of one byte each.
    const entry = `\x40${"\x01x"}\x7f${"\xb9\x16"}${"v".repeat(3_000)}`;
    client.write(frame(1, 5, 1, get("/", entry + "\xbe".repeat(100))));
    client.write(frame(1, 5, 3, get("/after", "\xbe")));
    assert.match(await client.until("HEADERS", 1), /0803343331$/);
    assert.match(await client.until("HEADERS", 3), /^HEADERS 88/);
    client.end();
  });

  test(`${executor}: more streams than were announced are refused, and those that run go on`, async () => {
    const { proxy } = sides.get(executor) as Side;
    const client = new RawHttp2(proxy.ports["www"] as number);
    client.write(...repeated(101, (i) => frame(1, 5, id(i), get("/never"))));
    assert.equal(await client.until("RST_STREAM", id(100)), "reset 7");
    assert.equal(client.frames.filter(({ type }) => type === "GOAWAY").length, 0);
    client.end();
  });

  test(`${executor}: a client whose window stays shut loses its stream after timeout client, not the connection`, async () => {
    const { proxy } = sides.get(executor) as Side;
    const client = new RawHttp2(proxy.ports["www"] as number, { settings: "\0\x04\0\0\0\0" });
    client.write(frame(1, 5, 1, get("/big")));
    assert.match(await client.until("RST_STREAM", 1), /^reset [258]$/);
    assert.equal(client.body(1), "");
    client.write(frame(4, 0, 0, "\0\x04\0\0\xff\xff"), frame(1, 5, 3, get("/small")));
    assert.match(await client.until("DATA", 3), /^DATA/);
    client.end();
  });

  test(`${executor}: a client that takes one byte now and then is no better off`, async () => {
    const { proxy } = sides.get(executor) as Side;
    const client = new RawHttp2(proxy.ports["www"] as number, { settings: "\0\x04\0\0\0\0" });
    client.write(frame(1, 5, 1, get("/big")));
    const drip = setInterval(() => client.write(frame(8, 0, 1, word(1))), 100);
    assert.match(await client.until("RST_STREAM", 1), /^reset [258]$/);
    clearInterval(drip);
    assert.ok(client.body(1).length < 20);
    client.end();
  });

  test(`${executor}: more data than its window lets ends a stream, and a window beyond 2^31-1 the connection`, async () => {
    const { proxy } = sides.get(executor) as Side;
    const client = new RawHttp2(proxy.ports["www"] as number);
    // The first one has the only slot, so that nobody takes the second one's body.
    client.write(frame(1, 5, 1, get("/one/never")), frame(1, 4, 3, get("/one/never")));
    client.write(...repeated(5, () => frame(0, 0, 3, "x".repeat(16_384))));
    assert.equal(await client.until("RST_STREAM", 3), "reset 3");
    client.write(frame(8, 0, 0, word(0x7fffffff)));
    assert.equal(await client.until("GOAWAY"), "goaway 3");
    client.end();
  });

  test(`${executor}: after all that, the next client is served, and the counters tell`, async () => {
    const { proxy } = sides.get(executor) as Side;
    const client = new RawHttp2(proxy.ports["www"] as number);
    client.write(frame(1, 5, 1, get("/well")));
    await client.until("DATA", 1);
    assert.equal(client.body(1), "/well");
    client.end();
    const csv = await (await fetch(`http://127.0.0.1:${proxy.ports["stats"]}/;csv`)).text();
    const [header = "", ...lines] = csv.split("\n");
    const names = header.replace(/^# /, "").split(",");
    const row = lines.find((line) => line.startsWith("www,FRONTEND"))?.split(",") ?? [];
    const value = (name: string) => Number(row[names.indexOf(name)]);
    assert.ok(value("h2_headers_rcvd") > 600);
    assert.ok(value("h2_rst_stream_rcvd") > 400);
    assert.ok(value("h2_detected_conn_protocol_errors") >= FLOODS.length);
    assert.ok(value("h2_goaway_resp") >= FLOODS.length);
    assert.ok(value("h2_total_connections") > FLOODS.length);
    const metrics = await (
      await fetch(`http://127.0.0.1:${proxy.ports["stats"]}/metrics?extra-counters`)
    ).text();
    for (const [, reason] of FLOODS) {
      assert.match(
        metrics,
        new RegExp(`^lbproxy_http2_abuses_total\\{reason="${reason}"\\} [1-9]`, "m"),
      );
    }
  });
}
