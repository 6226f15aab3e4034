import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine } from "./cli.ts";
import { loadConfiguration } from "./config-check.ts";
import { HeldSockets } from "./held-sockets.ts";
import { StartReport } from "./start-report.ts";

async function configured(...binds: readonly string[]) {
  const text = `defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend f
${binds.map((bind) => `  bind ${bind}\n`).join("")}
  http-request deny
`;
  const { config } = await loadConfiguration(parseCommandLine(["-f", "x"]), [{ name: "x", text }]);
  assert.ok(config !== undefined);
  return config;
}

const report = () => new StartReport(true);
const fdsOf = (sockets: readonly { readonly fd: number }[] | undefined) =>
  sockets?.map(({ fd }) => fd);

test("a bind that stays keeps its socket, whatever its words and its place", async () => {
  const held = new HeldSockets();
  const first = held.prepare(await configured("127.0.0.1:28101", "127.0.0.1:28102"), 10, report());
  const second = held.prepare(
    await configured("127.0.0.1:28103", "127.0.0.1:28102 maxconn 5", "127.0.0.1:28101 name x"),
    10,
    report(),
  );
  const [a, b] = fdsOf(first) ?? [];
  assert.deepEqual(fdsOf(second)?.slice(1), [b, a]);
  held.keep(new Set(fdsOf(second)));
  assert.deepEqual(new Set(held.descriptors), new Set(fdsOf(second)));
  held.keep(new Set());
  assert.deepEqual(held.descriptors, []);
});

test("two binds of one address have two sockets, and keep both", async () => {
  const held = new HeldSockets();
  const config = await configured("127.0.0.1:28104", "127.0.0.1:28104");
  const first = fdsOf(held.prepare(config, 10, report()));
  assert.equal(new Set(first).size, 2);
  assert.deepEqual(fdsOf(held.prepare(config, 10, report())), first);
  held.keep(new Set());
});

test("a bind that is refused leaves nothing behind, and is said", async () => {
  const held = new HeldSockets();
  const said = report();
  const config = await configured("127.0.0.1:28105", "192.0.2.77:28105");
  assert.equal(held.prepare(config, 10, said), undefined);
  assert.deepEqual(held.descriptors, []);
  assert.match(said.lines.join(""), /Binding \[x:8\] for frontend f: cannot bind socket/);
});
