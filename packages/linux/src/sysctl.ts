import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type SystemError, wrapError } from "./system-error.ts";

/**
 * Kernel settings below /proc/sys, as words of the path, since interface names may hold dots. Read and written at
 * once: procfs does not wait for a disk, and Node's file threads may be in another network namespace than we are.
 */
export function readSysctl(...words: readonly string[]): string | SystemError {
  try {
    return readFileSync(pathOf(words), "utf8").trim();
  } catch (error) {
    return wrapError(`read sysctl ${words.join(".")}`, error);
  }
}

export function writeSysctl(words: readonly string[], value: string): SystemError | undefined {
  try {
    writeFileSync(pathOf(words), value);
    return undefined;
  } catch (error) {
    return wrapError(`set sysctl ${words.join(".")} to ${value}`, error);
  }
}

/** One setting to make, and what to do on the way back. */
export interface SysctlChange {
  readonly words: readonly string[];
  readonly value: string;
  /** Not put back by `restore`. False. */
  readonly keep?: boolean;
}

/** What was changed, with the values to go back to. */
export interface AppliedSysctls {
  readonly errors: readonly SystemError[];
  /** Puts back what was there before, where nobody else has changed it since. */
  restore(): readonly SystemError[];
}

export function applySysctls(changes: readonly SysctlChange[]): AppliedSysctls {
  const errors: SystemError[] = [];
  const undo: { readonly change: SysctlChange; readonly before: string }[] = [];
  for (const change of changes) {
    const before = readSysctl(...change.words);
    if (typeof before !== "string") {
      errors.push(before);
      continue;
    }
    if (before === change.value) continue;
    const failure = writeSysctl(change.words, change.value);
    if (failure !== undefined) errors.push(failure);
    else if (change.keep !== true) undo.push({ change, before });
  }
  return {
    errors,
    restore() {
      const failures: SystemError[] = [];
      for (const { change, before } of undo.reverse()) {
        if (readSysctl(...change.words) !== change.value) continue;
        const failure = writeSysctl(change.words, before);
        // The interface may be gone, and its settings with it.
        if (failure !== undefined && failure.code !== "ENOENT") failures.push(failure);
      }
      return failures;
    },
  };
}

/**
 * What a VMAC needs: it must accept frames from its own host's addresses, answer ARP for its own addresses only, and not
 * drop what arrives by another way; its parent must not answer for it. facts: keepalived.md §12; observed: keepalived 2.2.7.
 */
export function vmacSysctls(names: {
  readonly vmac: string;
  readonly parent: string;
}): readonly SysctlChange[] {
  const ipv4 = (device: string, key: string, value: string): SysctlChange => ({
    words: ["net", "ipv4", "conf", device, key],
    value,
  });
  return [
    ...movedReversePathFilter(names.vmac),
    ipv4(names.vmac, "arp_ignore", "1"),
    ipv4(names.vmac, "accept_local", "1"),
    ipv4(names.vmac, "rp_filter", "0"),
    ipv4(names.vmac, "promote_secondaries", "1"),
    ipv4(names.parent, "arp_ignore", "1"),
    ipv4(names.parent, "arp_filter", "1"),
  ];
}

/**
 * The stricter of `all` and the device's own value rules, so where `all` filters by reverse path, a VMAC cannot be exempt.
 * Every other device then gets what ruled it so far as its own, and `all` becomes 0: for them nothing changes, which is why
 * it is not put back (keepalived does), while another VMAC may still need it.
 */
function movedReversePathFilter(vmac: string): readonly SysctlChange[] {
  const words = (device: string): readonly string[] => {
    return ["net", "ipv4", "conf", device, "rp_filter"];
  };
  const all = readSysctl(...words("all"));
  if (typeof all !== "string" || all === "0") return [];
  const devices = readdirSync("/proc/sys/net/ipv4/conf").filter((device) => {
    return device !== "all" && device !== vmac;
  });
  const changes = devices.flatMap((device): SysctlChange[] => {
    const own = readSysctl(...words(device));
    if (typeof own !== "string") return [];
    return [
      { words: words(device), value: String(Math.max(Number(own), Number(all))), keep: true },
    ];
  });
  return [...changes, { words: words("all"), value: "0", keep: true }];
}

/** `promote_secondaries`: removing the first address of a subnet leaves the others. keepalived.conf(5), vrrp_instance. */
export function promoteSecondaries(device: string): SysctlChange {
  return { words: ["net", "ipv4", "conf", device, "promote_secondaries"], value: "1" };
}

function pathOf(words: readonly string[]): string {
  return `/proc/sys/${words.join("/")}`;
}
