import { hostname } from "node:os";
import { formatAddress, type Micros, micros, type Random } from "@ha/base";
import { readAgentAnswer } from "../../core/check/agent-answer.ts";
import type { CheckPlan } from "../../core/check/check-plan.ts";
import { CheckRun, type Finding } from "../../core/check/check-run.ts";
import { stateHeader } from "../../core/check/health-line.ts";
import { IMPLICIT_CONNECT } from "../../core/check/protocol-checks.ts";
import type { SocketAddress } from "../../core/config/address-model.ts";
import type { Global } from "../../core/config/model.ts";
import type { Backend, Frontend } from "../../core/config/proxy-model.ts";
import type { Server } from "../../core/config/server-model.ts";
import type { World } from "../../core/sample/world.ts";
import type { AgentReport } from "../../core/server/health-model.ts";
import { checkInterval, inMaintenance } from "../../core/server/health-view.ts";
import { BACKEND_SERVED, WEIGHT_SCALE } from "../../core/server/servers.ts";
import type { BufferPool } from "../../core/transaction.ts";
import { createCheckBuffers, TransactionScope } from "./check-scope.ts";
import { CheckSocket } from "./check-socket.ts";
import { runExternalCheck } from "./external-check.ts";
import type { LifeKeeper } from "./life-keeper.ts";

/** What the runner needs beside the lives. */
export interface CheckRunnerOptions {
  readonly world: World;
  readonly keeper: LifeKeeper;
  readonly global: Pick<Global, "spreadChecks" | "maxSpreadChecks" | "node">;
  /** By the proxy's number; undefined for a backend that is checked by a program. */
  readonly plans: ReadonlyMap<number, CheckPlan | undefined>;
  readonly random: Random;
  /** Microseconds of the ring's clock. */
  readonly now: () => Micros;
}

/** One thing that is checked again and again: a server, or its agent. */
interface Task {
  readonly proxy: number;
  readonly server: number;
  readonly config: Server;
  readonly backend: Backend;
  readonly frontend: Frontend | undefined;
  readonly isAgent: boolean;
  timer: NodeJS.Timeout | undefined;
  /** When the timer strikes, milliseconds of the ring's clock. */
  due: number;
  abort: (() => void) | undefined;
  startedAt: number;
}

/** Bounds of `suspect`: one more check at most in so many milliseconds. */
const SUSPECT_GAP = 200;
/** Intervals shorter than this do not set the pace at which the first checks are spread. Observed: haproxy 2.6.12. */
const SPREAD_THRESHOLD = 1_000_000;

/**
 * Checks every server that has `check` or `agent-check`, at the pace of its state. First checks are spread over the
 * shortest interval, later ones by `spread-checks`. Sockets and timers are Node's: nothing here is on the way of requests.
 */
export class CheckRunner {
  readonly #options: CheckRunnerOptions;
  readonly #tasks: Task[] = [];
  /** Those of servers, not agents, by proxy and server: traffic asks for them. */
  readonly #byServer: (Task | undefined)[][] = [];
  #pool: BufferPool | undefined = undefined;
  #isStopped = false;

  constructor(options: CheckRunnerOptions) {
    this.#options = options;
    const { world, keeper } = options;
    for (const { backend, frontend, index } of world.proxies) {
      if (backend === undefined || backend.disabled) continue;
      backend.servers.forEach((config, server) => {
        const task = { proxy: index, server, config, backend, frontend, timer: undefined, due: 0 };
        const idle = { abort: undefined, startedAt: 0 };
        if (config.check !== undefined) {
          const check = { ...task, ...idle, isAgent: false };
          this.#tasks.push(check);
          this.#byServer[index] ??= [];
          this.#byServer[index][server] = check;
        }
        if (config.agent !== undefined) this.#tasks.push({ ...task, ...idle, isAgent: true });
      });
    }
    keeper.onCheckSoon = (proxy, server, after) => this.#advance(proxy, server, after / 1_000);
  }

  /** Plans the first check of each. HAProxy configuration manual §3.1, spread-checks; §3.2, max-spread-checks */
  start(): void {
    const { maxSpreadChecks } = this.#options.global;
    let shortest = 0;
    for (const task of this.#tasks) {
      const interval = this.#interval(task);
      if (interval >= SPREAD_THRESHOLD && (shortest === 0 || interval < shortest)) {
        shortest = interval;
      }
    }
    this.#tasks.forEach((task, i) => {
      let span = Math.max(shortest, this.#interval(task));
      if (maxSpreadChecks !== undefined && maxSpreadChecks > 0) {
        span = Math.min(span, maxSpreadChecks);
      }
      this.#plan(task, (span * i) / this.#tasks.length / 1_000);
    });
  }

  /** Ends all checks without a result. */
  stop(): void {
    this.#isStopped = true;
    for (const task of this.#tasks) {
      clearTimeout(task.timer);
      task.abort?.();
      task.abort = undefined;
    }
  }

  /**
   * Traffic was refused by the server: its next check comes at once. It decides nothing by itself, so that what a
   * single client meets cannot take a server down. Ours, not HAProxy's; `LBPROXY_SUSPECT=off` in the environment
   * turns it off.
   */
  suspect(proxy: number, server: number): void {
    const task = this.#byServer[proxy]?.[server];
    if (task === undefined) return;
    const since = this.#now() - task.startedAt;
    this.#advance(proxy, server, Math.max(0, SUSPECT_GAP - since));
  }

  #now(): number {
    return this.#options.now() / 1_000;
  }

  #advance(proxy: number, server: number, after: number): void {
    const task = this.#byServer[proxy]?.[server];
    if (task?.abort !== undefined || task === undefined) return;
    if (task.due > this.#now() + after) this.#plan(task, after);
  }

  #plan(task: Task, after: number): void {
    clearTimeout(task.timer);
    if (this.#isStopped) return;
    task.due = this.#now() + after;
    task.timer = setTimeout(() => this.#run(task), after);
    task.timer.unref();
  }

  #interval(task: Task): Micros {
    if (task.isAgent) return task.config.agent?.interval ?? task.config.health.inter;
    const { state, settings } = this.#options.keeper.server(task.proxy, task.server);
    return checkInterval(state, settings);
  }

  #again(task: Task): void {
    const interval = this.#interval(task) / 1_000;
    const spread = (interval * this.#options.global.spreadChecks) / 100;
    this.#plan(task, interval + spread * (1 - 2 * this.#options.random.next()));
  }

  #run(task: Task): void {
    const life = this.#options.keeper.server(task.proxy, task.server);
    const enabled = task.isAgent ? life.state.agentEnabled : life.state.checksEnabled;
    // In maintenance nobody wants to know; an agent is still heard, since it may end its own maintenance.
    if (!enabled || (!task.isAgent && inMaintenance(life.state))) {
      this.#again(task);
      return;
    }
    task.startedAt = this.#now();
    if (task.isAgent) this.#runAgent(task, life.address);
    else this.#runCheck(task, life.address, life.checkPort);
  }

  #finish(task: Task, finding: Finding, report?: AgentReport): void {
    task.abort = undefined;
    if (this.#isStopped) return;
    const { keeper } = this.#options;
    const duration = Math.max(0, Math.floor(this.#now() - task.startedAt));
    const result = { ...finding, duration };
    if (task.isAgent) keeper.agentChecked(task.proxy, task.server, result, report);
    else keeper.checked(task.proxy, task.server, result);
    this.#again(task);
  }

  #runCheck(task: Task, address: SocketAddress, checkPort: number): void {
    const plan = this.#options.plans.get(task.proxy);
    if (plan === undefined) {
      this.#runProgram(task, address);
      return;
    }
    const { operational } = this.#options.keeper.server(task.proxy, task.server).state;
    this.#talk(task, plan, address, checkPort, operational !== "stopped", (finding) =>
      this.#finish(task, finding),
    );
  }

  #talk(
    task: Task,
    plan: CheckPlan,
    address: SocketAddress,
    checkPort: number,
    isUp: boolean,
    done: (finding: Finding) => void,
  ): void {
    const { backend } = task;
    const config = this.#options.keeper.lineOf(task.proxy, task.server);
    const scope = new TransactionScope(
      () => this.#buffers(),
      { proxy: task.proxy, server: task.server },
      { isHttp: plan.http, state: () => this.#stateHeader(task), now: () => this.#now() },
    );
    const inter = config.health.inter / 1_000;
    const { check, connect } = backend.timeouts;
    // HAProxy configuration manual §4.2, timeout check: with it the connection has the shorter of two.
    const connectTimeout =
      check !== undefined && connect !== undefined ? Math.min(inter, connect / 1_000) : inter;
    const readTimeout = check !== undefined && check > 0 ? check / 1_000 : inter;
    const socket = new CheckSocket(
      new CheckRun(plan, scope, isUp),
      scope,
      {
        server: config,
        address,
        checkPort,
        source: config.source ?? backend.source,
        connectTimeout,
        readTimeout,
      },
      (finding) => {
        scope.end();
        done(finding);
      },
    );
    task.abort = () => {
      socket.abort();
      scope.end();
    };
    socket.start();
  }

  #runAgent(task: Task, address: SocketAddress): void {
    const { agent } = this.#options.keeper.lineOf(task.proxy, task.server);
    if (agent === undefined) return;
    let report: AgentReport | undefined;
    const target = agent.address ?? address;
    const plan: CheckPlan = {
      steps: [
        { ...IMPLICIT_CONNECT, byServer: false, address: target, port: agent.port },
        ...(agent.send === undefined
          ? []
          : [{ type: "send", number: 0, comment: undefined, text: agent.send } as const]),
        {
          type: "expect",
          number: 0,
          comment: undefined,
          match: {
            type: "custom",
            read: (text, isLast) => {
              const answer = readAgentAnswer(text, isLast);
              if (answer === undefined) return { type: "wait" };
              report = answer.report;
              return { type: "pass", result: answer.result };
            },
          },
          inverse: false,
          minReceive: -1,
          okStatus: undefined,
          errorStatus: undefined,
          timeoutStatus: undefined,
          onSuccess: undefined,
          onError: undefined,
          statusCode: undefined,
        },
      ],
      namesSteps: false,
      passed: { status: "CHECKED", info: "" },
      disableOn404: false,
      http: false,
    };
    this.#talk(task, plan, address, 0, true, (finding) => this.#finish(task, finding, report));
  }

  #runProgram(task: Task, address: SocketAddress): void {
    const { backend, frontend } = task;
    const config = this.#options.keeper.lineOf(task.proxy, task.server);
    const servers = this.#options.world.proxies[task.proxy]?.servers;
    const { check } = config;
    const timeout = (backend.timeouts.check ?? config.health.inter) / 1_000;
    task.abort = runExternalCheck(
      {
        backend,
        server: config,
        address: check?.address ?? address,
        port: check?.port || (address.kind === "inet" ? address.port : 0),
        frontend,
        connections: servers === undefined ? 0 : Atomics.load(servers.served, task.server),
        maxconn: servers?.maxconn[task.server] ?? 0,
        timeoutMilliseconds: timeout,
      },
      (finding) => this.#finish(task, finding),
    );
  }

  #buffers(): BufferPool {
    this.#pool ??= createCheckBuffers();
    return this.#pool;
  }

  #stateHeader(task: Task): string {
    const { keeper, world, global } = this.#options;
    const { state, settings, address } = keeper.server(task.proxy, task.server);
    const servers = world.proxies[task.proxy]?.servers;
    if (servers === undefined) return "";
    let total = 0;
    for (let i = 0; i < servers.count; i++) {
      if (Atomics.load(servers.usable, i) !== 0) total += servers.weight[i] as number;
    }
    const isStarting = state.operational === "starting" && settings.slowstart > 0;
    const since = this.#options.now() - state.changedAt;
    const throttle = isStarting
      ? Math.max(1, Math.min(100, Math.floor((100 * since) / settings.slowstart)))
      : undefined;
    return stateHeader(state, settings, {
      address:
        address.kind === "inet" && address.address !== undefined
          ? formatAddress(address.address)
          : address.kind === "unix"
            ? "unix"
            : "",
      port: address.kind === "inet" ? String(address.port) : "0",
      proxy: task.backend.name,
      server: task.config.name,
      node: global.node ?? hostname(),
      weight: state.weight,
      totalWeight: Math.round(total / WEIGHT_SCALE),
      sessions: Atomics.load(servers.served, task.server),
      backendSessions: Atomics.load(servers.backend, BACKEND_SERVED),
      queued: Atomics.load(servers.queued, task.server),
      throttle,
    });
  }
}

/** Microseconds from milliseconds of the ring's clock. */
export function microsOf(milliseconds: number): Micros {
  return micros(Math.floor(milliseconds * 1_000));
}
