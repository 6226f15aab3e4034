import { type Family, formatAddress, type IpAddress, ip } from "@ha/base";
import type {
  EchoListener,
  EchoListenerOptions,
  FilterRouter,
  InterfaceRef,
  KernelFilter,
  ReceivedPacket,
  RejectedSender,
  SystemError,
  VrrpSocket,
  VrrpTransport,
} from "@ha/linux";
import { vridOf } from "../core/admission.ts";
import type { IncomingPacket, OutgoingPacket } from "../core/ports.ts";
import type { Log } from "./log.ts";
import type { LogLimiter } from "./log-limiter.ts";

/** One virtual router, as a socket knows it. */
export interface Endpoint {
  readonly vrid: number;
  readonly family: Family;
  /** The device to send and receive by; undefined for unicast that goes as routing says. */
  readonly device: string | undefined;
  /** Multicast groups that the socket must be in. */
  readonly groups: readonly IpAddress[];
  readonly authenticationHeader: boolean;
  readonly receiveBufferBytes: number | undefined;
  /** What the kernel may already refuse; undefined: nothing. */
  readonly filter: () => FilterRouter | undefined;
  /** Our source address, whose echo is refused. */
  readonly source: () => IpAddress | undefined;
  readonly receive: (packet: IncomingPacket) => void;
  /** The kernel refused so many more packets of this sender for the reason. */
  readonly rejected: (sender: RejectedSender, more: number) => void;
}

export interface DispatchOptions {
  readonly transport: VrrpTransport;
  /** Hears replayed farewells under our own addresses; undefined: they are not answered. */
  readonly openEchoListener: ((options: EchoListenerOptions) => EchoListener) | undefined;
  /** The interface of that name; undefined while there is none. */
  readonly findInterface: (name: string) => InterfaceRef | undefined;
  readonly log: Log;
  readonly limiter: LogLimiter;
  /** `vrrp_packet_filter`. */
  readonly useFilter: boolean;
  readonly logUnknown: boolean;
}

/** Sockets, one for each interface and family, and who hears what by them. */
export class Dispatch {
  #options: DispatchOptions;
  readonly #channels = new Map<string, Channel>();

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** Another configuration: `vrrp_packet_filter`, `log_unknown_vrids`, `vrrp_replay_answer`. */
  configure(change: Pick<DispatchOptions, "useFilter" | "logUnknown" | "openEchoListener">): void {
    this.#options = { ...this.#options, ...change };
    for (const channel of this.#channels.values()) channel.configure(this.#options);
  }

  /** Opens what is needed. An interface that is missing is tried again by `refresh`. */
  add(endpoint: Endpoint): void {
    const key = keyOf(endpoint);
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new Channel(endpoint.device, endpoint.family, this.#options);
      this.#channels.set(key, channel);
    }
    channel.endpoints.set(endpoint.vrid, endpoint);
    if (channel.isOpen) channel.changedSoon();
    else channel.changed();
  }

  remove(endpoint: Endpoint): void {
    const key = keyOf(endpoint);
    const channel = this.#channels.get(key);
    if (channel?.endpoints.get(endpoint.vrid) !== endpoint) return;
    channel.endpoints.delete(endpoint.vrid);
    if (channel.endpoints.size > 0) {
      channel.changedSoon();
      return;
    }
    channel.close();
    this.#channels.delete(key);
  }

  /** Interfaces, sources or settings have changed: opens, opens anew, and renews the filters. */
  refresh(): void {
    for (const channel of this.#channels.values()) {
      if (channel.isCurrent) channel.changedSoon();
      else channel.changed();
    }
  }

  send(endpoint: Endpoint, packet: OutgoingPacket): void {
    this.#channels.get(keyOf(endpoint))?.send(packet);
  }

  /** Whether an advert of this endpoint can leave the host. */
  isOpen(endpoint: Endpoint): boolean {
    return this.#channels.get(keyOf(endpoint))?.isOpen ?? false;
  }

  /** Hands over everything that waits in the kernel. */
  drain(): void {
    for (const channel of this.#channels.values()) channel.drain();
  }

  /** Sends by every socket what is longer than any packet: the kernel refuses it, and the way to it has been gone. */
  rehearse(): void {
    for (const channel of this.#channels.values()) channel.rehearse();
  }

  /** Asks the kernel what it refused since the last time. */
  collectRejected(): void {
    for (const channel of this.#channels.values()) channel.collectRejected();
  }

  close(): void {
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }
}

function keyOf({ device, family }: Endpoint): string {
  return `${family} ${device ?? ""}`;
}

class Channel {
  readonly endpoints = new Map<number, Endpoint>();
  readonly #device: string | undefined;
  readonly #family: Family;
  #options: DispatchOptions;
  #socket: VrrpSocket | undefined;
  #index = 0;
  #echoes: EchoListener | undefined;
  #echoesSince = 0;
  #echoesHeard = 0;
  /** The multicast groups that the socket is in, and the filter that the kernel has, as text. */
  readonly #joined = new Set<string>();
  #filtered: string | undefined;
  #soon: NodeJS.Timeout | undefined;
  readonly #counted = new Map<string, number>();

  constructor(device: string | undefined, family: Family, options: DispatchOptions) {
    this.#device = device;
    this.#family = family;
    this.#options = options;
  }

  configure(options: DispatchOptions): void {
    this.#options = options;
    if (options.openEchoListener === undefined) {
      this.#echoes?.close();
      this.#echoes = undefined;
    }
    this.changedSoon();
  }

  get isOpen(): boolean {
    return this.#socket !== undefined && !this.#socket.closed;
  }

  /** Whether the socket is open on the interface as it is now. */
  get isCurrent(): boolean {
    if (!this.isOpen) return false;
    if (this.#device === undefined) return true;
    return this.#options.findInterface(this.#device)?.index === this.#index;
  }

  /**
   * The same, once for all changes of the next few milliseconds: a start with 255 virtual routers would load 255 filters
   * of growing length, and every address that comes or goes would load another.
   */
  changedSoon(): void {
    this.#soon ??= setTimeout(() => this.changed(), SOON_MS);
  }

  changed(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const device =
      this.#device === undefined ? undefined : this.#options.findInterface(this.#device);
    if (this.#device !== undefined && device === undefined) {
      this.close();
      return;
    }
    const wanted = [...this.endpoints.values()];
    const buffer = Math.max(0, ...wanted.map(({ receiveBufferBytes = 0 }) => receiveBufferBytes));
    const needsAh = wanted.some(({ authenticationHeader }) => authenticationHeader);
    const groups = wanted.flatMap((endpoint) => endpoint.groups);
    const socket = this.#socket;
    const filter = this.#filter();
    if (
      socket !== undefined &&
      !socket.closed &&
      needsAh === (socket.options.authenticationHeader ?? false)
    ) {
      if (device !== undefined && device.index !== this.#index) {
        this.#echoes?.close();
        this.#echoes = undefined;
        this.#tell(socket.reopen(device));
        this.#index = device.index;
      }
      this.#join(socket, groups);
      this.#setFilter(socket, filter);
      this.#hearEchoes(device);
      return;
    }
    socket?.close();
    try {
      this.#socket = this.#options.transport.open({
        family: this.#family,
        interface: device,
        groups,
        authenticationHeader: needsAh,
        ...(buffer === 0 ? {} : { receiveBufferBytes: buffer }),
        ...(filter === undefined ? {} : { filter }),
        onPacket: (packet) => this.#receive(packet),
        onError: (error) => this.#tell(error),
      });
      this.#index = device?.index ?? 0;
      this.#joined.clear();
      for (const group of groups) this.#joined.add(formatAddress(group));
      this.#filtered = JSON.stringify(filter);
      this.#hearEchoes(device);
      this.#options.log.detail(
        `VRRP sockpool: [${this.#device ?? "any interface"}, family(IPv${this.#family}), proto(112), ${this.#socket.description}]`,
      );
    } catch (error) {
      this.#socket = undefined;
      const why = error instanceof Error ? error.message : String(error);
      this.#options.log.error(`cannot open the VRRP socket on ${this.#device ?? "any"}: ${why}`);
    }
  }

  /** Our own addresses may be others; a new socket needs a new listener. */
  #hearEchoes(device: InterfaceRef | undefined): void {
    const { openEchoListener } = this.#options;
    const multicast = [...this.endpoints.values()].filter(({ groups }) => groups.length > 0);
    if (openEchoListener === undefined || device === undefined || multicast.length === 0) return;
    const ownAddresses = multicast.flatMap(({ source }) => source() ?? []);
    if (this.#echoes !== undefined) {
      this.#echoes.watch(ownAddresses);
      return;
    }
    try {
      this.#echoes = openEchoListener({
        family: this.#family,
        interface: device,
        ownAddresses,
        onPacket: (packet) => this.#echo(packet),
        onError: (error) => this.#tell(error),
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.limiter.write(`echo ${this.#device}`, `replays are not heard: ${why}`);
    }
  }

  /** Each may be answered by an advert: a flood of replays must not become one of ours. */
  #echo(packet: ReceivedPacket): void {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#echoesSince) {
      this.#echoesSince = second;
      this.#echoesHeard = 0;
    }
    if (++this.#echoesHeard <= ECHOES_A_SECOND) this.#receive(packet);
  }

  send(packet: OutgoingPacket): void {
    const { from, to, ttl, protocol, identification, bytes } = packet;
    const problem = this.#socket?.send(bytes, {
      source: from,
      destination: to,
      ttl,
      protocol: protocol === 51 ? 51 : 112,
      ...(identification === undefined ? {} : { identification }),
    });
    if (problem !== undefined) this.#tell(problem);
  }

  rehearse(): void {
    const nobody = NOBODY[this.#family];
    this.#socket?.send(TOO_LONG, { source: nobody, destination: nobody });
  }

  drain(): void {
    this.#socket?.drain();
  }

  collectRejected(): void {
    const counts = this.#socket?.rejected();
    if (counts === undefined || !counts.counted) return;
    for (const sender of counts.bySender) {
      const key = `${sender.vrid} ${sender.reason} ${sender.source.bytes.join(".")}`;
      const before = this.#counted.get(key) ?? 0;
      if (sender.count <= before) continue;
      // Forged sources make many keys; the kernel's table forgets as well.
      if (this.#counted.size > COUNTED_SENDERS) this.#counted.clear();
      this.#counted.set(key, sender.count);
      this.endpoints.get(sender.vrid)?.rejected(sender, sender.count - before);
    }
  }

  close(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    this.#socket?.close();
    this.#socket = undefined;
    this.#echoes?.close();
    this.#echoes = undefined;
    this.#index = 0;
    this.#counted.clear();
  }

  /** Only what is new: 255 virtual routers share one group. `reopen` joins again what was joined. */
  #join(socket: VrrpSocket, groups: readonly IpAddress[]): void {
    for (const group of groups) {
      const name = formatAddress(group);
      if (this.#joined.has(name)) continue;
      this.#joined.add(name);
      this.#tell(socket.join(group));
    }
  }

  #setFilter(socket: VrrpSocket, filter: KernelFilter | undefined): void {
    const text = JSON.stringify(filter);
    if (text === this.#filtered) return;
    this.#filtered = text;
    this.#tell(socket.setFilter(filter));
  }

  #receive(packet: ReceivedPacket): void {
    const incoming: IncomingPacket = {
      protocol: packet.protocol,
      from: packet.source,
      to: packet.destination,
      ttl: packet.ttl,
      identification: packet.identification,
      waited: packet.waited,
      bytes: packet.payload,
    };
    const vrid = vridOf(incoming);
    const endpoint = vrid === undefined ? undefined : this.endpoints.get(vrid);
    if (endpoint !== undefined) endpoint.receive(incoming);
    else if (this.#options.logUnknown && vrid !== undefined) {
      this.#options.limiter.write(
        `unknown ${this.#device} ${vrid}`,
        `${this.#device ?? "any interface"}: advert for VRID ${vrid}, which is not ours`,
      );
    }
  }

  #filter(): KernelFilter | undefined {
    if (!this.#options.useFilter || this.#options.logUnknown) return undefined;
    const routers: FilterRouter[] = [];
    const ownAddresses: IpAddress[] = [];
    for (const endpoint of this.endpoints.values()) {
      const router = endpoint.filter();
      if (router === undefined) return undefined;
      routers.push(router);
      const source = endpoint.source();
      if (source !== undefined) ownAddresses.push(source);
    }
    return { routers, ownAddresses };
  }

  #tell(error: SystemError | undefined): void {
    if (error === undefined) return;
    this.#options.limiter.write(
      `socket ${this.#device} ${error.code} ${error.operation}`,
      `VRRP socket on ${this.#device ?? "any interface"}: ${error.message}`,
    );
  }
}

/** How long changes are gathered; a router that is new hears nothing for so long. */
const SOON_MS = 5;

const NOBODY = { 4: ip("0.0.0.0"), 6: ip("::") } as const;
/** One byte more than an IP packet can have. */
const TOO_LONG = new Uint8Array(65_536);

/** Replayed farewells that are answered in a second, on one interface. */
const ECHOES_A_SECOND = 50;

/** Senders whose last count is remembered for each interface. */
const COUNTED_SENDERS = 4_096;
