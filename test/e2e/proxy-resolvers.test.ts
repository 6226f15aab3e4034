import assert from "node:assert/strict";
import { connect, createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { until } from "../support/lbproxy.ts";
import { startNameServer, type TestNameServer } from "../support/name-server.ts";
import {
  freePort,
  lacksHaproxy,
  type ProgramName,
  type RunningProxy,
  startProxy,
  talk,
} from "../support/proxy-pair.ts";

// Goal: servers follow their names as under HAProxy. Method: both programs ask one name server whose table changes;
// what `show servers state` says and who answers is compared with what the table says.

/** Servers on addresses of the loopback network, each of which answers with its address. */
async function startOrigins(port: number): Promise<Server[]> {
  const servers: Server[] = [];
  for (const host of ["127.0.0.2", "127.0.0.3", "127.0.0.4"]) {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.once("data", () =>
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n${host}`),
      );
    });
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    servers.push(server);
  }
  return servers;
}

const skip = lacksHaproxy();

/** Bits of `srv_admin_state`: ordered, or for want of an address. HAProxy management guide §9.3, show servers state */
const MAINTENANCE = 1 | 32;

for (const program of ["haproxy", "lbproxy"] as const satisfies readonly ProgramName[]) {
  describe(program, { skip }, () => {
    let names: TestNameServer;
    let origins: Server[];
    let proxy: RunningProxy;
    let port = 0;

    before(async () => {
      port = await freePort();
      origins = await startOrigins(port);
      names = await startNameServer(
        new Map([
          ["web.test", ["127.0.0.2"]],
          ["_http._tcp.test", [`0 ${port} a.test`, `512 ${port} b.test`]],
          ["a.test", ["127.0.0.3"]],
          ["b.test", ["127.0.0.4"]],
        ]),
      );
      proxy = await startProxy(
        program,
        `
global
  stats socket ${"{"}api} level admin
resolvers r
  nameserver one 127.0.0.1:${names.port}
  timeout resolve 200ms
  timeout retry 100ms
  resolve_retries 2
  hold nx 300ms
  hold timeout 300ms
  hold obsolete 0s
  hold valid 100ms
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend f
  bind {f}
  default_backend b
backend b
  balance roundrobin
  server-template w 2 web.test:${port} resolvers r init-addr none resolve-prefer ipv4
backend s
  balance roundrobin
  server-template s 3 _http._tcp.test resolvers r init-addr none resolve-prefer ipv4
`,
      );
    });

    before(() =>
      until("the runtime API", () =>
        ask("show version").then(
          () => true,
          () => false,
        ),
      ),
    );

    after(async () => {
      await proxy?.stop();
      names?.close();
      for (const server of origins ?? []) server.close();
    });

    const ask = (line: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(proxy.ports["api"] ?? 0, "127.0.0.1");
        let text = "";
        socket.on("data", (chunk) => (text += chunk.toString("latin1")));
        socket.on("end", () => resolve(text));
        socket.on("error", reject);
        socket.write(`${line}\n`);
      });

    /** Address, port and maintenance of every server. */
    const places = async (backend: string): Promise<string[]> => {
      const rows = (await ask(`show servers state ${backend}`)).split("\n");
      return rows
        .filter((row) => /^\d+ [a-z]/.test(row))
        .map((row) => row.split(" "))
        .map(
          (columns) =>
            `${columns[4]}:${columns[18]}${(Number(columns[6]) & MAINTENANCE) === 0 ? "" : " maint"}`,
        )
        .sort();
    };

    const settle = async (backend: string, expected: readonly string[]): Promise<void> => {
      let now: string[] = [];
      const wanted = [...expected].sort().join();
      await until(`${backend}: ${wanted}`, async () => {
        now = await places(backend);
        return now.join() === wanted;
      }).catch(() => assert.equal(now.join(), wanted));
    };

    test("a server gets the address of its name, one too many for it stays in maintenance", async () => {
      await settle("b", [`127.0.0.2:${port}`, `-:${port} maint`]);
      const { text } = await talk(proxy.ports["f"] ?? 0, [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      ]);
      assert.match(text, /127\.0\.0\.2$/);
    });

    test("a service's servers get address, port and weight of its records", async () => {
      await settle("s", [`127.0.0.3:${port}`, `127.0.0.4:${port}`, "-:0 maint"]);
      const rows = (await ask("show servers state s")).split("\n");
      const weights = rows.flatMap((row) => {
        const columns = row.split(" ");
        return columns[4]?.startsWith("127.") ? [`${columns[4]} ${columns[7]}`] : [];
      });
      assert.deepEqual(weights.sort(), ["127.0.0.3 0", "127.0.0.4 2"]);
    });

    test("what the name server changes is followed, and what it takes away goes", async () => {
      names.records = new Map([
        ["web.test", ["127.0.0.3", "127.0.0.4"]],
        ["_http._tcp.test", [`0 ${port} b.test`]],
        ["b.test", ["127.0.0.4"]],
      ]);
      await settle("b", [`127.0.0.3:${port}`, `127.0.0.4:${port}`]);
      await settle("s", [`127.0.0.4:${port}`, "-:0 maint", "-:0 maint"]);
    });

    test("a name that is no more takes its servers down after hold nx", async () => {
      names.records = new Map([
        ["_http._tcp.test", [`0 ${port} b.test`]],
        ["b.test", ["127.0.0.4"]],
      ]);
      await settle("b", [`-:${port} maint`, `-:${port} maint`]);
      assert.match(await ask("show resolvers r"), /nx: +[1-9]/);
    });

    test("set server fqdn sends a server after another name", async () => {
      names.records = new Map([["other.test", ["127.0.0.2"]]]);
      assert.match(
        await ask("set server b/w1 fqdn other.test"),
        /w1 changed its FQDN from .* to other\.test/,
      );
      await settle("b", [`127.0.0.2:${port}`, `-:${port} maint`]);
    });
  });
}
