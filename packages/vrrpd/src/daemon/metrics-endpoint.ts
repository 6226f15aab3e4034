import { createServer, type Server } from "node:http";
import type { MetricsAddress } from "../core/config/model.ts";
import type { Log } from "./log.ts";
import { METRICS_CONTENT_TYPE } from "./metrics.ts";

/** `vrrp_metrics`: `GET /metrics` over HTTP, and nothing else. */
export class MetricsEndpoint {
  readonly #log: Log;
  readonly #text: (names: MetricsAddress["names"]) => string;
  #address: MetricsAddress | undefined;
  #server: Server | undefined;

  constructor(log: Log, text: (names: MetricsAddress["names"]) => string) {
    this.#log = log;
    this.#text = text;
  }

  /** Listens where the configuration says now, or nowhere. */
  listen(address: MetricsAddress | undefined): void {
    const before = this.#address;
    if (before?.host === address?.host && before?.port === address?.port) {
      this.#address = address;
      return;
    }
    this.close();
    this.#address = address;
    if (address === undefined) return;
    const { host, port } = address;
    const server = createServer(
      { requestTimeout: 5_000, headersTimeout: 5_000 },
      (request, response) => {
        const path = (request.url ?? "").replace(/\?.*$/s, "");
        const reading = request.method === "GET" || request.method === "HEAD";
        const names = this.#address?.names ?? "mehdy";
        const status = path !== "/metrics" ? 404 : reading ? 200 : 405;
        const body = status === 200 ? this.#text(names) : "only GET /metrics\n";
        response.writeHead(status, {
          "content-type": status === 200 ? METRICS_CONTENT_TYPE : "text/plain",
          "content-length": Buffer.byteLength(body),
          ...(status === 405 ? { allow: "GET, HEAD" } : {}),
        });
        response.end(request.method === "HEAD" ? undefined : body);
      },
    );
    server.maxConnections = 16;
    server.on("error", (error) => {
      this.#log.error(`vrrp_metrics ${host}:${port}: ${error.message}`);
    });
    server.listen(port, host);
    this.#server = server;
  }

  close(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = undefined;
    this.#address = undefined;
  }
}
