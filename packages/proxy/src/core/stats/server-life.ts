import type { Micros } from "@ha/base";
import type { CheckResult } from "../check/check-status.ts";
import type { SocketAddress } from "../config/address-model.ts";
import type { Server } from "../config/server-model.ts";
import type { HealthEvent, HealthSettings, ServerHealth } from "../server/health-model.ts";

/** What is known of a server beyond the shared columns. */
export interface ServerLife {
  readonly state: ServerHealth;
  readonly settings: HealthSettings;
  /** Of the last check; undefined when the server has none. */
  readonly check: CheckResult | undefined;
  readonly agent: CheckResult | undefined;
  /** Where it is now: `set server … addr` may have moved it. */
  readonly address: SocketAddress;
  /** Port for checks as the API set it; 0: as configured. */
  readonly checkPort: number;
  /** Its line with what commands changed of its checks. Absent in threads that do not check. */
  readonly server?: Server;
  /** `backend/server` that it tracks. */
  readonly tracks: string | undefined;
}

/** What is known of a backend's own life. */
export interface BackendLife {
  readonly changedAt: Micros;
  readonly timesDown: number;
  /** Total time without a server before `changedAt`. */
  readonly downtime: Micros;
  readonly isDown: boolean;
}

/** Lives of all servers, by the proxy's and the server's number, as the thread that checks them keeps or publishes them. */
export interface ServerLives {
  server(proxy: number, server: number): ServerLife;
  backend(proxy: number): BackendLife;
}

/** What the runtime API and the stats page can do to them. Only in the thread that checks. */
export interface ServerLifeControl extends ServerLives {
  apply(proxy: number, server: number, event: HealthEvent): void;
}
