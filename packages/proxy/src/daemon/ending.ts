import { readFileSync, unlinkSync } from "node:fs";
import { closeDescriptor, waitingConnections } from "@ha/linux/ring";
import type { Config } from "../core/config/model.ts";
import { bytesOf, configText } from "./config-text.ts";
import type { ThreadGroup } from "./thread-group.ts";
import type { Worker } from "./worker.ts";

/** What ends when a serving process ends. */
export interface EndingOptions {
  readonly worker: Worker;
  readonly threads: ThreadGroup;
  readonly config: Config;
  readonly pidfile: string | undefined;
  /** A master started us: it owns the sockets and their files, and tells us what its user wants. */
  readonly hasMaster: boolean;
  /** A soft stop has begun. */
  readonly stopping: () => void;
}

export interface Ending {
  /**
   * Accepts no more, lets sessions finish (`hard-stop-after` at most), then leaves with 0.
   *
   * @param abandoned Listening sockets that nobody else serves: what waits in their backlog is taken first, then
   * they are closed. All of them by default.
   */
  softStop(abandoned?: readonly number[]): void;
}

/** Milliseconds for resets and closes to go through the ring, and between two looks at what is left. */
const LAST_TURNS = 20;
/** Milliseconds after which every thread has let go of a listening socket that it was told to leave. */
const RELEASE = 50;
const QUIET_LOOKS = 4;
const LOOK_AT_BACKLOG = 2;

/**
 * INT and TERM end at once, USR1 lets sessions finish. HAProxy management guide §4.
 */
export function handleEnding(options: EndingOptions): Ending {
  const { worker, threads, config, hasMaster } = options;
  let isStopping = false;
  const leave = (): void => {
    if (!hasMaster) {
      removePidfile(options.pidfile);
      // After a soft stop a successor may have bound the same paths.
      if (!isStopping) removeSocketFiles(config);
    }
    process.exit(0);
  };
  const stop = (): void => {
    worker.kill();
    threads.order("kill");
    setTimeout(leave, LAST_TURNS);
  };
  const softStop = (abandoned = worker.listeners.map(({ fd }) => fd)): void => {
    if (isStopping) return;
    isStopping = true;
    options.stopping();
    const { hardStopAfter, grace } = config.global;
    if (hardStopAfter !== undefined) setTimeout(stop, hardStopAfter / 1000);
    const closing = [...new Set(abandoned)];
    const begin = (): void => {
      if (closing.some((fd) => waitingConnections(fd) > 0)) {
        setTimeout(begin, LOOK_AT_BACKLOG);
        return;
      }
      worker.softStop();
      threads.order("soft stop");
      // A socket that nobody accepts on must not stay: the kernel would go on giving it connections.
      setTimeout(() => closing.forEach(closeDescriptor), RELEASE);
      leaveWhenDrained();
    };
    // Goes on accepting for a while, so that what looks at the process by connecting sees it leave.
    if (grace === undefined) begin();
    else setTimeout(begin, grace / 1000);
  };
  const leaveWhenDrained = (): void => {
    // What was accepted in the last turn has become a session by the second look.
    let quietLooks = 0;
    setInterval(() => {
      quietLooks = worker.isDrained && threads.isDrained ? quietLooks + 1 : 0;
      if (quietLooks === QUIET_LOOKS) leave();
    }, LAST_TURNS);
  };
  process.on("SIGTERM", stop);
  // A terminal's Ctrl-C reaches workers as well: their master ends them.
  process.on("SIGINT", () => {
    if (!hasMaster) stop();
  });
  process.on("SIGUSR1", () => softStop());
  for (const signal of ["SIGPIPE", "SIGUSR2"] as const) process.on(signal, () => undefined);
  return { softStop };
}

/** Unless a successor has written its own number there. */
export function removePidfile(pidfile: string | undefined): void {
  if (pidfile === undefined) return;
  const path = bytesOf(configText(pidfile));
  try {
    if (readFileSync(path, "latin1").trim() === String(process.pid)) unlinkSync(path);
  } catch {
    // It is outside the chroot, or somebody else removed it.
  }
}

function removeSocketFiles({ frontends }: Config): void {
  for (const { address } of frontends.flatMap(({ binds }) => binds)) {
    if (address.kind !== "unix") continue;
    try {
      unlinkSync(bytesOf(address.path));
    } catch {
      // It is outside the chroot, or somebody else removed it.
    }
  }
}
