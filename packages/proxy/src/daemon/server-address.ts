import { encodeSocketAddress, SOCKADDR_ROOM } from "@ha/linux/ring";
import type { SocketAddress } from "../core/config/address-model.ts";
import type { Transaction } from "../core/transaction.ts";
import type { DataPlane } from "./data-plane.ts";
import type { ProxyRuntime } from "./proxy-runtime.ts";

/** A `struct sockaddr` in the slab. */
export interface SlabAddress {
  readonly offset: number;
  readonly length: number;
}

/** Addresses of all servers of a thread, each at its own place in the slab. */
export class ServerAddresses {
  readonly #places: (SlabAddress | undefined)[][] = [];
  readonly #bytes: Uint8Array;
  #free: number;
  readonly #end: number;

  /** @param start Room for `servers * SOCKADDR_ROOM` bytes and a few for transactions. */
  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes;
    this.#free = start;
    this.#end = end;
  }

  /** Puts a server's address down, or changes it (`set server … addr`). */
  set(proxy: number, server: number, address: SocketAddress): void {
    this.#places[proxy] ??= [];
    const row = this.#places[proxy];
    const encoded = encode(address);
    if (encoded === undefined) {
      row[server] = undefined;
      return;
    }
    const offset = row[server]?.offset ?? this.#take();
    this.#bytes.set(encoded, offset);
    row[server] = { offset, length: encoded.length };
  }

  get(proxy: number, server: number): SlabAddress | undefined {
    return this.#places[proxy]?.[server];
  }

  /** A place for one connection's own address: the last 64 take turns, and the kernel copies at submission. */
  temporary(encoded: Uint8Array): SlabAddress {
    this.#temporaries ??= Array.from({ length: TEMPORARIES }, () => this.#take());
    const offset = this.#temporaries[this.#turn++ % TEMPORARIES] as number;
    this.#bytes.set(encoded, offset);
    return { offset, length: encoded.length };
  }

  #temporaries: number[] | undefined;
  #turn = 0;

  #take(): number {
    const offset = this.#free;
    this.#free += SOCKADDR_ROOM;
    if (this.#free > this.#end) throw new Error("no room for server addresses");
    return offset;
  }
}

const TEMPORARIES = 64;

/** Bytes for the addresses of so many servers. */
export function addressRoom(servers: number): number {
  return (servers + TEMPORARIES) * SOCKADDR_ROOM;
}

function encode(address: SocketAddress): Uint8Array | undefined {
  switch (address.kind) {
    case "inet":
      if (address.address === undefined) return undefined;
      return encodeSocketAddress({ kind: "inet", address: address.address, port: address.port });
    case "unix":
      return encodeSocketAddress({ kind: "unix", path: address.path });
    case "abstract":
      return encodeSocketAddress({
        kind: "abstract",
        name: address.name,
        padded: address.padded,
      });
    default:
      return undefined;
  }
}

/**
 * Where the transaction's server is: its own address, the port that the client came to where the server has
 * none, or what `set-dst` chose for a server at `0.0.0.0`.
 */
export function socketAddressOf(
  plane: DataPlane,
  backend: ProxyRuntime,
  transaction: Transaction,
): SlabAddress | undefined {
  const server = backend.backend?.config.servers[transaction.server];
  if (server === undefined) return undefined;
  const { address } = server;
  const fixed = plane.addresses.get(backend.index, transaction.server);
  if (address.kind !== "inet" || address.address === undefined) return fixed;
  const anywhere = address.address.bytes.every((byte) => byte === 0);
  const { destination } = transaction.session;
  const clientPort = destination.port;
  if (!anywhere && address.port !== 0 && !address.relativePort) return fixed;
  const chosen = transaction.target.family !== 0 ? transaction.target : destination;
  const base =
    anywhere && chosen.family !== 0
      ? { family: chosen.family, bytes: chosen.address.slice(0, chosen.family === 4 ? 4 : 16) }
      : address.address;
  const own = transaction.target.family !== 0 && anywhere ? transaction.target.port : clientPort;
  const port = address.relativePort
    ? (own + address.port) & 0xffff
    : address.port === 0
      ? own
      : address.port;
  return plane.addresses.temporary(encodeSocketAddress({ kind: "inet", address: base, port }));
}
