import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ip, seededRandom } from "@ha/base";
import { openVrrpSocket } from "./raw-socket.ts";
import { nativePath, SocketDoor } from "./socket-door.ts";
import type { GuardedDaemonOptions } from "./testing/guarded-daemon.ts";
import { TwoHosts, until, whyNoNamespace } from "./testing/network-fixture.ts";
import type { VrrpSocket } from "./vrrp-transport.ts";

const PROGRAM = fileURLToPath(new URL("./testing/guarded-daemon.js", import.meta.url));
const GROUP = ip("224.0.0.18");
const VIP = "192.0.2.100";

describe("the guard", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  let peer: VrrpSocket;
  const heard: { readonly at: number; readonly priority: number }[] = [];
  let started: ChildProcess[] = [];
  const pids = new Set<number>();
  before(() => {
    hosts = TwoHosts.create();
    const index = Number.parseInt(hosts.there("ip -o link show b0"), 10);
    peer = hosts.asThere(() =>
      openVrrpSocket({
        family: 4,
        interface: { name: "b0", index },
        groups: [GROUP],
        onPacket: ({ payload }) =>
          heard.push({ at: performance.now(), priority: payload[2] as number }),
        onError: () => undefined,
      }),
    );
  });
  after(() => {
    peer.close();
    hosts.close();
  });
  afterEach(() => {
    for (const child of started) child.kill("SIGKILL");
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended already, which is usual.
      }
    }
    started = [];
    pids.clear();
    hosts.here("ip addr flush dev a0 to 192.0.2.100/32");
  });

  function start(more: Partial<GuardedDaemonOptions> = {}): {
    lines: string[];
    pid: number;
    guardPid(): Promise<number>;
  } {
    heard.length = 0;
    const options: GuardedDaemonOptions = {
      device: "a0",
      source: "192.0.2.1",
      address: VIP,
      intervalMs: 100,
      heartbeatMs: 150,
      leaveMs: 400,
      graceMs: 5_000,
      successor: "self",
      ...more,
    };
    const child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    started.push(child);
    const lines: string[] = [];
    child.stdout?.on("data", (data: Buffer) => {
      lines.push(...data.toString().split("\n").filter(Boolean));
      for (const line of lines) {
        for (const word of line.split(" ").slice(1, 3)) {
          if (/^(fresh|resumed)/.test(line) && Number(word) > 300) pids.add(Number(word));
        }
      }
    });
    return {
      lines,
      pid: child.pid ?? 0,
      async guardPid() {
        await until(() => lines.some((line) => line.startsWith("fresh")), 10_000);
        return Number(lines.find((line) => line.startsWith("fresh"))?.split(" ")[2]);
      },
    };
  }
  const hasAddress = (): boolean => hosts.here("ip -4 addr show dev a0").includes(VIP);
  const longestGap = (): number =>
    heard.slice(1).reduce((gap, { at }, i) => Math.max(gap, at - (heard[i]?.at ?? at)), 0);

  test("a daemon killed is back in place, and the peer hears adverts all the while", async (context) => {
    const daemon = start();
    const guard = await daemon.guardPid();
    await until(() => heard.length > 3);
    heard.splice(0, heard.length - 1);
    process.kill(daemon.pid, "SIGKILL");
    await until(() => daemon.lines.some((line) => line.startsWith("resumed")), 10_000);
    await new Promise((resolve) => setTimeout(resolve, 400));
    const resumed = daemon.lines.find((line) => line.startsWith("resumed")) ?? "";
    assert.match(resumed, new RegExp(`from ${daemon.pid}$`));
    // None when the successor is there before the next is due, as with Node 24.
    assert.match(resumed, /^resumed \d+ \d+ /);
    context.diagnostic(`longest gap ${longestGap().toFixed(1)} ms at 100 ms; ${resumed}`);
    assert.ok(longestGap() < 250, `${longestGap()}`);
    assert.ok(heard.every(({ priority }) => priority === 100));
    assert.equal(hasAddress(), true);
    const status = readFileSync(`/proc/${guard}/status`, "utf8");
    const rss = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
    context.diagnostic(`guard: ${rss} KB resident`);
    assert.ok(rss < 4_096);
    assert.match(status, /VmLck:\s+[1-9]/);
  });

  test("a daemon that gets no processor is not killed, and the peer hears adverts all the while", async (context) => {
    const daemon = start();
    await daemon.guardPid();
    await until(() => heard.length > 3);
    heard.splice(0, heard.length - 1);
    // Only when nobody else wants the processor, which somebody does.
    const cpu = "0";
    execFileSync("taskset", ["-a", "-p", "-c", cpu, String(daemon.pid)], { stdio: "ignore" });
    execFileSync("chrt", ["-a", "-i", "-p", "0", String(daemon.pid)], { stdio: "ignore" });
    const busy = [1, 2].map(() =>
      spawn("taskset", ["-c", cpu, process.execPath, "-e", "for (;;);"], { stdio: "ignore" }),
    );
    started.push(...busy);
    // Less than the six heartbeats that the guard waits for it.
    await new Promise((resolve) => setTimeout(resolve, 700));
    for (const child of busy) child.kill("SIGKILL");
    const gap = longestGap();
    execFileSync("chrt", ["-a", "-o", "-p", "0", String(daemon.pid)], { stdio: "ignore" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    context.diagnostic(`longest gap ${gap.toFixed(1)} ms at 100 ms`);
    // Of 700 ms; a loaded machine lets the guard wait as well, which is no real-time process here.
    assert.ok(gap < 600, `${gap}`);
    assert.deepEqual(
      daemon.lines.filter((line) => line.startsWith("resumed")),
      [],
    );
    assert.ok(heard.every(({ priority }) => priority === 100));
  });

  test("a daemon that hangs is killed at the missed heartbeat and back in place", async (context) => {
    const daemon = start();
    await daemon.guardPid();
    await until(() => heard.length > 3);
    // The last one counts for the gap.
    heard.splice(0, heard.length - 1);
    process.kill(daemon.pid, "SIGSTOP");
    await until(() => daemon.lines.some((line) => line.startsWith("resumed")), 10_000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    context.diagnostic(`longest gap ${longestGap().toFixed(1)} ms at 100 ms, heartbeat 150 ms`);
    assert.ok(longestGap() < 350, `${longestGap()}`);
    assert.ok(heard.every(({ priority }) => priority === 100));
    assert.equal(hasAddress(), true);
    assert.equal(started[0]?.signalCode ?? "SIGKILL", "SIGKILL");
  });

  test("without a successor it says farewell twice and removes the address when nobody comes", async () => {
    const daemon = start({ successor: "none" });
    await daemon.guardPid();
    await until(() => heard.length > 3);
    heard.length = 0;
    const start0 = performance.now();
    process.kill(daemon.pid, "SIGKILL");
    await until(() => heard.filter(({ priority }) => priority === 0).length === 2);
    assert.ok(performance.now() - start0 < 100);
    assert.equal(hasAddress(), true);
    await until(() => !hasAddress());
    const took = performance.now() - start0;
    assert.ok(took > 380 && took < 900, `${took}`);
    assert.equal(heard.length, 2);
  });

  test("the address goes 10 ms after another's advert, and not before", async (context) => {
    const daemon = start({ successor: "none", leaveMs: 3_000 });
    await daemon.guardPid();
    await until(() => heard.length > 3);
    process.kill(daemon.pid, "SIGKILL");
    await until(() => heard.some(({ priority }) => priority === 0));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(hasAddress(), true);
    const winner = Uint8Array.from([0x31, 51, 90, 1, 0, 10, 0, 0, 192, 0, 2, 100]);
    peer.send(Uint8Array.from([0x31, 52, 90, 1, 0, 10, 0, 0, 192, 0, 2, 100]), {
      source: ip("192.0.2.2"),
      destination: GROUP,
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(hasAddress(), true, "another virtual router's advert is no winner");
    const start0 = performance.now();
    peer.send(winner, { source: ip("192.0.2.2"), destination: GROUP });
    await until(() => !hasAddress());
    const took = performance.now() - start0;
    context.diagnostic(`address gone ${took.toFixed(1)} ms after the winner's advert`);
    assert.ok(took >= 10 && took < 200, `${took}`);
  });

  test("a daemon not back in time is left for good", async () => {
    const daemon = start({ successor: ["/bin/sleep", "3"], graceMs: 200 });
    await daemon.guardPid();
    await until(() => heard.length > 3);
    heard.length = 0;
    process.kill(daemon.pid, "SIGKILL");
    await until(() => heard.filter(({ priority }) => priority === 0).length === 2);
    assert.ok(heard.filter(({ priority }) => priority === 100).length >= 1);
    await until(() => !hasAddress());
  });

  test("a second death within the window leaves at once", async () => {
    const daemon = start();
    await daemon.guardPid();
    await until(() => heard.length > 3);
    process.kill(daemon.pid, "SIGKILL");
    await until(() => daemon.lines.some((line) => line.startsWith("resumed")), 10_000);
    const successor = Number(
      daemon.lines.find((line) => line.startsWith("resumed"))?.split(" ")[1],
    );
    heard.length = 0;
    process.kill(successor, "SIGKILL");
    await until(() => heard.filter(({ priority }) => priority === 0).length === 2);
    await until(() => !hasAddress());
  });

  test("another master heard while the daemon is away ends the guard's adverts", async () => {
    const daemon = start({ successor: ["/bin/sleep", "3"] });
    await daemon.guardPid();
    await until(() => heard.length > 3);
    process.kill(daemon.pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 150));
    peer.send(Uint8Array.from([0x31, 51, 200, 1, 0, 10, 0, 0, 192, 0, 2, 100]), {
      source: ip("192.0.2.2"),
      destination: GROUP,
    });
    await until(() => !hasAddress());
    heard.length = 0;
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(heard.length, 0);
  });

  test("TERM and INT do not move the guard, and an orderly stop ends it", async () => {
    const daemon = start();
    const guard = await daemon.guardPid();
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(guard, signal);
    await until(() => heard.length > 5);
    process.kill(daemon.pid, "SIGTERM");
    await until(() => !isRunning(guard));
    assert.equal(hasAddress(), false);
    assert.ok(heard.every(({ priority }) => priority === 100));
  });

  test("a guard that is asked to passes signals on", async () => {
    const daemon = start({ forwardSignals: true });
    const guard = await daemon.guardPid();
    await until(() => heard.length > 3);
    process.kill(guard, "SIGTERM");
    await until(() => daemon.lines.some((line) => line.startsWith("stopping")));
    await until(() => !isRunning(guard));
  });

  /** Runs a daemon of a few lines that holds something and kills itself. */
  function runAndDie(text: string): ChildProcess {
    const from = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
    const source = `
      import { prepareHold, startGuard } from ${from("./guard.js")};
      import { ipPacket } from ${from("./ip-packet.js")};
      import { removeAddress } from ${from("./address-request.js")};
      import { winnerProgram } from ${from("./classic-filter.js")};
      import { egressMessages } from ${from("./egress-block.js")};
      import { removeLink } from ${from("./link-request.js")};
      import { ip, milliseconds } from ${JSON.stringify(import.meta.resolve("@ha/base"))};
      const link = (line) => Number.parseInt(line, 10);
      ${text}
      setTimeout(() => process.kill(process.pid, "SIGKILL"), 100);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    started.push(child);
    return child;
  }

  test("255 virtual routers are kept on the air, each in its interval", async () => {
    const a0 = Number.parseInt(hosts.here("ip -o link show a0"), 10);
    const vrids = new Map<number, number>();
    const index = Number.parseInt(hosts.there("ip -o link show b0"), 10);
    const ear = hosts.asThere(() =>
      openVrrpSocket({
        family: 4,
        interface: { name: "b0", index },
        groups: [GROUP],
        receiveBufferBytes: 1_048_576,
        onPacket: ({ payload }) => {
          const vrid = payload[1] as number;
          vrids.set(vrid, (vrids.get(vrid) ?? 0) + 1);
        },
        onError: () => undefined,
      }),
    );
    const child = runAndDie(`
      const guard = startGuard({ command: ["/bin/sh", "-c", "sleep 2; exit 4"], environment: {}, heartbeatTimeout: milliseconds(3000), onExit() {} });
      for (let vrid = 1; vrid <= 255; vrid++) {
        const packet = ipPacket({ source: ip("192.0.2.1"), destination: ip("224.0.0.18"), protocol: 112, ttl: 255 },
          Uint8Array.of(0x31, vrid, 100, 0, 0, 50, 0, 0));
        const failure = guard.hold(prepareHold({ id: vrid, interval: milliseconds(500), adverts: [[{ ifindex: ${a0}, packet }]], repeat: true,
          farewell: [], removals: [], winners: [], leaveAfter: milliseconds(100), graceAfter: milliseconds(1900), resume: new Uint8Array(100) }));
        if (failure) console.error(failure);
      }
    `);
    await new Promise((resolve) => child.once("exit", resolve));
    await new Promise((resolve) => setTimeout(resolve, 1_700));
    ear.close();
    assert.equal(vrids.size, 255);
    const counts = [...vrids.values()];
    assert.ok(Math.min(...counts) >= 3 && Math.max(...counts) <= 5, counts.join(" "));
  });

  test("IPv6 adverts, several adverts in turn, and the removal of address and macvlan work as well", async () => {
    hosts.here("ip link add vrrp.52 link a0 type macvlan mode private");
    hosts.here("ip link set vrrp.52 address 00:00:5e:00:02:34 up");
    hosts.here("ip addr add fe80::100/64 dev vrrp.52 nodad");
    hosts.here("ip addr add 2001:db8::100/64 dev a0 nodad");
    const a0 = Number.parseInt(hosts.here("ip -o link show a0"), 10);
    const vmac = Number.parseInt(hosts.here("ip -o link show vrrp.52"), 10);
    const index = Number.parseInt(hosts.there("ip -o link show b0"), 10);
    const marks: string[] = [];
    const ear = hosts.asThere(() =>
      openVrrpSocket({
        family: 6,
        interface: { name: "b0", index },
        groups: [ip("ff02::12")],
        onPacket: ({ payload, ttl, source }) =>
          marks.push(`${payload[2]} ${ttl} ${source.bytes[15]}`),
        onError: () => undefined,
      }),
    );
    runAndDie(`
      const advert = (priority) => [{ ifindex: ${vmac}, packet: ipPacket(
        { source: ip("fe80::100"), destination: ip("ff02::12"), protocol: 112, ttl: 255 }, Uint8Array.of(0x31, 52, priority, 0, 0, 10, 0, 0)) }];
      const guard = startGuard({ command: ["/bin/sh", "-c", "sleep 2; exit 4"], environment: {}, heartbeatTimeout: milliseconds(2000), onExit() {} });
      guard.hold(prepareHold({ id: 9, interval: milliseconds(50), adverts: [advert(1)], repeat: true, farewell: [advert(0)],
        removals: [removeAddress({ ifindex: ${a0}, prefix: { address: ip("2001:db8::100"), length: 64 } }), removeLink({ index: ${vmac}, name: "vrrp.52" })],
        winners: [], leaveAfter: milliseconds(100), graceAfter: milliseconds(5000), resume: new Uint8Array() }));
      guard.renew(9, { adverts: [advert(11), advert(12), advert(13)], farewell: [advert(0), advert(0)], repeat: false, nextAfter: milliseconds(150) });
    `);
    await until(() => marks.length === 5, 6_000);
    // Three that were prepared, none over again, then the farewell.
    const wanted = ["11", "12", "13", "0", "0"].map((mark) => `${mark} 255 0`);
    assert.deepEqual(marks, wanted);
    await until(() => !hosts.here("ip addr").includes("vrrp.52"));
    assert.doesNotMatch(hosts.here("ip addr show dev a0"), /2001:db8::100/);
    ear.close();
  });

  test("once the winner is heard nothing leaves by a virtual MAC, and no trace of that is left", async () => {
    hosts.here("ip link add vrrp.53 link a0 type macvlan mode private");
    hosts.here("ip link set vrrp.53 address 00:00:5e:00:01:35 up");
    const a0 = Number.parseInt(hosts.here("ip -o link show a0"), 10);
    const vmac = Number.parseInt(hosts.here("ip -o link show vrrp.53"), 10);
    const silenced = (): boolean => hosts.here("nft list tables").includes("vrrpd silence vrrp.53");
    heard.length = 0;
    runAndDie(`
      const packet = (priority) => ipPacket({ source: ip("192.0.2.1"), destination: ip("224.0.0.18"), protocol: 112, ttl: 255 },
        Uint8Array.of(0x31, 51, priority, 0, 0, 10, 0, 0));
      const { block, unblock } = egressMessages("vrrp.53");
      const guard = startGuard({ command: [], environment: {}, heartbeatTimeout: milliseconds(2000), onExit() {} });
      guard.hold(prepareHold({ id: 9, interval: milliseconds(100), adverts: [[{ ifindex: ${a0}, packet: packet(100) }]], repeat: true,
        farewell: [[{ ifindex: ${a0}, packet: packet(0) }]], removals: [removeLink({ index: ${vmac}, name: "vrrp.53" }), unblock], silence: [block],
        winners: [{ ifindex: ${a0}, family: 4, program: winnerProgram({ family: 4, vrid: 51, version: 3, minTtl: 255, ownAddresses: [ip("192.0.2.1")] }) }],
        leaveAfter: milliseconds(4000), yieldAfter: milliseconds(500), graceAfter: milliseconds(5000), resume: new Uint8Array() }));
    `);
    await until(() => heard.some(({ priority }) => priority === 0), 6_000);
    assert.equal(silenced(), false);
    peer.send(Uint8Array.of(0x31, 51, 200, 0, 0, 10, 0, 0), {
      source: ip("192.0.2.2"),
      destination: GROUP,
    });
    await until(silenced, 400);
    await until(() => !hosts.here("ip link").includes("vrrp.53"));
    await until(() => !silenced());
  });

  test("no message makes the guard fall over", async () => {
    const [ours, theirs] = SocketDoor.pair("test", 1, 5);
    const guard = spawn(nativePath("guard"), [], {
      stdio: ["ignore", "ignore", "inherit", theirs.fd],
    });
    theirs.close();
    const random = seededRandom(1);
    const ended = new Promise<number | null>((resolve) => guard.once("exit", resolve));
    for (let i = 0; i < 3_000; i++) {
      const bytes = Uint8Array.from({ length: random.between(1, 400) }, () =>
        random.between(0, 255),
      );
      // HOLD, RENEW, RELEASE, SENT: a HELLO would name some process as its daemon, to be killed.
      bytes.set([4 + random.between(0, 3), 0, random.between(0, 3), 0].slice(0, bytes.length));
      // Half of them with sections that are nearly right.
      for (let at = 52; at + 8 <= bytes.length && i % 2 === 0; at += 8 + random.between(0, 39)) {
        bytes.set([1 + random.between(0, 4), 0, 0, 0, random.between(0, 59), 0, 0, 0], at);
      }
      while (ours.send(bytes) === -11) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    while (ours.send(Uint8Array.of(8, 0, 0, 0, 7, 0, 0, 0)) === -11) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(await ended, 7);
    ours.close();
  });

  test("a guard that dies is told to the daemon", async () => {
    const daemon = start();
    const guard = await daemon.guardPid();
    process.kill(guard, "SIGKILL");
    await until(() => daemon.lines.some((line) => line.startsWith("guard-gone")));
  });
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
