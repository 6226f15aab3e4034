import { micros } from "@ha/base";
import { ringDoor, shutdownStream } from "@ha/linux/ring";
import type { Config } from "../../core/config/model.ts";
import type { HealthEvent } from "../../core/server/health-model.ts";
import { BACKEND_QUEUED, BACKEND_QUEUED_MOST } from "../../core/server/servers.ts";
import * as stat from "../../core/statistics.ts";
import { SharedLives } from "../../core/stats/shared-lives.ts";
import { standingLives } from "../../core/stats/standing-lives.ts";
import type { Checks } from "../check/checks.ts";
import { type BoundApiSocket, RuntimeApi, socketText } from "../runtime-api/api-sockets.ts";
import type { ProcessControl } from "../runtime-api/command.ts";
import { RUNTIME_COMMANDS } from "../runtime-api/commands.ts";
import { performRequest, type ThreadFleet } from "../runtime-api/thread-control.ts";
import type { ThreadGroup } from "../thread-group.ts";
import type { CertificateStore } from "../tls/certificate-store.ts";
import type { Worker } from "../worker.ts";
import { startRateKeeper } from "./rate-keeper.ts";
import type { StatsAction, StatsOrder } from "./stats-order.ts";
import { installServices } from "./stats-services.ts";
import { createStatsView, publishGauges, type StatsShare } from "./stats-view.ts";

/** Statistics and the runtime API, in the first thread. Begins to serve at once. */
export function openRuntimeApi(options: {
  readonly config: Config;
  readonly worker: Worker;
  readonly threads: ThreadGroup;
  readonly checks: Checks;
  readonly share: StatsShare;
  readonly certificates: CertificateStore;
  readonly sockets: readonly BoundApiSocket[];
  readonly startupLog: () => string;
  /** For the process that follows. */
  readonly ticketSecret: Uint8Array;
  /** A frontend was paused, shut down or enabled. */
  readonly onFrontend?: () => void;
}): RuntimeApi {
  const { config, worker, threads, checks, share, sockets } = options;
  const { lives } = checks;
  const { world, plane } = worker;
  const view = createStatsView(worker, share, lives);
  let latest: Promise<unknown> = Promise.resolve();
  const fleet: ThreadFleet = {
    ask: async (request) => {
      const others = threads.ask(request);
      // Threads take requests in their order: when the latest is done, all are.
      latest = others;
      if (request.kind === "frontend") options.onFrontend?.();
      return [performRequest(worker, 1, request), ...(await others)];
    },
    tellOthers: (request) => {
      latest = threads.ask(request);
    },
    settled: () => latest,
  };
  const control: ProcessControl = {
    config,
    world,
    source: view.source,
    lives,
    resolver: checks.resolver,
    fleet,
    certificates: options.certificates,
    figures: view.figures,
    rates: worker.rates,
    get maxconn() {
      return view.source.maxconn;
    },
    set maxconn(limit: number) {
      Atomics.store(share.connections, 1, limit);
    },
    hardMaxconn: share.facts.maxconn,
    ticketSecret: options.ticketSecret,
    sockets: sockets.map(({ bind }) => ({ text: socketText(bind), level: bind.level })),
    listeners: worker.listeners.map((listener) => ({
      fd: listener.fd,
      frontend: frontendOf(worker, listener.bind),
      text: listener.bind.text,
      device: listener.bind.interface ?? "",
    })),
    get startupLog() {
      return options.startupLog();
    },
    clearCounters: (all) => clearCounters(worker, fleet, all),
    setListening: (proxy, on) => setListening(worker, proxy, on, share.facts.maxconn),
    moveServer: (proxy, server, to) => {
      const life = lives.server(proxy, server);
      const address = to.address ?? life.address;
      lives.moveTo(proxy, server, address, to.checkPort);
      if (to.change !== undefined) lives.alter(proxy, server, to.change);
      if (to.address !== undefined) {
        void fleet.ask({ kind: "server-address", proxy, server, address });
      }
    },
  };
  const obey = (order: StatsOrder) => performOrder(control, order);
  threads.onStatsOrder = obey;
  installServices(worker, view, obey);
  publishGauges(worker);
  const fallback = standingLives(world.proxies, micros(0));
  startRateKeeper(worker, view, lives, new SharedLives(world.proxies, fallback, share.lives));

  const api = new RuntimeApi(control, RUNTIME_COMMANDS, () => {
    plane.statistics.add(plane.statistics.layout.rows, stat.STAT_API_CLIENTS, 1);
  });
  for (const socket of sockets) api.listen(socket);
  return api;
}

function frontendOf({ plane }: Worker, bind: unknown): string {
  const owner = plane.proxies.find(({ frontend }) =>
    frontend?.config.binds.some((own) => own === bind),
  );
  return owner?.name ?? "";
}

/** By shutting down a listening socket's reading side the kernel ends listening; `listen` begins it again. */
function setListening(
  { listeners, plane }: Worker,
  proxy: number,
  on: boolean,
  maxconn: number,
): void {
  const frontend = plane.proxies[proxy]?.frontend?.config;
  for (const { bind, fd } of listeners) {
    if (frontend?.binds.includes(bind) !== true) continue;
    if (!on) shutdownStream(fd, SHUT_READ);
    else ringDoor().listen(fd, bind.backlog ?? frontend.backlog ?? frontend.maxconn ?? maxconn);
  }
}

const SHUT_READ = 0;

/** `clear counters`: most values begin anew with what is now; `all` sets counters to zero as well. */
function clearCounters({ world }: Worker, fleet: ThreadFleet, all: boolean): void {
  for (const { servers, counters } of world.proxies) {
    counters.clearMost();
    servers.backend[BACKEND_QUEUED_MOST] = Atomics.load(servers.backend, BACKEND_QUEUED);
    for (let i = 0; i < servers.count; i++) {
      servers.servedMost[i] = Atomics.load(servers.served, i);
      servers.queuedMost[i] = Atomics.load(servers.queued, i);
    }
  }
  void fleet.ask({ kind: "clear-counters", all });
}

/** What a page's action does to a server. HAProxy configuration manual §4.2, stats admin. */
function performOrder(control: ProcessControl, { proxy, servers, action }: StatsOrder): void {
  for (const server of servers) {
    if (action === "shutdown") {
      void control.fleet.ask({ kind: "end-server-sessions", proxy, server });
      continue;
    }
    const event = eventOf(action, control.source.now());
    if (event !== undefined) control.lives.apply(proxy, server, event);
  }
  void control.fleet.ask({ kind: "proceed" });
}

function eventOf(action: StatsAction, now: number): HealthEvent | undefined {
  const at = micros(now * 1000);
  switch (action) {
    case "ready":
    case "enable":
    case "start":
      return { type: "admin", state: "ready", at };
    case "drain":
    case "stop":
      return { type: "admin", state: "drain", at };
    case "maint":
    case "disable":
      return { type: "admin", state: "maint", at };
    case "dhlth":
      return { type: "enable", of: "check", on: false, at };
    case "ehlth":
      return { type: "enable", of: "check", on: true, at };
    case "hrunn":
      return { type: "force", of: "check", to: "up", at };
    case "hnolb":
      return { type: "force", of: "check", to: "stopping", at };
    case "hdown":
      return { type: "force", of: "check", to: "down", at };
    case "dagent":
      return { type: "enable", of: "agent", on: false, at };
    case "eagent":
      return { type: "enable", of: "agent", on: true, at };
    case "arunn":
      return { type: "force", of: "agent", to: "up", at };
    case "adown":
      return { type: "force", of: "agent", to: "down", at };
    default:
      return undefined;
  }
}
