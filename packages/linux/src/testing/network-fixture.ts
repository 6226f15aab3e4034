import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, openSync, readlinkSync } from "node:fs";
import process from "node:process";
import { enterNetworkNamespace, unshareNetwork } from "../own-process.ts";
import { nativePath } from "../socket-door.ts";

/** Why tests that need the kernel must skip, or false: what `node:test`'s `skip` takes. */
export function whyNoNamespace(): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  if (!existsSync(nativePath("process.node"))) return "needs the native modules (build.mjs)";
  return false;
}

/**
 * Two hosts on one link, for the tests of this package alone: this process moves into a network namespace of its
 * own ("here", with `a0`), and a sleeping child holds the other one ("there", with `b0`). Both end with us.
 */
export class TwoHosts {
  readonly #there: ChildProcess;
  readonly #home: number;

  private constructor(there: ChildProcess, home: number) {
    this.#there = there;
    this.#home = home;
  }

  /** a0 has 192.0.2.1/24 and fe80::1, b0 has 192.0.2.2/24 and fe80::2. */
  static create(): TwoHosts {
    const failure = unshareNetwork();
    if (failure !== undefined) throw failure;
    const home = openSync("/proc/self/ns/net", "r");
    const there = spawn("unshare", ["-n", "sleep", "600"], { stdio: "ignore" });
    const hosts = new TwoHosts(there, home);
    hosts.#waitForNamespace();
    hosts.here("ip link set lo up");
    hosts.here(`ip link add a0 type veth peer name b0 netns ${there.pid}`);
    hosts.there("ip link set lo up");
    for (const [run, device, last] of [
      [hosts.here, "a0", 1],
      [hosts.there, "b0", 2],
    ] as const) {
      run.call(hosts, `sysctl -qw net.ipv6.conf.${device}.accept_dad=0`);
      run.call(hosts, `ip link set ${device} addrgenmode none`);
      run.call(hosts, `ip link set ${device} up`);
      run.call(hosts, `ip addr add 192.0.2.${last}/24 dev ${device}`);
      run.call(hosts, `ip addr add fe80::${last}/64 dev ${device} nodad`);
    }
    return hosts;
  }

  /** Runs a command line (words, no quoting) here and gives its output. */
  here(line: string): string {
    const [program, ...args] = line.split(" ") as [string, ...string[]];
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  there(line: string): string {
    return this.here(`nsenter -t ${this.#there.pid} -n ${line}`);
  }

  /** Runs `action` with this thread in the other namespace: sockets that it opens stay there. */
  asThere<T>(action: () => T): T {
    enterOrThrow(`/proc/${this.#there.pid}/ns/net`);
    try {
      return action();
    } finally {
      enterOrThrow(`/proc/self/fd/${this.#home}`);
    }
  }

  close(): void {
    this.#there.kill("SIGKILL");
  }

  #waitForNamespace(): void {
    const mine = readlinkSync("/proc/self/ns/net");
    for (let i = 0; i < 500; i++) {
      if (readlinkSync(`/proc/${this.#there.pid}/ns/net`) !== mine) return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
    throw new Error("the other namespace does not come up");
  }
}

function enterOrThrow(path: string): void {
  const failure = enterNetworkNamespace(path);
  if (failure !== undefined) throw failure;
}

/** Waits until `condition` holds, looking every millisecond; throws after `limit` milliseconds. */
export async function until(condition: () => boolean, limit = 3_000): Promise<void> {
  const end = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`did not happen within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
