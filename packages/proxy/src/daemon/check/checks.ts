import { seededRandom } from "@ha/base";
import type { CheckPlan } from "../../core/check/check-plan.ts";
import { compileCheck } from "../../core/check/compile-check.ts";
import type { HealthLine } from "../../core/check/health-line.ts";
import type { Config } from "../../core/config/model.ts";
import { AT_CHECK, type CompileContext } from "../../core/sample/compile-context.ts";
import type { World } from "../../core/sample/world.ts";
import { ServerResolver } from "../dns/server-resolver.ts";
import { performRequest } from "../runtime-api/thread-control.ts";
import type { StartReport } from "../start-report.ts";
import type { ThreadGroup } from "../thread-group.ts";
import type { Worker } from "../worker.ts";
import { CheckRunner, microsOf } from "./check-runner.ts";
import { readTlsFiles } from "./check-socket.ts";
import { LifeKeeper } from "./life-keeper.ts";
import { loadServerStates } from "./load-server-states.ts";
import { type TrafficWord, wordingObserver } from "./traffic-observer.ts";

/** Checks and lives of all servers of a process. */
export interface Checks {
  readonly lives: LifeKeeper;
  /** Addresses that change: servers with `resolvers`. */
  readonly resolver: ServerResolver;
  /** Begins to check: when the listeners accept. */
  start(): void;
  stop(): void;
}

/**
 * Reads state files, compiles checks, and connects lives to the data plane of every thread. Call it before rights are
 * given up. Undefined when the configuration is refused: the report says why.
 */
export function openChecks(
  config: Config,
  worker: Worker,
  threads: ThreadGroup,
  report: StartReport,
): Checks | undefined {
  const { world, plane, ring } = worker;
  const now = () => microsOf(ring.now);
  const lives = new LifeKeeper(world, {
    now,
    log: (proxy, line) => logLine(worker, report, proxy, line),
    redistribute: (proxy, server) =>
      plane.proxies[proxy]?.backend?.dispatcher.redistribute(server) ?? 0,
    wake: (proxy) => plane.proxies[proxy]?.backend?.dispatcher.wake(),
    shutdownSessions: (proxy, server) => {
      plane.leaveServer(proxy, server);
      threads.order({ leave: { proxy, server } });
    },
  });
  const plans = compilePlans(world, worker, report);
  if (plans === undefined) return undefined;
  loadServerStates(config, world, plane, lives, report, now());
  lives.begin();
  const resolver = new ServerResolver(config, world, lives, {
    now,
    move: (proxy, server, address) => {
      lives.moveTo(proxy, server, address);
      const request = { kind: "server-address", proxy, server, address } as const;
      performRequest(worker, 1, request);
      void threads.ask(request);
    },
    say: (proxy, text) => logLine(worker, report, proxy, { level: NOTICE, text }),
  });
  const seed = new Uint32Array(1);
  crypto.getRandomValues(seed);
  const runner = new CheckRunner({
    world,
    keeper: lives,
    global: config.global,
    plans,
    random: seededRandom(seed[0] as number),
    now,
  });
  const suspects = process.env["LBPROXY_SUSPECT"] !== "off";
  const layers = observedLayers(world);
  const hear = ({ proxy, server, layer, good, what }: TrafficWord) => {
    if (layers[proxy]?.[server] === layer) lives.observed(proxy, server, good, what);
    if (suspects && layer === 4 && !good) runner.suspect(proxy, server);
  };
  plane.traffic = wordingObserver(layers, hear);
  threads.onTraffic = hear;
  return {
    lives,
    resolver,
    start: () => {
      runner.start();
      resolver.start();
    },
    stop: () => {
      resolver.stop();
      runner.stop();
      lives.stop();
    },
  };
}

const NOTICE = 5;

/** By proxy and server: the layer that `observe` looks at; 0 for none. */
export function observedLayers(world: World): (4 | 7 | 0)[][] {
  return world.proxies.map(({ backend }) =>
    (backend?.servers ?? []).map(({ health, check }) =>
      health.observe === "none" || check === undefined ? 0 : health.observe === "layer4" ? 4 : 7,
    ),
  );
}

function compilePlans(
  world: World,
  worker: Worker,
  report: StartReport,
): ReadonlyMap<number, CheckPlan | undefined> | undefined {
  const plans = new Map<number, CheckPlan | undefined>();
  const { diagnostics } = worker;
  const before = diagnostics.list.length;
  for (const { backend, index } of world.proxies) {
    if (backend === undefined || backend.servers.every(({ check }) => check === undefined))
      continue;
    const context: CompileContext = {
      world,
      diagnostics,
      proxy: {
        name: backend.name,
        index,
        mode: backend.mode,
        isFrontend: backend.kind === "listen",
        isBackend: true,
        acls: new Map(),
        captures: { request: [], response: [] },
        files: { resolve: (path) => path },
      },
      at: AT_CHECK,
      iterates: false,
      place: "check",
    };
    const plan = compileCheck(backend, context);
    plans.set(index, plan);
    for (const server of backend.servers) {
      if (server.check === undefined || plan === undefined) continue;
      for (const path of readTlsFiles(server, plan.steps)) {
        diagnostics.error(
          "config/no-file",
          server.at,
          `cannot read '${path}' for checks of server '${backend.name}/${server.name}'`,
        );
      }
    }
  }
  const found = diagnostics.list.slice(before);
  for (const { severity, message, at } of found) {
    const place = at === undefined ? "" : `parsing [${at.file}:${at.line}] : `;
    report.say(severity === "error" ? "ALERT" : "WARNING", `config : ${place}${message}`);
  }
  return found.some(({ severity }) => severity === "error") ? undefined : plans;
}

/** To the backend's own logs, and to standard error where it is still there. Observed: haproxy 2.6.12. */
function logLine(worker: Worker, report: StartReport, proxy: number, line: HealthLine): void {
  const backend = worker.world.proxies[proxy]?.backend;
  if (backend === undefined) return;
  const bytes = new TextEncoder().encode(line.text);
  for (const target of backend.logTargets) {
    const sink = worker.sinkFor(target, backend.logTag);
    sink.write(line.level, bytes, bytes.length, worker.ring.wallTime);
    sink.flush();
  }
  report.running(line.level === 0 ? "ALERT" : "WARNING", line.consoleText ?? line.text);
}
