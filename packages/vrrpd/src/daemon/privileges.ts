import { readFileSync } from "node:fs";

/** Numbers of the capabilities that the daemon cannot do without. linux/capability.h */
const NEEDED = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;

/**
 * The capabilities that this process would need and does not have, by name: without them it would call itself master and
 * have neither the address nor a voice. Empty where /proc does not tell.
 */
export function missingPrivileges(status = readStatus()): readonly string[] {
  const written = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (written === undefined) return [];
  const effective = BigInt(`0x${written}`);
  return Object.entries(NEEDED).flatMap(([name, bit]) =>
    ((effective >> bit) & 1n) === 0n ? [name] : [],
  );
}

function readStatus(): string {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return "";
  }
}
