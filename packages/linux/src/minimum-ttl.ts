import type { Family } from "@ha/base";
import { SOL_IP, SOL_IPV6 } from "./kernel-address.ts";
import { int32, nativeSockets } from "./socket-door.ts";
import { type SystemError, systemError } from "./system-error.ts";

const IP_MINTTL = 21;
const IPV6_MINHOPCOUNT = 73;

/**
 * Lets the kernel drop what arrives on a socket with a lower TTL or hop limit: the generalized TTL security mechanism
 * (RFC 5082), which BFD on one link demands (RFC 5881 §5). `minimum` 0–255; 0 admits all.
 */
export function setMinimumTtl(
  fd: number,
  family: Family,
  minimum: number,
): SystemError | undefined {
  const [level, option] = family === 4 ? [SOL_IP, IP_MINTTL] : [SOL_IPV6, IPV6_MINHOPCOUNT];
  const result = nativeSockets().setOption(fd, level, option, int32(minimum));
  return result < 0 ? systemError(`accept TTL ${minimum} and above`, result) : undefined;
}
