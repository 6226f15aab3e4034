import { spawn } from "node:child_process";
import { formatAddress } from "@ha/base";
import type { Finding } from "../../core/check/check-run.ts";
import type { SocketAddress } from "../../core/config/address-model.ts";
import type { Backend, Frontend } from "../../core/config/proxy-model.ts";
import type { Server } from "../../core/config/server-model.ts";

/** What the program is told of the server. HAProxy configuration manual §4.2, external-check command */
export interface ExternalCheckInput {
  readonly backend: Backend;
  readonly server: Server;
  readonly address: SocketAddress;
  readonly port: number;
  /** Of a `listen`: its own listeners come first in the arguments. */
  readonly frontend: Frontend | undefined;
  readonly connections: number;
  readonly maxconn: number;
  readonly timeoutMilliseconds: number;
}

/**
 * Runs `external-check command`: exit status 0 is a pass. It has no standard streams, and of the environment only
 * what HAProxy gives. Gives a function that ends it without a result.
 */
export function runExternalCheck(
  input: ExternalCheckInput,
  done: (finding: Finding) => void,
): () => void {
  const { backend, server } = input;
  const { command, path } = backend.externalCheck;
  if (command === undefined) {
    done({ status: "PROCERR", code: 0, info: "no 'external-check command'" });
    return () => undefined;
  }
  const [proxyAddress, proxyPort] = listenerOf(input.frontend);
  const [address, port] = textsOfAddress(input.address, input.port);
  const child = spawn(command, [proxyAddress, proxyPort, address, port], {
    argv0: command,
    stdio: "ignore",
    env: {
      PATH: path ?? "",
      HAPROXY_PROXY_NAME: backend.name,
      HAPROXY_PROXY_ID: String(backend.id),
      HAPROXY_PROXY_ADDR: proxyAddress === NOT_USED ? "" : proxyAddress,
      HAPROXY_PROXY_PORT: proxyPort === NOT_USED ? "" : proxyPort,
      HAPROXY_SERVER_NAME: server.name,
      HAPROXY_SERVER_ID: String(server.id),
      HAPROXY_SERVER_ADDR: address,
      HAPROXY_SERVER_PORT: port === NOT_USED ? "" : port,
      HAPROXY_SERVER_MAXCONN: String(input.maxconn),
      HAPROXY_SERVER_CURCONN: String(input.connections),
      HAPROXY_SERVER_SSL: server.tls === undefined ? "0" : "1",
      HAPROXY_SERVER_PROTO: backend.mode === "http" ? "http" : "tcp",
    },
  });
  let isOver = false;
  const finish = (finding: Finding) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    done(finding);
  };
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    finish({ status: "PROCTOUT", code: 0, info: "" });
  }, input.timeoutMilliseconds);
  child.once("error", (error) => {
    // As a shell would: the program could not be started.
    finish({ status: "PROCERR", code: 127, info: error.message });
  });
  child.once("exit", (code, signal) => {
    if (code === 0) finish({ status: "PROCOK", code: 0, info: "" });
    else finish({ status: "PROCERR", code: code ?? -1, info: signal === null ? "" : signal });
  });
  return () => {
    isOver = true;
    clearTimeout(timer);
    child.kill("SIGKILL");
  };
}

const NOT_USED = "NOT_USED";

function listenerOf(frontend: Frontend | undefined): readonly [string, string] {
  const address = frontend?.binds[0]?.address;
  if (address === undefined) return [NOT_USED, NOT_USED];
  return textsOfAddress(address, address.kind === "inet" ? address.port : 0);
}

function textsOfAddress(address: SocketAddress, port: number): readonly [string, string] {
  switch (address.kind) {
    case "inet":
      return address.address === undefined
        ? [NOT_USED, NOT_USED]
        : [formatAddress(address.address), String(port)];
    case "unix":
      return [address.path, NOT_USED];
    default:
      return [NOT_USED, NOT_USED];
  }
}
