import { changeRoot } from "@ha/linux/ring";
import type { Global } from "../core/config/model.ts";
import { bytesOf } from "./config-text.ts";

/**
 * `chroot`, then groups, group and user, in this order; what went wrong in words, or undefined. After it no module
 * loads and nothing outside is reached. HAProxy configuration manual §3.1.
 */
export function dropPrivileges(global: Global): string | undefined {
  if (global.chroot !== undefined) {
    const error = changeRoot(bytesOf(global.chroot).toString("utf8"));
    if (error !== undefined) return `Cannot chroot(${global.chroot}): ${error.code}.`;
  }
  const { uid, gid } = global;
  try {
    if (gid !== undefined && gid !== process.getgid?.()) {
      process.setgroups?.([]);
      process.setgid?.(gid);
    }
    if (uid !== undefined && uid !== process.getuid?.()) process.setuid?.(uid);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return `Cannot set ${gid !== undefined ? `gid ${gid}` : ""}${uid !== undefined ? ` uid ${uid}` : ""}: ${code}.`;
  }
  return undefined;
}
