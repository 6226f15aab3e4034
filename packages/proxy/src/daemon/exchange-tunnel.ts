import type { Exchange } from "./exchange.ts";
import { Tunnel, type TunnelSide } from "./tunnel.ts";

/**
 * Makes a tunnel of an exchange's two connections, once the head that allows it is queued: what passes is counted in
 * the exchange's transaction. `ended` hears the cause, when both are closed.
 */
export function openExchangeTunnel(
  exchange: Exchange,
  client: TunnelSide,
  server: TunnelSide,
  ended: (cause: number) => void,
): Tunnel {
  const { transaction, backend, frontend } = exchange;
  const override = transaction.timeoutTunnel;
  const before = client.bytesOut + client.unsent;
  const beforeIn = client.bytesIn;
  return new Tunnel(
    exchange.plane,
    client,
    server,
    {
      client: frontend.timeouts.client,
      server: backend.timeouts.server,
      tunnel: override !== 0 ? override : backend.timeouts.tunnel,
      clientFin: frontend.timeouts.clientFin,
      serverFin: backend.timeouts.serverFin,
    },
    (cause) => {
      transaction.bytesOut += client.bytesOut - before;
      transaction.bytesIn += client.bytesIn - beforeIn;
      ended(cause);
    },
  );
}
