import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createConfigHost, resolveNames } from "../../daemon/config-host.ts";
import { createWorldPorts } from "../../daemon/world-ports.ts";
import { readConfig } from "../config/load.ts";
import type { Config } from "../config/model.ts";
import type { WorldPorts } from "./world.ts";

// What the tests that compare with the real haproxy share.

const found = spawnSync("haproxy", ["-v"], { encoding: "utf8" });
export const withoutHaproxy = found.status === 0 ? false : "haproxy is not installed";

export const DEFAULTS = [
  "defaults",
  "  mode http",
  "  timeout client 5s",
  "  timeout server 5s",
  "  timeout connect 5s",
];

export interface RunningHaproxy {
  readonly port: number;
  /** The configuration as our own parser reads it. */
  readonly config: Config;
  /** What it wrote to its standard output so far: logs of `log stdout`. */
  output(): string;
  stop(): void;
}

/** Starts haproxy with the lines; PORT in them is a free port, which it listens on. Fails with its words when it refuses them. */
export async function runHaproxy(lines: readonly string[]): Promise<RunningHaproxy> {
  const folder = mkdtempSync(join(tmpdir(), "ha-compare-"));
  const port = await freePort();
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, `${lines.join("\n").replaceAll("PORT", String(port))}\n`, "latin1");
  const check = spawnSync("haproxy", ["-c", "-f", file], { encoding: "utf8" });
  if (check.status !== 0) {
    rmSync(folder, { recursive: true });
    throw new Error(check.stderr);
  }
  const config = await loadConfig(file);
  const child: ChildProcess = spawn("haproxy", ["-db", "-f", file], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout?.on("data", (data: Buffer) => {
    text += data.toString("latin1");
  });
  await untilOpen(port);
  return {
    port,
    config,
    output: () => text,
    stop: () => {
      child.kill("SIGTERM");
      rmSync(folder, { recursive: true });
    },
  };
}

export async function loadConfig(file: string): Promise<Config> {
  const pending = readConfig([{ name: file, text: readFileSync(file, "latin1") }], {
    host: createConfigHost(),
    environment: new Map(),
    commandLine: { maxconn: undefined, ignoreUnresolved: false },
    noServerVerify: false,
    diagnosticMode: false,
    version: "3.5.0",
    features: new Map(),
    enabled: new Set(),
    sslLibrary: "OpenSSL 3.0.0",
  });
  await resolveNames(pending.names);
  const { config, findings } = pending.finish();
  assert.ok(config !== undefined, JSON.stringify(findings.list));
  return config;
}

export function nodePorts(): WorldPorts {
  return createWorldPorts({
    thread: 1,
    environment: new Map(),
    wallTime: () => 1_700_000_000_000,
    isStopping: () => false,
    debug: () => undefined,
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}

async function untilOpen(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("haproxy did not open its port");
}

export interface Answer {
  readonly head: string;
  readonly body: string;
}

/** Sends the request from an address of the loopback network; the whole answer, one character a byte. */
export function ask(port: number, request: string, localAddress = "127.0.0.1"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress }, () =>
      socket.write(Buffer.from(request, "latin1")),
    );
    let text = "";
    socket.on("error", reject);
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const length = Number(
        /^content-length: (\d+)/im.exec(text)?.[1] ??
          (/^HTTP\/1.1 (?:204|304)/.test(text) ? 0 : Number.NaN),
      );
      if (end === -1 || !(text.length >= end + 4 + length)) return;
      resolve({ head: text.slice(0, end + 4), body: text.slice(end + 4, end + 4 + length) });
      socket.destroy();
    });
    socket.on("close", () => reject(new Error(`closed without an answer: ${text}`)));
  });
}

test("the runner reports a configuration that haproxy refuses", {
  skip: withoutHaproxy,
}, async () => {
  await assert.rejects(
    runHaproxy(["frontend f", "  bind 127.0.0.1:PORT", "  no-such-keyword"]),
    /no-such-keyword/,
  );
});
