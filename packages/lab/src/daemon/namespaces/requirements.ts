import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

/**
 * Why a test that needs root and these programs cannot run here, or `false` when it can: the value of a test's `skip`.
 *
 * @param programs Names to be found in PATH, beside those that the namespaces themselves need.
 */
export function missing(...programs: readonly string[]): string | false {
  if (process.geteuid?.() !== 0) return "needs root";
  for (const program of [...LAB_PROGRAMS, ...programs]) {
    if (!isInstalled(program)) return `needs the program '${program}'`;
  }
  namespaces ??=
    spawnSync("unshare", ["--net", "--pid", "--mount", "--uts", "--fork", "true"]).status === 0;
  return namespaces ? false : "needs namespaces, which this kernel or container forbids";
}

const LAB_PROGRAMS = ["unshare", "nsenter", "ip", "nft", "sysctl", "tcpdump", "ping"];
let namespaces: boolean | undefined;

export function isInstalled(program: string): boolean {
  // Debian keeps some of them out of an ordinary user's PATH.
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
