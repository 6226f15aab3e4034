import { createRequire } from "node:module";
import { connect as connectTcp, type NetConnectOpts, type Socket } from "node:net";
import type { ConnectionOptions, SecureVersion } from "node:tls";
import { formatAddress } from "@ha/base";
import type { CheckScope, CheckStep, ConnectStep } from "../../core/check/check-plan.ts";
import type { CheckCommand, CheckPhase, CheckRun, Finding } from "../../core/check/check-run.ts";
import { textOf } from "../../core/check/check-run.ts";
import type { SocketAddress } from "../../core/config/address-model.ts";
import type { Server, SourceAddress } from "../../core/config/server-model.ts";
import type { TlsClient } from "../../core/config/tls-model.ts";
import { loadAuthorities } from "../../core/tls/authorities.ts";
import { loadCertificate } from "../../core/tls/certificate-files.ts";
import { pemFile } from "../../core/tls/pem.ts";
import { createConfigHost } from "../config-host.ts";
import { systemMessage, TLS_MESSAGES } from "./system-message.ts";

/** What a check's connections need of the server's line. */
export interface CheckTarget {
  readonly server: Server;
  /** Where traffic goes now. */
  readonly address: SocketAddress;
  /** Port that the API set for checks; 0: as configured. */
  readonly checkPort: number;
  readonly source: SourceAddress | undefined;
  /** Milliseconds. */
  readonly connectTimeout: number;
  readonly readTimeout: number;
}

/**
 * Runs one check over sockets of Node: control work, a few connections a second, never in the way of the data plane.
 * `done` is called once.
 */
export class CheckSocket {
  readonly #run: CheckRun;
  readonly #scope: CheckScope;
  readonly #target: CheckTarget;
  readonly #done: (finding: Finding) => void;
  #socket: Socket | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #phase: CheckPhase = "connect";
  #isOver = false;
  /** Only a connection was asked for: it ends by a reset, which leaves the server nothing to keep. */
  #hasTalked = false;
  #isTcp = false;

  constructor(
    run: CheckRun,
    scope: CheckScope,
    target: CheckTarget,
    done: (finding: Finding) => void,
  ) {
    this.#run = run;
    this.#scope = scope;
    this.#target = target;
    this.#done = done;
  }

  start(): void {
    this.#obey(this.#run.next());
  }

  /** Ends it without a result. */
  abort(): void {
    this.#isOver = true;
    this.#close();
  }

  #obey(first: CheckCommand): void {
    let command = first;
    for (;;) {
      switch (command.type) {
        case "send":
          this.#hasTalked = true;
          this.#socket?.write(Buffer.from(command.text, "latin1"));
          command = this.#run.next();
          continue;
        case "connect":
          this.#connect(command.step);
          return;
        case "wait":
          return;
        default:
          this.#finish(command.result);
          return;
      }
    }
  }

  #finish(finding: Finding): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#close();
    this.#done(finding);
  }

  #close(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined) return;
    socket.removeAllListeners();
    socket.on("error", () => undefined);
    // Only TCP knows resets: Node throws for others.
    if (this.#hasTalked || !this.#isTcp) socket.destroy();
    else socket.resetAndDestroy();
  }

  #connect(step: ConnectStep): void {
    this.#close();
    this.#hasTalked = false;
    this.#phase = "connect";
    const options = connectOptions(step, this.#target, this.#scope);
    if (typeof options === "string") {
      this.#finish({ status: "SOCKERR", code: 0, info: options });
      return;
    }
    this.#setTimer(this.#target.connectTimeout);
    this.#isTcp = !("path" in options);
    const socket = connectTcp({ ...options, noDelay: true });
    this.#socket = socket;
    socket.on("error", (error) => this.#failed(error));
    socket.once("connect", () => this.#connected(step, socket));
  }

  #connected(step: ConnectStep, socket: Socket): void {
    if (this.#isOver) return;
    const { server } = this.#target;
    const header = proxyHeaderOf(step, server);
    const tls = tlsOptions(step, server);
    const socks = socksRequest(step, this.#target);
    const go = () => {
      if (header !== undefined) socket.write(header);
      if (tls === undefined) this.#ready(socket, false);
      else this.#handshake(socket, tls);
    };
    if (socks === undefined) go();
    else this.#throughSocks(socket, socks, go);
  }

  /** SOCKS4: one request, an answer of eight bytes. */
  #throughSocks(socket: Socket, request: Buffer, go: () => void): void {
    socket.write(request);
    let answer = Buffer.alloc(0);
    const take = (data: Buffer) => {
      answer = Buffer.concat([answer, data]);
      if (answer.length < 8) return;
      socket.off("data", take);
      if (answer[1] === 0x5a) go();
      else this.#finish(this.#run.failed("connect", "SOCKS4 Proxy deny the request"));
    };
    socket.on("data", take);
    socket.once("close", () => this.#finish(this.#run.failed("connect", "SOCKS4 proxy closed")));
  }

  #handshake(socket: Socket, options: ConnectionOptions): void {
    this.#phase = "handshake";
    this.#hasTalked = true;
    socket.removeAllListeners("error");
    let secure: Socket;
    try {
      secure = loadTls().connect({ ...options, socket });
    } catch (error) {
      // Certificates and ciphers of the line that OpenSSL does not take: a failed check, not a broken process.
      const message = error instanceof Error ? error.message : String(error);
      this.#finish(this.#run.failed("handshake", message));
      return;
    }
    this.#socket = secure;
    secure.on("error", (error) => this.#failed(error));
    secure.once("secureConnect", () => {
      if (!this.#isOver) this.#ready(secure, true);
    });
  }

  #ready(socket: Socket, withTls: boolean): void {
    this.#phase = "talk";
    this.#setTimer(this.#target.readTimeout);
    socket.removeAllListeners("close");
    socket.on("data", (data: Buffer) => {
      if (!this.#isOver) this.#obey(this.#run.received(data.toString("latin1"), false));
    });
    socket.once("end", () => {
      if (!this.#isOver) this.#obey(this.#run.received("", true));
    });
    this.#obey(this.#run.connected(withTls));
  }

  #setTimer(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#finish(this.#run.timedOut(this.#phase));
    }, milliseconds);
  }

  #failed(error: Error): void {
    const message = this.#phase === "handshake" ? TLS_MESSAGES.failed : systemMessage(error);
    this.#finish(this.#run.failed(this.#phase, message));
  }
}

/** Where to: the step's own words, then the check's, then the server's. HAProxy configuration manual §5.2, addr, port */
function connectOptions(
  step: ConnectStep,
  target: CheckTarget,
  scope: CheckScope,
): NetConnectOpts | string {
  const { server, checkPort, source } = target;
  const address = step.address ?? server.check?.address ?? target.address;
  if (address.kind === "unix") return { path: address.path };
  if (address.kind === "abstract") {
    return { path: `\0${address.padded ? address.name.padEnd(107, "\0") : address.name}` };
  }
  if (address.kind !== "inet") return "no address";
  if (address.address === undefined) return "no address";
  const own = target.address.kind === "inet" ? target.address.port : 0;
  const stepPort =
    step.port === undefined || typeof step.port === "number"
      ? step.port
      : Number.parseInt(textOf(step.port, scope), 10);
  const port =
    stepPort ||
    (step.address?.kind === "inet" ? step.address.port : 0) ||
    checkPort ||
    server.check?.port ||
    (server.check?.address?.kind === "inet" ? server.check.address.port : 0) ||
    own;
  if (!(port > 0 && port < 65_536)) return "no port to check";
  const through = usesSocks(step, server) ? server.socks4 : undefined;
  const local = source?.address;
  const localAddress =
    local?.kind === "inet" && local.address !== undefined && source?.useSource === undefined
      ? { localAddress: formatAddress(local.address) }
      : {};
  if (through?.kind === "inet" && through.address !== undefined) {
    return { host: formatAddress(through.address), port: through.port, ...localAddress };
  }
  return { host: formatAddress(address.address), port, ...localAddress };
}

function usesSocks(step: ConnectStep, server: Server): boolean {
  return (
    server.socks4 !== undefined &&
    (step.viaSocks4 || (step.byServer && server.check?.viaSocks4 === true))
  );
}

/** CONNECT by address, with HAProxy's user id. */
function socksRequest(step: ConnectStep, target: CheckTarget): Buffer | undefined {
  const { server, address } = target;
  if (!usesSocks(step, server) || address.kind !== "inet" || address.address?.family !== 4)
    return undefined;
  const port = step.port !== undefined && typeof step.port === "number" ? step.port : address.port;
  return Buffer.concat([
    Buffer.from([4, 1, port >> 8, port & 255]),
    address.address.bytes,
    Buffer.from("HAProxy\0"),
  ]);
}

/** A check speaks for nobody: `UNKNOWN` in version 1, `LOCAL` in version 2. proxy-protocol.txt §2 */
function proxyHeaderOf(step: ConnectStep, server: Server): Buffer | undefined {
  const { check, sendProxy } = server;
  const follows = check?.port === 0 && check.address === undefined && sendProxy !== undefined;
  const wanted = step.sendProxy || (step.byServer && (check?.sendProxy === true || follows));
  if (!wanted) return undefined;
  if (sendProxy?.version !== 2) return Buffer.from("PROXY UNKNOWN\r\n");
  return Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");
}

const VERSIONS: Readonly<Record<string, SecureVersion>> = {
  "TLSv1.0": "TLSv1",
  "TLSv1.1": "TLSv1.1",
  "TLSv1.2": "TLSv1.2",
  "TLSv1.3": "TLSv1.3",
};

/** Undefined: no TLS. The server's line decides, or the step. */
function tlsOptions(step: ConnectStep, server: Server): ConnectionOptions | undefined {
  const tls = tlsOf(step, server);
  if (tls === undefined) return undefined;
  const { check } = server;
  const { settings } = tls;
  const name = step.sni ?? check?.sni;
  const alpn = step.alpn ?? check?.alpn?.split(",");
  const own =
    settings?.certificate === undefined ? undefined : materialOnce(settings.certificate.path);
  return {
    rejectUnauthorized: settings?.verify === "required",
    ...(name === undefined ? {} : { servername: name }),
    // Without a name to compare, the chain alone is verified, as in HAProxy.
    ...(settings?.verifyHost === undefined
      ? { checkServerIdentity: () => undefined }
      : { servername: name ?? settings.verifyHost }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(settings?.caFile === undefined ? {} : { ca: authoritiesOnce(settings.caFile) }),
    ...(settings?.crlFile === undefined ? {} : { crl: authoritiesOnce(settings.crlFile) }),
    ...(own ?? {}),
    ...(settings?.ciphers === undefined ? {} : { ciphers: settings.ciphers }),
    ...(settings?.minVersion === undefined
      ? {}
      : { minVersion: VERSIONS[settings.minVersion] ?? "TLSv1.2" }),
    ...(settings?.maxVersion === undefined
      ? {}
      : { maxVersion: VERSIONS[settings.maxVersion] ?? "TLSv1.3" }),
  };
}

/** Whether a step speaks TLS, and by which settings: `http-check connect ssl` may have none of the server's. */
function tlsOf(
  step: ConnectStep,
  { tls, checkTls }: Server,
): { readonly settings: TlsClient | undefined } | undefined {
  if (step.ssl) return { settings: checkTls ?? tls };
  return step.byServer && checkTls !== undefined ? { settings: checkTls } : undefined;
}

const authorities = new Map<string, Buffer>();
const materials = new Map<string, { readonly cert: Buffer; readonly key: Buffer }>();

/** Read before a chroot, so that it and changed rights do not matter later. */
function authoritiesOnce(path: string): Buffer {
  const known = authorities.get(path);
  if (known !== undefined) return known;
  const loaded = loadAuthorities(createConfigHost(), path);
  if (!loaded.ok) throw new Error(`${path}: ${loaded.error}`);
  const bytes = Buffer.from(pemFile(loaded.value));
  authorities.set(path, bytes);
  return bytes;
}

function materialOnce(path: string): { readonly cert: Buffer; readonly key: Buffer } {
  const known = materials.get(path);
  if (known !== undefined) return known;
  const loaded = loadCertificate(createConfigHost(), path, {
    kinds: new Set(["all"]),
    replaceExtension: false,
    chains: [],
  });
  if (!loaded.ok) throw new Error(loaded.error);
  const { certificate, chain, key } = loaded.value.material;
  const material = {
    cert: Buffer.from(pemFile([certificate, ...chain])),
    key: Buffer.from(pemFile([key])),
  };
  materials.set(path, material);
  return material;
}

/** The runtime API put another list in a file's place: the next checks verify by it. */
export function replaceCheckAuthorities(path: string, pem: Uint8Array): void {
  if (authorities.has(path)) authorities.set(path, Buffer.from(pem));
}

/** The same for the certificate that checks show. */
export function replaceCheckCertificate(
  path: string,
  material: { readonly chain: Uint8Array; readonly key: Uint8Array },
): void {
  if (!materials.has(path)) return;
  materials.set(path, { cert: Buffer.from(material.chain), key: Buffer.from(material.key) });
}

/** Reads what TLS checks of these steps need, before a chroot hides it. Gives the paths that cannot be read. */
export function readTlsFiles(server: Server, steps: readonly CheckStep[]): string[] {
  const unreadable: string[] = [];
  for (const step of steps) {
    const settings = step.type === "connect" ? tlsOf(step, server) : undefined;
    if (settings === undefined) continue;
    loadTls();
    const { caFile, crlFile, certificate } = settings.settings ?? {};
    for (const [path, read] of [
      [caFile, authoritiesOnce],
      [crlFile, authoritiesOnce],
      [certificate?.path, materialOnce],
    ] as const) {
      if (path === undefined) continue;
      try {
        read(path);
      } catch {
        unreadable.push(path);
      }
    }
  }
  return unreadable;
}

let tls: typeof import("node:tls") | undefined;

/** Node's TLS, loaded when a check needs it: most configurations have none, and it costs time and memory at the start. */
function loadTls(): typeof import("node:tls") {
  tls ??= createRequire(import.meta.url)("node:tls") as typeof import("node:tls");
  return tls;
}
