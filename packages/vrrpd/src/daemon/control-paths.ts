import { join } from "node:path";

export interface ControlPaths {
  /** `/run/vrrpd/control.sock` */
  readonly socket: string;
  /** Outlives a restart of the daemon: `/run/vrrpd/switchover.json`. */
  readonly switchover: string;
  /** Outlives a restart of the host: `/var/lib/vrrpd/maintenance.json`. */
  readonly maintenance: string;
  /** What the names of files of proxies begin with: `/run/vrrpd/proxy-`. */
  readonly proxies: string;
}

/**
 * Where the control socket is, by the conventions of PID files: `instance` and a network namespace stand before the
 * name, and a daemon that was given a PID file of its own has its socket beside that file.
 */
export function controlPaths(options: {
  readonly instance?: string | undefined;
  readonly namespace?: string | undefined;
  /** `-r`, else `-p`, when given. */
  readonly pidFile?: string | undefined;
}): ControlPaths {
  const { instance, namespace, pidFile } = options;
  const prefix = [namespace, instance].filter((part) => part !== undefined).join("_");
  const named = (name: string): string => (prefix === "" ? name : `${prefix}_${name}`);
  if (pidFile === undefined) {
    return {
      socket: join(RUN, named("control.sock")),
      switchover: join(RUN, named("switchover.json")),
      maintenance: join(STATE, named("maintenance.json")),
      proxies: join(RUN, named("proxy-")),
    };
  }
  const stem = pidFile.replace(/(\.pid)?$/, "");
  return {
    socket: `${stem}.sock`,
    switchover: `${stem}.switchover.json`,
    maintenance: join(STATE, `${stem.replaceAll("/", "-").replace(/^-/, "")}_maintenance.json`),
    proxies: `${stem}.proxy-`,
  };
}

const RUN = "/run/vrrpd";
const STATE = "/var/lib/vrrpd";
