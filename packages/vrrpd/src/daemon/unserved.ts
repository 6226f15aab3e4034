import type { Config } from "../core/config/model.ts";

/**
 * What the file asks for and this daemon does not do, a line each: values without effect of keywords that have others. Whole
 * keywords without effect are told where they are written (`core/config/unsupported.ts`).
 */
export function unservedKeywords({ globals, instances }: Config): readonly string[] {
  const lines: string[] = [];
  if (globals.vrrp_rx_bufs_policy === "MTU" || globals.vrrp_rx_bufs_policy === "ADVERT") {
    lines.push("vrrp_rx_bufs_policy MTU and ADVERT have no effect: the kernel's default is larger");
  }
  for (const { name, use_vmac } of instances) {
    if (use_vmac?.netlink_notify_msg !== true) continue;
    lines.push(`(${name}) netlink_notify_msg has no effect: the kernel tells of every address`);
  }
  return lines;
}
