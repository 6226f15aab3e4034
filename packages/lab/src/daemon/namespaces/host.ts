import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { until } from "./wall-clock.ts";

export interface Output {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs on a host, with its output as streams. */
export type HostProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * A machine made of namespaces: its own network, processes, host name, and empty /run, /tmp and /etc/keepalived, so
 * that PID files and `killall` mean this host alone. It has no name outside: nothing collides, and nothing can be left
 * behind, because its first process reads a pipe from us and ends with us, and the kernel ends all others with it.
 */
export class Host {
  readonly name: string;
  /** The first process of the host, as this process sees it. */
  readonly pid: number;
  readonly #holder: ChildProcess;
  readonly #beside = new Set<ChildProcess>();

  private constructor(name: string, pid: number, holder: ChildProcess) {
    this.name = name;
    this.pid = pid;
    this.#holder = holder;
  }

  /**
   * @param ttl What its kernel writes into packets of its own: tells who answered a ping by content, whatever the
   *   hardware address. 64 when left out.
   * @param room What fits into /run and into /tmp, as tmpfs(5) writes it. Default: half of the machine's memory.
   */
  static async open(
    name: string,
    { ttl = 64, room = "50%" }: { ttl?: number; room?: string } = {},
  ): Promise<Host> {
    const holder = spawn(
      "unshare",
      [
        ...["--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
        // Its input is a socket, which bash takes for a remote shell and reads the user's .bashrc for.
        ...["bash", "--norc", "-c", SETUP, "bash", name, String(ttl), room, ...keptPaths()],
      ],
      { stdio: ["pipe", "pipe", "pipe"], env: ENVIRONMENT },
    );
    let said = "";
    holder.stdout.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    holder.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    try {
      await until(`host ${name} to start`, 30_000, () => {
        if (holder.exitCode !== null) throw new Error(`host ${name} did not start: ${said}`);
        return said.includes("ready\n");
      });
      // A test that fails to close a host must not keep its process alive: the host ends with the process.
      holder.unref();
      for (const stream of [holder.stdin, holder.stdout, holder.stderr]) {
        if ("unref" in stream && typeof stream.unref === "function") stream.unref();
      }
      return new Host(name, childOf(holder.pid), holder);
    } catch (error) {
      holder.kill("SIGKILL");
      throw error;
    }
  }

  /** Starts a program on this host. The wrapper that it returns ends as the program ends. */
  spawn(command: string, args: readonly string[] = []): HostProcess {
    return spawn("nsenter", [...this.#enter(["--pid"]), command, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: ENVIRONMENT,
    });
  }

  /** Starts a program on this host's network that is none of its processes: it survives `killAll`, and ends with the host. */
  spawnBeside(command: string, args: readonly string[] = []): HostProcess {
    const child = spawn("nsenter", [...this.#enter([]), command, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: ENVIRONMENT,
    });
    this.#beside.add(child);
    child.once("exit", () => this.#beside.delete(child));
    return child;
  }

  /** Runs a program to its end. Rejects when it fails, unless `check` is false. */
  async run(
    command: string,
    args: readonly string[],
    { input = "", check = true }: { input?: string; check?: boolean } = {},
  ): Promise<Output> {
    return finish(
      this.spawn(command, args),
      `${this.name}: ${command} ${args.join(" ")}`,
      input,
      check,
    );
  }

  /** Several `ip` commands in one process, seen from our own processes: PIDs in them are ours. */
  async ip(...commands: readonly string[]): Promise<void> {
    const child = spawn(
      "nsenter",
      ["--target", String(this.pid), "--net", "--", "ip", "-batch", "-"],
      {
        stdio: ["pipe", "pipe", "pipe"],
        env: ENVIRONMENT,
      },
    );
    await finish(
      child,
      `${this.name}: ip ${commands.join("; ")}`,
      `${commands.join("\n")}\n`,
      true,
    );
  }

  async shell(script: string): Promise<string> {
    return (await this.run("sh", ["-ec", script])).stdout;
  }

  writeFile(path: string, text: string): void {
    writeFileSync(this.pathOutside(path), text);
  }

  readFile(path: string): string {
    return readFileSync(this.pathOutside(path), "utf8");
  }

  /** Where this process finds a file of the host. */
  pathOutside(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Sends a signal to all processes of the host but its first. */
  async killAll(signal: "KILL" | "STOP" | "CONT"): Promise<void> {
    await this.run("kill", [`-${signal}`, "-1"], { check: false });
  }

  async close(): Promise<void> {
    for (const child of this.#beside) child.kill("SIGKILL");
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const ended = once(this.#holder, "exit");
    this.#holder.kill("SIGKILL"); // --kill-child takes the first process along, and the kernel all others.
    await ended;
  }

  #enter(more: readonly string[]): string[] {
    return ["--target", String(this.pid), "--net", "--uts", "--mount", ...more, "--"];
  }
}

/** The program's own process behind a wrapper of `Host.spawn`. */
export function programOf(wrapper: ChildProcess): Promise<number> {
  return until("a program to start", 5_000, () => {
    const [child] = wrapper.pid === undefined ? [] : childrenOf(wrapper.pid);
    return child;
  });
}

/** Direct children of a process, oldest first; none when it is gone. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text
      .split(" ")
      .filter((word) => word !== "")
      .map(Number);
  } catch {
    return [];
  }
}

function childOf(pid: number | undefined): number {
  const [child] = pid === undefined ? [] : childrenOf(pid);
  if (child === undefined) throw new Error("the first process of a host is gone");
  return child;
}

async function finish(
  child: HostProcess,
  what: string,
  input: string,
  check: boolean,
): Promise<Output> {
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  child.stdin.on("error", () => {}); // A program may end without reading its input; its status tells.
  child.stdin.end(input);
  const status = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? -1));
  });
  if (check && status !== 0) throw new Error(`${what}: status ${status}\n${stdout}${stderr}`);
  return { status, stdout, stderr };
}

const repository = fileURLToPath(new URL("../../../../..", import.meta.url));

/** What the host needs although it may lie under a folder that is empty there. */
function keptPaths(): string[] {
  const wanted = [repository.replace(/\/$/, ""), process.execPath];
  return wanted.filter((path) => path.startsWith("/tmp/") || path.startsWith("/run/"));
}

const ENVIRONMENT = {
  PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`,
  LC_ALL: "C",
  TZ: "UTC",
};

/**
 * The first process of a host: arguments are its name, its TTL, its room and the paths to keep. /dev/console is shut because
 * syslog(3) without a /dev/log writes each line there, which stalls keepalived for milliseconds. Ignoring SIGCHLD (bash can, dash cannot) makes
 * the kernel reap the orphans that the first process inherits.
 */
const SETUP = `
set -e
name=$1 ttl=$2 room=$3
shift 3
hostname "$name"
if [ -e /dev/console ]; then mount --bind /dev/null /dev/console; fi
if [ -S /dev/log ]; then mount --bind /dev/null /dev/log; fi
for folder in /run /tmp; do
  mount -t tmpfs -o size="$room" tmpfs /mnt
  chmod 1777 /mnt
  for path in "$@"; do
    case "$path" in "$folder"/*) ;; *) continue ;; esac
    if [ -d "$path" ]; then mkdir -p "/mnt\${path#$folder}"
    else mkdir -p "$(dirname "/mnt\${path#$folder}")"; : >"/mnt\${path#$folder}"; fi
    mount --bind "$path" "/mnt\${path#$folder}"
  done
  mount --rbind /mnt "$folder"
  umount -l /mnt
done
for folder in /etc/keepalived /etc/haproxy; do
  if [ -d "$folder" ]; then mount -t tmpfs tmpfs "$folder"; fi
done
ip link set lo up
sysctl -q -w net.ipv4.ip_default_ttl="$ttl" net.ipv6.conf.default.hop_limit="$ttl" \\
  net.ipv6.conf.all.hop_limit="$ttl" net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
trap "" CHLD
echo ready
exec cat
`;
