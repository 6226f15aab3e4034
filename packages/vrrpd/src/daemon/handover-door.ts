import { randomBytes } from "node:crypto";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { formatAddress, type IpAddress } from "@ha/base";
import { setMinimumTtl } from "@ha/linux";
import type { Instance } from "../core/config/model.ts";
import { descriptorOf } from "./datagram-descriptor.ts";
import {
  decodeHandover,
  encodeHandover,
  type HandoverReply,
  type HandoverRequest,
} from "./handover-message.ts";
import type { Log } from "./log.ts";

export interface HandoverDoorOptions {
  readonly log: Log;
  readonly find: (vrid: number, family: 4 | 6) => Instance | undefined;
  /** A peer wants to be master: how long our proxies may drain, in milliseconds, or undefined: it has to do without. */
  readonly asked: (
    instance: Instance,
    request: HandoverRequest,
    from: string,
  ) => number | undefined;
}

/** Where peers ask us to drain before they preempt, and how we ask them. See `handover-message.ts`. */
export class HandoverDoor {
  readonly #options: HandoverDoorOptions;
  readonly #sockets: Socket[] = [];
  readonly #port: number;

  /** @param port 0 opens nothing. */
  constructor(port: number, families: ReadonlySet<4 | 6>, options: HandoverDoorOptions) {
    this.#options = options;
    this.#port = port;
    if (port === 0) return;
    for (const family of families) this.#listen(family);
  }

  /** Milliseconds that the master needs; undefined when it does not answer, or will not. */
  ask(
    instance: Instance,
    master: IpAddress,
    own: { readonly priority: number; readonly source: IpAddress | undefined },
  ): Promise<number | undefined> {
    if (this.#port === 0) return Promise.resolve(undefined);
    const { virtual_router_id: vrid, family } = instance;
    const nonce = randomBytes(16).toString("hex");
    const request = encodeHandover(
      { type: "request", vrid, family, priority: own.priority, nonce },
      instance,
    );
    const to = addressOn(master, instance);
    return new Promise((resolve) => {
      const socket = createSocket(family === 4 ? "udp4" : "udp6");
      let tries = 0;
      let timer: NodeJS.Timeout | undefined;
      const end = (limit: number | undefined): void => {
        clearTimeout(timer);
        socket.removeAllListeners("message");
        socket.close();
        resolve(limit);
      };
      const send = (): void => {
        if (tries++ === TRIES) {
          end(undefined);
          return;
        }
        socket.send(request, this.#port, to, () => {
          // One that is not sent is not answered.
        });
        timer = setTimeout(send, TRY_MS);
      };
      socket.on("error", () => end(undefined));
      socket.on("message", (data, from) => {
        const read = decodeHandover(data, this.#options.find);
        if (read?.instance !== instance || read.message.type === "request") return;
        if (read.message.nonce !== nonce || plain(from) !== formatAddress(master)) return;
        end(read.message.type === "draining" ? read.message.limit : undefined);
      });
      socket.bind(
        own.source === undefined ? {} : { address: addressOn(own.source, instance) },
        () => {
          socket.setTTL(TTL);
          send();
        },
      );
      socket.unref();
    });
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  #listen(family: 4 | 6): void {
    const { log } = this.#options;
    const socket = createSocket({
      type: family === 4 ? "udp4" : "udp6",
      reuseAddr: true,
      ipv6Only: family === 6,
    });
    this.#sockets.push(socket);
    socket.on("error", (error) => {
      log.warning(
        `peers cannot ask for a drained handover: UDP port ${this.#port}: ${error.message}`,
      );
      const at = this.#sockets.indexOf(socket);
      if (at < 0) return;
      this.#sockets.splice(at, 1);
      socket.close();
    });
    socket.on("message", (data, from) => this.#hear(socket, data, from));
    socket.bind(this.#port, () => {
      socket.setTTL(TTL);
      const fd = descriptorOf(socket);
      const problem = fd === undefined ? undefined : setMinimumTtl(fd, family, TTL);
      if (problem !== undefined) log.warning(`handover: ${problem.message}`);
    });
    socket.unref();
  }

  #hear(socket: Socket, data: Buffer, from: RemoteInfo): void {
    const read = decodeHandover(data, this.#options.find);
    if (read === undefined || read.message.type !== "request") return;
    const { message, instance } = read;
    const sender = plain(from);
    const known =
      instance.unicast_peer.length === 0 ||
      instance.unicast_peer.some(({ address }) => formatAddress(address) === sender);
    if (!known) return;
    const limit = this.#options.asked(instance, message, sender);
    const { vrid, family, nonce } = message;
    const reply: HandoverReply = {
      type: limit === undefined ? "refused" : "draining",
      vrid,
      family,
      nonce,
      limit: limit ?? 0,
    };
    socket.send(encodeHandover(reply, instance), from.port, from.address, () => {
      // It asks again.
    });
  }
}

const TTL = 255;
const TRIES = 3;
const TRY_MS = 150;

/** Without the zone of a link-local address, and as we write addresses. */
function plain({ address }: RemoteInfo): string {
  return address.replace(/%.*$/, "");
}

/** A link-local address needs its interface. */
function addressOn(address: IpAddress, instance: Instance): string {
  const text = formatAddress(address);
  return /^fe[89ab]/i.test(text) && instance.interface !== undefined
    ? `${text}%${instance.interface}`
    : text;
}
