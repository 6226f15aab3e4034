import type { Backend } from "../config/proxy-model.ts";
import { rdpCookie } from "../sample/fetches/payload.ts";
import { createSample, sampleText } from "../sample/sample.ts";
import type { Servers } from "../server/servers.ts";
import { NONE, type Transaction } from "../transaction.ts";

/**
 * `persist rdp-cookie`: the cookie of the remote desktop protocol says `address.port.reserved`, both numbers as a
 * little-endian machine reads them off the wire. Gives the server that has them, or NONE. HAProxy configuration manual
 * §4.2, persist rdp-cookie.
 */
export function compileRdpPersistence(
  backend: Pick<Backend, "servers" | "options">,
  name: string,
  servers: Servers,
): (transaction: Transaction) => number {
  const fetch = rdpCookie(name);
  const sample = createSample();
  const places = new Map<string, number>();
  for (const [at, { address }] of backend.servers.entries()) {
    if (address.kind !== "inet" || address.address?.family !== 4) continue;
    const [a = 0, b = 0, c = 0, d = 0] = address.address.bytes;
    const number = a + b * 2 ** 8 + c * 2 ** 16 + d * 2 ** 24;
    const port = ((address.port & 0xff) << 8) | (address.port >> 8);
    if (!places.has(`${number}.${port}`)) places.set(`${number}.${port}`, at);
  }
  const always = backend.options.on.has("persist");
  return (transaction) => {
    if (!fetch(transaction, sample)) return NONE;
    const match = /^(\d+)\.(\d+)\./.exec(sampleText(sample));
    const server = match === null ? undefined : places.get(`${match[1]}.${match[2]}`);
    if (server === undefined) return NONE;
    const isUsable = Atomics.load(servers.usable, server) !== 0;
    return isUsable || always || transaction.forcePersist ? server : NONE;
  };
}
