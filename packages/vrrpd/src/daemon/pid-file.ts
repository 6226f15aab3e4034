import { mkdirSync } from "node:fs";
import { readFile, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeDump } from "./dump-file.ts";

/** Which daemon a PID file is for: the whole, or the VRRP part of it. */
export interface PidFilePaths {
  /** `-p`; `/run/keepalived.pid`. */
  readonly parent: string;
  /** `-r`; `/run/keepalived_vrrp.pid`. */
  readonly vrrp: string;
}

/**
 * Where PID files go. keepalived(8), keepalived.conf(5): `instance`, `use_pid_dir` or a network namespace moves them to
 * a folder of their own. observed: keepalived 2.2.7
 */
export function pidFilePaths(options: {
  readonly parent?: string;
  readonly vrrp?: string;
  readonly instance?: string;
  readonly namespace?: string;
  readonly usePidDir: boolean;
  /** Default `/run`. */
  readonly runFolder?: string;
}): PidFilePaths {
  const run = options.runFolder ?? "/run";
  const { instance, namespace, usePidDir } = options;
  const owned = instance !== undefined || namespace !== undefined || usePidDir;
  const suffix = [namespace, instance].filter((part) => part !== undefined).join("_");
  const name = (base: string): string => {
    if (!owned) return join(run, `keepalived${base}.pid`);
    const plain = base === "" ? "keepalived" : base.slice(1);
    return join(run, "keepalived", suffix === "" ? `${plain}.pid` : `${suffix}${base}.pid`);
  };
  return { parent: options.parent ?? name(""), vrrp: options.vrrp ?? name("_vrrp") };
}

/**
 * Writes our PID. By rename, so that a reader never sees half a number and a planted link is not followed.
 *
 * @throws the system's error.
 */
export async function writePidFile(path: string, pid: number): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  await writeDump(path, `${pid}\n`, 0o644);
}

/** Removes the file unless another process has put its own PID there meanwhile. */
export async function removePidFile(path: string, pid: number): Promise<void> {
  if ((await readPid(path)) !== pid) return;
  await unlink(path).catch(() => {});
}

/**
 * The PID of the daemon that the file tells of, if it still lives; undefined otherwise. A PID that now belongs to some
 * other program counts as dead.
 *
 * @param isOurs Whether the command line of a process is that of a daemon such as this.
 */
export async function runningPid(
  path: string,
  isOurs: (command: string) => boolean,
): Promise<number | undefined> {
  const pid = await readPid(path);
  if (pid === undefined || pid === process.pid) return undefined;
  try {
    const command = await readFile(`/proc/${pid}/cmdline`, "latin1");
    return isOurs(command.replaceAll("\0", " ")) ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function readPid(path: string): Promise<number | undefined> {
  try {
    const text = await readFile(path, "latin1");
    return /^\d+\s*$/.test(text) ? Number(text.trim()) : undefined;
  } catch {
    return undefined;
  }
}
