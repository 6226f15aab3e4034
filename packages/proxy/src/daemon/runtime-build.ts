import { Diagnostics, type Micros } from "@ha/base";
import { algorithms, type Balancer } from "../core/balance/algorithm.ts";
import type { NamedAcls } from "../core/condition/acl.ts";
import {
  compileCondition,
  defineAcl,
  splitCondition,
} from "../core/condition/compile-condition.ts";
import { PASS } from "../core/condition/condition.ts";
import type { Config } from "../core/config/model.ts";
import type {
  Backend,
  Frontend,
  Proxy as ProxySection,
  Timeouts,
} from "../core/config/proxy-model.ts";
import type { LogTarget } from "../core/config/section-model.ts";
import { asciiBytes } from "../core/http/bytes.ts";
import { LOG_FORMATS } from "../core/log/formats.ts";
import { compileLogFormat, LOG_LINE } from "../core/log/log-format.ts";
import { PatternStore } from "../core/map/pattern-store.ts";
import { compileRedirects, compileRules, placed } from "../core/rule/compile-rules.ts";
import {
  AT_LOG,
  AT_REQUEST,
  AT_REQUEST_CONTENT,
  type CompileContext,
} from "../core/sample/compile-context.ts";
import { VariableNames } from "../core/sample/variable.ts";
import type { World } from "../core/sample/world.ts";
import {
  createProxyState,
  type ProxyBuffers,
  type ProxyState,
} from "../core/server/proxy-state.ts";
import { StickTable } from "../core/server/stick-table.ts";
import { layOutStatistics, type StatisticsLayout } from "../core/statistics.ts";
import { NONE, type Transaction } from "../core/transaction.ts";
import { accessLog } from "./access-log.ts";
import type { DataPlane } from "./data-plane.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { LogSink } from "./log-sink.ts";
import type {
  BackendRuntime,
  FrontendRuntime,
  ProxyRuntime,
  RetryOn,
  RuntimeTimeouts,
} from "./proxy-runtime.ts";
import { ServerPool } from "./server-pool.ts";
import { createWorldPorts, type WorldPortsOptions } from "./world-ports.ts";

/** A proxy of the configuration with its two sides, in file order: position is its number everywhere. */
export interface NumberedProxy {
  readonly proxy: ProxySection;
  readonly frontend: Frontend | undefined;
  readonly backend: Backend | undefined;
}

/** All proxies; a `listen` stands once, with both sides. */
export function numberProxies(config: Config): NumberedProxy[] {
  const fronts = new Set<ProxySection>(config.frontends);
  const all = [...config.frontends, ...config.backends.filter((backend) => !fronts.has(backend))];
  const backends = new Map<ProxySection, Backend>(
    config.backends.map((backend) => [backend, backend]),
  );
  const frontends = new Map<ProxySection, Frontend>(
    config.frontends.map((front) => [front, front]),
  );
  return all
    .map((proxy) => ({ proxy, frontend: frontends.get(proxy), backend: backends.get(proxy) }))
    .sort((a, b) => a.proxy.id - b.proxy.id);
}

/** Memory that all threads of a process share. */
export interface SharedState {
  readonly proxies: readonly ProxyBuffers[];
  readonly tables: ReadonlyMap<string, SharedArrayBuffer>;
}

export function statisticsLayout(proxies: readonly NumberedProxy[]): StatisticsLayout {
  return layOutStatistics(proxies.map(({ backend }) => backend?.servers.length ?? 0));
}

/** States and tables: made by the first thread, opened by the others. */
export function createWorld(
  config: Config,
  proxies: readonly NumberedProxy[],
  ports: WorldPortsOptions,
  shared: SharedState | undefined,
): World {
  const tables = new Map<string, StickTable>();
  for (const [name, spec] of config.stickTables) {
    tables.set(name, new StickTable(spec, shared?.tables.get(name)));
  }
  return {
    proxies: proxies.map(({ frontend, backend }, index) =>
      createProxyState(index, frontend, backend, shared?.proxies[index]),
    ),
    tables,
    userlists: config.userlists,
    patterns: new PatternStore(),
    variables: new VariableNames(),
    uniqueIds: [],
    captureLengths: [],
    work: new Uint8Array(65_536),
    ports: createWorldPorts(ports),
  };
}

/** What other threads need to open the same world. */
export function sharedStateOf(world: World): SharedState {
  return {
    proxies: world.proxies.map(({ servers, counters }) => ({
      servers: servers.buffer,
      counters: counters.buffer,
    })),
    tables: new Map([...world.tables].map(([name, table]) => [name, table.buffer])),
  };
}

/** Compiles every proxy into `plane.proxies`. Findings about rules go to the diagnostics that come back. */
export function buildRuntime(
  config: Config,
  proxies: readonly NumberedProxy[],
  world: World,
  plane: DataPlane,
  sinkFor: (target: LogTarget) => LogSink,
): Diagnostics {
  const diagnostics = new Diagnostics();
  const byName = new Map<string, number>();
  proxies.forEach(({ proxy, backend }, index) => {
    if (backend !== undefined) byName.set(proxy.name, index);
  });
  for (const [index, numbered] of proxies.entries()) {
    const builder = new ProxyBuilder(numbered, index, world, plane, diagnostics, byName);
    plane.proxies.push(builder.build(sinkFor));
    numbered.backend?.servers.forEach((server, at) => {
      plane.addresses.set(index, at, server.address);
    });
  }
  void config;
  return diagnostics;
}

class ProxyBuilder {
  readonly #numbered: NumberedProxy;
  readonly #index: number;
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #byName: ReadonlyMap<string, number>;
  readonly #context: CompileContext;
  readonly #state: ProxyState;

  constructor(
    numbered: NumberedProxy,
    index: number,
    world: World,
    plane: DataPlane,
    diagnostics: Diagnostics,
    byName: ReadonlyMap<string, number>,
  ) {
    this.#numbered = numbered;
    this.#index = index;
    this.#world = world;
    this.#plane = plane;
    this.#byName = byName;
    this.#state = world.proxies[index] as ProxyState;
    const { proxy, frontend, backend } = numbered;
    const acls: NamedAcls = new Map();
    this.#context = {
      world,
      diagnostics,
      proxy: {
        name: proxy.name,
        index,
        mode: proxy.mode,
        isFrontend: frontend !== undefined,
        isBackend: backend !== undefined,
        acls,
        captures: { request: [], response: [] },
        files: { resolve: (path) => path },
      },
      at: AT_REQUEST,
      iterates: false,
      place: "",
    };
  }

  build(sinkFor: (target: LogTarget) => LogSink): ProxyRuntime {
    const { proxy, frontend, backend } = this.#numbered;
    const { statistics } = this.#plane;
    for (const acl of proxy.acls) defineAcl(acl, placed(this.#context, AT_REQUEST, "acl"));
    const { rules } = proxy;
    const compiled = (ruleset: Parameters<typeof compileRules>[0]) =>
      compileRules(ruleset, rules[ruleset], this.#context);
    return {
      index: this.#index,
      name: proxy.name,
      http: proxy.mode === "http",
      state: this.#state,
      frontend: frontend === undefined ? undefined : this.#frontend(frontend, sinkFor),
      backend: backend === undefined ? undefined : this.#backend(backend),
      rules: {
        connection: compiled("tcp-request connection"),
        session: compiled("tcp-request session"),
        content: compiled("tcp-request content"),
        request: compiled("http-request"),
        redirect: compileRedirects(rules.redirect, this.#context),
        response: compiled("http-response"),
        afterResponse: compiled("http-after-response"),
        responseContent: compiled("tcp-response content"),
      },
      errorPages: errorPages(proxy),
      timeouts: timeouts(proxy.timeouts),
      frontendRow: statistics.layout.frontend[this.#index] as number,
      backendRow: statistics.layout.backend[this.#index] as number,
      inspectDelay: milliseconds(proxy.inspectDelay) ?? 0,
      responseInspectDelay: milliseconds(proxy.responseInspectDelay) ?? 0,
      monitorUri: frontend?.monitorUri === undefined ? undefined : asciiBytes(frontend.monitorUri),
      monitorFails: this.#anyOf(rules["monitor fail"]),
      statsPage: undefined,
    };
  }

  #frontend(frontend: Frontend, sinkFor: (target: LogTarget) => LogSink): FrontendRuntime {
    const { options } = frontend;
    const has = (name: string) => options.on.has(name);
    return {
      config: frontend,
      chooseBackend: this.#chooseBackend(frontend),
      log: this.#log(frontend, sinkFor),
      mode: options.connectionMode,
      dontLogNull: has("dontlognull"),
      logAsap: has("logasap"),
      relaxed:
        has("accept-unsafe-violations-in-http-request") || has("accept-invalid-http-request"),
      bufferRequest: has("http-buffer-request"),
      ignoreProbes: has("http-ignore-probes"),
      abortOnClose: has("abortonclose"),
      captureRequest: undefined,
      captureResponse: undefined,
      addFields: undefined,
      keepaliveClients: has("clitcpka") || has("tcpka"),
    };
  }

  #chooseBackend(frontend: Frontend): (transaction: Transaction) => number {
    const context = placed(
      this.#context,
      frontend.mode === "http" ? AT_REQUEST : AT_REQUEST_CONTENT,
      "use_backend",
    );
    const choices = frontend.rules.use_backend.flatMap(({ words }) => {
      const { before, condition } = splitCondition(words);
      const test = compileCondition(condition, context);
      const backend = this.#byName.get(before[0]?.text ?? "");
      return test === undefined || backend === undefined ? [] : [{ test, backend }];
    });
    const named = frontend.defaultBackend?.name;
    const own = this.#numbered.backend === undefined ? NONE : this.#index;
    const fallback = named === undefined ? own : (this.#byName.get(named) ?? NONE);
    if (choices.length === 0) return () => fallback;
    return (transaction) => {
      for (const { test, backend } of choices) if (test(transaction) === PASS) return backend;
      return fallback;
    };
  }

  #log(frontend: Frontend, sinkFor: (target: LogTarget) => LogSink) {
    if (frontend.logTargets.length === 0) return undefined;
    const context = placed(this.#context, AT_LOG, "log-format");
    const { logFormat } = frontend;
    const token =
      logFormat.kind === "custom"
        ? logFormat.format
        : {
            text: LOG_FORMATS[
              logFormat.kind === "none" && frontend.mode === "http" ? "none http" : logFormat.kind
            ],
            at: frontend.at,
          };
    const template = compileLogFormat(token, context, LOG_LINE);
    if (template === undefined) return undefined;
    const { errorLogFormat, options } = frontend;
    return accessLog({
      template,
      errorTemplate:
        errorLogFormat === undefined
          ? undefined
          : compileLogFormat(errorLogFormat, context, LOG_LINE),
      sinks: frontend.logTargets.map(sinkFor),
      dontLogNormal: options.on.has("dontlog-normal"),
      separateErrors: options.on.has("log-separate-errors"),
    });
  }

  #anyOf(
    lines: ProxySection["rules"]["monitor fail"],
  ): ((transaction: Transaction) => boolean) | undefined {
    if (lines.length === 0) return undefined;
    const context = placed(this.#context, AT_REQUEST, "monitor fail");
    const conditions = lines.flatMap(({ words }) => {
      const test = compileCondition(splitCondition(words).condition, context);
      return test === undefined ? [] : [test];
    });
    return (transaction) => conditions.some((test) => test(transaction) === PASS);
  }

  #backend(backend: Backend): BackendRuntime {
    const { options } = backend;
    const has = (name: string) => options.on.has(name);
    const { servers } = this.#state;
    const balancer = this.#balancer(backend);
    const balanceKey = () => 0;
    return {
      config: backend,
      dispatcher: new Dispatcher(servers, balancer, balanceKey, this.#plane.waiters),
      balancer,
      balanceKey,
      persist: undefined,
      persistResponse: undefined,
      addFields: undefined,
      pools: backend.servers.map(({ pool }) => new ServerPool(pool.maxIdle, pool.maxReuse)),
      mode: options.connectionMode,
      reuse: backend.httpReuse,
      relaxed:
        has("accept-unsafe-violations-in-http-response") || has("accept-invalid-http-response"),
      bufferRequest: has("http-buffer-request"),
      abortOnClose: has("abortonclose"),
      retries: backend.retries,
      redispatch: options.redispatch,
      retryOn: retryOn(backend.retryOn),
    };
  }

  #balancer(backend: Backend): Balancer {
    const name = backend.balance[0]?.text.replace(/\(.*/, "") ?? "random";
    const algorithm = algorithms.find((known) => known.name === name) ?? algorithms[0];
    if (algorithm === undefined) throw new Error("no balance algorithm");
    const { random } = this.#world.ports;
    return algorithm.create(this.#state.servers, {
      draws: 2,
      balanceFactor: backend.hashBalanceFactor,
      allBackups: backend.options.on.has("allbackups"),
      chance: () => Math.floor(random.next() * 0x100000000),
    });
  }
}

function errorPages(proxy: ProxySection): ReadonlyMap<number, Uint8Array> {
  const pages = new Map<number, Uint8Array>();
  for (const [status, page] of proxy.errorPages) {
    if (page.kind === "file") pages.set(status, page.bytes);
    else if (page.kind === "redirect") {
      const text = `HTTP/1.1 ${page.status} ${page.status === 302 ? "Found" : "See Other"}\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: ${page.location}\r\n\r\n`;
      pages.set(status, asciiBytes(text));
    }
  }
  return pages;
}

function timeouts(given: Timeouts): RuntimeTimeouts {
  const time = (value: Micros | undefined) => milliseconds(value) || Number.POSITIVE_INFINITY;
  return {
    client: time(given.client),
    server: time(given.server),
    connect: time(given.connect),
    queue: time(given.queue),
    httpRequest: time(given["http-request"]),
    httpKeepAlive: time(given["http-keep-alive"]),
    tunnel: time(given.tunnel),
    clientFin: time(given["client-fin"]),
    serverFin: time(given["server-fin"]),
    tarpit: time(given.tarpit),
  };
}

function milliseconds(value: Micros | undefined): number | undefined {
  return value === undefined ? undefined : value / 1000;
}

/** HAProxy configuration manual §4.2, retry-on. */
function retryOn(words: readonly string[]): RetryOn {
  const all = words.includes("all-retryable-errors");
  const has = (word: string) => all || words.includes(word);
  const statuses = words.filter((word) => /^\d{3}$/.test(word)).map(Number);
  if (all) statuses.push(500, 502, 503, 504);
  return {
    connectionFailure: words.length === 0 || has("conn-failure"),
    emptyResponse: has("empty-response"),
    junkResponse: has("junk-response"),
    responseTimeout: has("response-timeout"),
    statuses: new Set(statuses),
  };
}
