import type { SocketAddress } from "../../core/config/address-model.ts";
import type { Config } from "../../core/config/model.ts";
import type { Server } from "../../core/config/server-model.ts";
import type { World } from "../../core/sample/world.ts";
import type { ProcessRates } from "../../core/server/process-rates.ts";
import type { ProcessFigures } from "../../core/stats/process-info.ts";
import type { ServerLifeControl } from "../../core/stats/server-life.ts";
import type { StatsSource } from "../../core/stats/source.ts";
import type { ServerResolver } from "../dns/server-resolver.ts";
import type { CertificateStore } from "../tls/certificate-store.ts";
import type { ThreadFleet } from "./thread-control.ts";

export const LEVELS = ["user", "operator", "admin"] as const;
export type Level = (typeof LEVELS)[number];

/** One entry makes a command known to the socket and to `help`. */
export interface Command {
  /** What a line must begin with. */
  readonly words: readonly string[];
  /** As `help` shows it. */
  readonly usage: string;
  readonly doc: string;
  /** What the connection's level must be at least. */
  readonly level: Level;
  /** The answer; it is made to end in a line end, and an empty line follows it. */
  readonly run: (
    args: readonly string[],
    context: CommandContext,
  ) => string | Refusal | Promise<string | Refusal>;
}

/** An answer that says why not: `set severity-output` marks it. */
export interface Refusal {
  readonly refusal: string;
}

export function refuse(refusal: string): Refusal {
  return { refusal };
}

/** What a command works on. */
export interface CommandContext {
  readonly process: ProcessControl;
  readonly connection: ConnectionState;
  /** What followed `<<`, without its end. */
  readonly payload: string | undefined;
}

/** One client's own state. */
export interface ConnectionState {
  level: Level;
  /** `prompt`: stays open, and shows `> `. */
  isInteractive: boolean;
  /** Milliseconds of silence after which it is closed. */
  timeout: number;
  severity: "none" | "number" | "string";
  isExpert: boolean;
  isExperimental: boolean;
  isClosing: boolean;
}

/** All of the process that commands can see and change. In the first thread. */
export interface ProcessControl {
  readonly config: Config;
  readonly world: World;
  readonly source: StatsSource;
  readonly lives: ServerLifeControl;
  readonly resolver: ServerResolver;
  readonly fleet: ThreadFleet;
  readonly certificates: CertificateStore;
  figures(): ProcessFigures;
  /** Limits by second: `set rate-limit`. */
  readonly rates: ProcessRates;
  /** Connections that the process takes at once, as `set maxconn global` may change it up to the start's. */
  maxconn: number;
  readonly hardMaxconn: number;
  /** What TLS tickets are made with: for the process that follows, and no command's to show. */
  readonly ticketSecret: Uint8Array;
  /** Stats sockets: address as `show cli sockets` writes it, and level. */
  readonly sockets: readonly { readonly text: string; readonly level: Level }[];
  /** Listening sockets of frontends. */
  readonly listeners: readonly {
    readonly fd: number;
    readonly frontend: string;
    readonly text: string;
    /** The interface that it is bound to; "" for any. */
    readonly device: string;
  }[];
  /** What was said on the terminal at start. */
  readonly startupLog: string;
  /** `clear counters`: most values, or everything. */
  clearCounters(all: boolean): void;
  /**
   * Whether a frontend's sockets take connections: off, the kernel refuses them at once, as it does for HAProxy's paused
   * sockets.
   */
  setListening(proxy: number, on: boolean): void;
  /** The runtime moves a server: `set server … addr`. */
  moveServer(proxy: number, server: number, to: ServerMove): void;
}

export interface ServerMove {
  readonly address?: SocketAddress;
  readonly checkPort?: number;
  /** What changes of its line. */
  readonly change?: (line: Server) => Server;
}
