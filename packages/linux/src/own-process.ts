import { readdirSync } from "node:fs";
import { constants } from "node:os";
import { loadNative } from "./socket-door.ts";
import { type SystemError, systemError } from "./system-error.ts";

/** What `native/process.c` exports. Numbers below zero are error numbers. */
interface NativeProcess {
  changeRoot(path: string): number;
  closeOnExec(fd: number, on: number): number;
  control(option: number, argument: number): number;
  enterNamespace(path: string, type: number): number;
  getScheduler(): number;
  lock(fd: number): number;
  processDescriptor(pid: number): number;
  setAffinity(mask: Uint8Array): number;
  setLimit(resource: number, soft: number, hard: number): number;
  setName(name: string): number;
  setScheduler(thread: number, policy: number, priority: number): number;
  unshare(flags: number): number;
}

const CLONE_NEWNET = 0x4000_0000;
const ESRCH = 3;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x4000_0000;
const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_CHILD_SUBREAPER = 36;
/** Resource numbers of setrlimit(2), as far as keepalived sets any. */
const RLIMITS = { core: 4, nofile: 7, rttime: 15 } as const;

let loaded: NativeProcess | undefined;
function native(): NativeProcess {
  loaded ??= loadNative<NativeProcess>("process.node");
  return loaded;
}

/**
 * Round robin real-time scheduling for this process, as `vrrp_rt_priority`: 1–99. All threads that it has by now get
 * it, since the main one waits for V8's helpers at times. Children do not inherit it (SCHED_RESET_ON_FORK), so that no
 * script can starve the host.
 */
export function setRealtimePriority(priority: number): SystemError | undefined {
  for (const thread of readdirSync("/proc/self/task")) {
    const result = native().setScheduler(Number(thread), SCHED_RR | SCHED_RESET_ON_FORK, priority);
    // A thread may have ended since it was listed.
    if (result < 0 && result !== -ESRCH)
      return outcome(`set real-time priority ${priority}`, result);
  }
  return undefined;
}

/** CPUs that the main thread may use, as `vrrp_cpu_affinity`. */
export function setCpuAffinity(cpus: readonly number[]): SystemError | undefined {
  const mask = new Uint8Array(128);
  for (const cpu of cpus) mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  return outcome(`run on CPU ${cpus.join(" ")}`, native().setAffinity(mask));
}

/** `rttime` in microseconds (`vrrp_rlimit_rttime`), `core` in bytes, `nofile` in descriptors; -1 is no limit. */
export function setResourceLimit(
  resource: keyof typeof RLIMITS,
  limit: { readonly soft: number; readonly hard: number },
): SystemError | undefined {
  const result = native().setLimit(RLIMITS[resource], limit.soft, limit.hard);
  return outcome(`limit ${resource}`, result);
}

/** The process name that `ps -o comm` and `killall` see: the first 15 bytes. */
export function setProcessName(name: string): SystemError | undefined {
  return outcome(`take the name ${name}`, native().setName(name));
}

/** The signal that we get when our parent dies; 0 for none. */
export function setParentDeathSignal(signal: NodeJS.Signals | 0): SystemError | undefined {
  const number = signal === 0 ? 0 : (constants.signals[signal] ?? 0);
  return outcome("set the parent death signal", native().control(PR_SET_PDEATHSIG, number));
}

/** Orphans of our children become our children, so that their end is seen. */
export function becomeSubreaper(): SystemError | undefined {
  return outcome("become a subreaper", native().control(PR_SET_CHILD_SUBREAPER, 1));
}

/** Whether the kernel may write core dumps of us. */
export function setDumpable(on: boolean): SystemError | undefined {
  return outcome("set dumpable", native().control(PR_SET_DUMPABLE, on ? 1 : 0));
}

/**
 * Moves the main thread into a network namespace: what it opens and starts from now on is there. `name` is one of
 * `ip netns`, or a path. Node's worker and file threads stay outside, so this belongs at the very start.
 */
export function enterNetworkNamespace(name: string): SystemError | undefined {
  const path = networkNamespacePath(name);
  return outcome(`enter network namespace ${name}`, native().enterNamespace(path, CLONE_NEWNET));
}

export function networkNamespacePath(name: string): string {
  return name.includes("/") ? name : `/run/netns/${name}`;
}

/** Moves the main thread into a fresh network namespace without name, which ends with its last user. */
export function unshareNetwork(): SystemError | undefined {
  return outcome("make a network namespace", native().unshare(CLONE_NEWNET));
}

/** chroot(2) and into it. Load and open everything first: nothing outside can be reached afterwards. */
export function changeRoot(path: string): SystemError | undefined {
  return outcome(`change root to ${path}`, native().changeRoot(path));
}

/** Takes an exclusive lock on an open file, without waiting: `EAGAIN` when another process has it. */
export function lockFile(fd: number): SystemError | undefined {
  return outcome("lock a file", native().lock(fd));
}

/**
 * A descriptor that stands for a process, which need not be a child: readable once it has ended, and never another
 * process of the same number. pidfd_open(2)
 */
export function openProcessDescriptor(pid: number): number | SystemError {
  const result = native().processDescriptor(pid);
  return result < 0 ? systemError(`watch process ${pid}`, result) : result;
}

/** Whether children get the descriptor. */
export function setCloseOnExec(fd: number, on: boolean): SystemError | undefined {
  return outcome("set close-on-exec", native().closeOnExec(fd, on ? 1 : 0));
}

function outcome(operation: string, result: number): SystemError | undefined {
  return result < 0 ? systemError(operation, result) : undefined;
}
