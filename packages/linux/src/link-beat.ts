import { AF_INET, SOCK_DGRAM } from "./kernel-address.ts";
import { LITTLE_ENDIAN, nativeSockets, SocketDoor } from "./socket-door.ts";

/** By the transceiver's registers, by the driver's own word, or by the interface's flags. */
export type LinkBeatMethod = "MII" | "ETHTOOL" | "IOCTL";

/** Asks drivers whether there is a carrier, for those that do not tell the kernel of changes. */
export interface LinkBeat {
  /**
   * Undefined: the interface is not there. A method that the driver does not know gives way to the next one.
   * keepalived.conf(5), linkbeat_interfaces.
   */
  carrier(name: string, preferred?: LinkBeatMethod): boolean | undefined;
  close(): void;
}

const SIOCGIFFLAGS = 0x8913;
const SIOCETHTOOL = 0x8946;
const SIOCGMIIPHY = 0x8947;
const SIOCGMIIREG = 0x8948;
const ETHTOOL_GLINK = 0x0a;
const IFF_RUNNING = 0x40;
const BASIC_STATUS = 1;
const LINK_STATUS = 0x0004;
const IFREQ_SIZE = 40;
const IFREQ_DATA = 16;
const ENODEV = 19;

/** Throws `SystemError` when the system gives no socket. */
export function openLinkBeat(): LinkBeat {
  const socket = SocketDoor.open("open a socket for link status", {
    domain: AF_INET,
    type: SOCK_DGRAM,
    protocol: 0,
  });
  const native = nativeSockets();
  const request = (name: string): { bytes: Uint8Array; view: DataView } => {
    const bytes = new Uint8Array(IFREQ_SIZE);
    bytes.set(new TextEncoder().encode(name).subarray(0, IFREQ_DATA - 1));
    return { bytes, view: new DataView(bytes.buffer) };
  };
  const ask: Readonly<Record<LinkBeatMethod, (name: string) => boolean | number>> = {
    MII(name) {
      const { bytes, view } = request(name);
      const found = native.ioctl(socket.fd, SIOCGMIIPHY, bytes, undefined);
      if (found < 0) return found;
      view.setUint16(IFREQ_DATA + 2, BASIC_STATUS, LITTLE_ENDIAN);
      const read = native.ioctl(socket.fd, SIOCGMIIREG, bytes, undefined);
      if (read < 0) return read;
      return (view.getUint16(IFREQ_DATA + 6, LITTLE_ENDIAN) & LINK_STATUS) !== 0;
    },
    ETHTOOL(name) {
      const value = Uint32Array.of(ETHTOOL_GLINK, 0);
      const bytes = new Uint8Array(value.buffer);
      const result = native.ioctl(socket.fd, SIOCETHTOOL, request(name).bytes, bytes);
      return result < 0 ? result : value[1] !== 0;
    },
    IOCTL(name) {
      const { bytes, view } = request(name);
      const result = native.ioctl(socket.fd, SIOCGIFFLAGS, bytes, undefined);
      if (result < 0) return result;
      return (view.getUint16(IFREQ_DATA, LITTLE_ENDIAN) & IFF_RUNNING) !== 0;
    },
  };
  return {
    carrier(name, preferred) {
      const rest = (["MII", "ETHTOOL", "IOCTL"] as const).filter((method) => method !== preferred);
      for (const method of preferred === undefined ? rest : [preferred, ...rest]) {
        const answer = ask[method](name);
        if (typeof answer === "boolean") return answer;
        if (answer === -ENODEV) return undefined;
      }
      return undefined;
    },
    close: () => socket.close(),
  };
}
