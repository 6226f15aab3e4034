import type { Socket } from "node:dgram";

/** Node keeps the descriptor of a datagram socket to itself, and has no call for IP_MINTTL. */
export function descriptorOf(socket: Socket): number | undefined {
  const holder = Reflect.ownKeys(socket)
    .map((key) => Reflect.get(socket, key))
    .find((value) => isRecord(value) && "handle" in value);
  const handle = isRecord(holder) ? holder["handle"] : undefined;
  const fd = isRecord(handle) ? handle["fd"] : undefined;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
