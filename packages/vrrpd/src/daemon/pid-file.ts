import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { lockFile } from "@ha/linux";

export interface PidFilePaths {
  /** `-p`; `/run/keepalived.pid`. */
  readonly parent: string;
  /** `-r`; `/run/keepalived_vrrp.pid`. */
  readonly vrrp: string;
}

/**
 * Where PID files go. `instance`, `use_pid_dir` or a network namespace moves them to a folder of their own.
 * keepalived.conf(5), instance; observed: keepalived 2.2.7
 */
export function pidFilePaths(options: {
  readonly parent?: string | undefined;
  readonly vrrp?: string | undefined;
  readonly instance?: string | undefined;
  readonly namespace?: string | undefined;
  readonly usePidDir: boolean;
  /** Default `/run`. */
  readonly runFolder?: string;
}): PidFilePaths {
  const run = options.runFolder ?? "/run";
  const { instance, namespace, usePidDir } = options;
  const owned = instance !== undefined || namespace !== undefined || usePidDir;
  const prefix = [namespace, instance].filter((part) => part !== undefined).join("_");
  const name = (part: "" | "vrrp"): string => {
    if (!owned) return join(run, part === "" ? "keepalived.pid" : "keepalived_vrrp.pid");
    const plain = part === "" ? "keepalived" : part;
    return join(run, "keepalived", `${prefix === "" ? "" : `${prefix}_`}${plain}.pid`);
  };
  return { parent: options.parent ?? name(""), vrrp: options.vrrp ?? name("vrrp") };
}

/** A PID file that is ours while the lock on it lasts, which is as long as this process lives. */
export interface PidFile {
  readonly path: string;
  /** Removes it. */
  remove(): void;
}

export type PidFileResult =
  | { readonly type: "ours"; readonly file: PidFile }
  /** Another daemon holds it; 0 when it has not said its number yet. */
  | { readonly type: "running"; readonly pid: number }
  /** It cannot be written; a daemon can do without. */
  | { readonly type: "unusable"; readonly reason: string };

/**
 * Takes a PID file: locks it, so that a second daemon is refused whatever number a dead one left behind, and writes
 * our number. A keepalived that sets no lock (before 2.3) is known by its name.
 */
export function takePidFile(path: string, pid = process.pid): PidFileResult {
  let fd: number;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    fd = openSync(path, PID_FLAGS, 0o644);
  } catch (error) {
    return { type: "unusable", reason: error instanceof Error ? error.message : String(error) };
  }
  if (!fstatSync(fd).isFile()) {
    closeSync(fd);
    return { type: "unusable", reason: `${path} is not a file` };
  }
  const written = readPid(fd);
  if (lockFile(fd) !== undefined || isKeepalived(written, pid)) {
    closeSync(fd);
    return { type: "running", pid: written ?? 0 };
  }
  ftruncateSync(fd, 0);
  writeSync(fd, `${pid}\n`, 0);
  return {
    type: "ours",
    file: {
      path,
      remove: () => {
        try {
          unlinkSync(path);
        } catch {
          // Somebody cleaned up before us.
        }
        closeSync(fd);
      },
    },
  };
}

const PID_FLAGS =
  constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

function readPid(fd: number): number | undefined {
  const buffer = Buffer.alloc(32);
  const text = buffer.toString("latin1", 0, readSync(fd, buffer, 0, buffer.length, 0)).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function isKeepalived(pid: number | undefined, own: number): boolean {
  if (pid === undefined || pid === own) return false;
  try {
    return readFileSync(`/proc/${pid}/comm`, "latin1").startsWith("keepalived");
  } catch {
    return false;
  }
}
