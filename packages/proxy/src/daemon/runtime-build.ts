import { Diagnostics, type Micros } from "@ha/base";
import { type Balance, compileBalance } from "../core/balance/compile-balance.ts";
import type { NamedAcls } from "../core/condition/acl.ts";
import { defineAcl } from "../core/condition/compile-condition.ts";
import type { Config } from "../core/config/model.ts";
import type {
  Backend,
  Frontend,
  Proxy as ProxySection,
  Timeouts,
} from "../core/config/proxy-model.ts";
import type { ErrorPage as ConfiguredPage, LogTarget } from "../core/config/section-model.ts";
import { allOf, bytesField, forwardedFor, originalTo } from "../core/http/added-fields.ts";
import { asciiBytes } from "../core/http/bytes.ts";
import { cacheableCookie } from "../core/http/cacheable-cookie.ts";
import { forwarded } from "../core/http/forwarded.ts";
import { type HeaderSpeller, headerSpeller } from "../core/http/header-case.ts";
import { standardReply } from "../core/http/replies.ts";
import { restrictedNames } from "../core/http/restricted-names.ts";
import { compileCaptures } from "../core/log/captures.ts";
import { LOG_FORMATS } from "../core/log/formats.ts";
import { compileLogFormat, LOG_LINE, PLAIN_TEXT } from "../core/log/log-format.ts";
import { uniqueIdOf } from "../core/log/unique-id.ts";
import { PatternStore } from "../core/map/pattern-store.ts";
import { compileAnyOf, compileUseBackend } from "../core/rule/choose-backend.ts";
import { compileRedirects, compileRules, placed } from "../core/rule/compile-rules.ts";
import { compilePersistence } from "../core/rule/persistence.ts";
import { privilegedPorts } from "../core/rule/privileged-ports.ts";
import { compileReply } from "../core/rule/reply.ts";
import type { Rule } from "../core/rule/rule.ts";
import { writeToBytes } from "../core/rule/template-room.ts";
import {
  AT_CONFIG,
  AT_LOG,
  AT_REQUEST,
  type CompileContext,
} from "../core/sample/compile-context.ts";
import { parseExpression } from "../core/sample/expression.ts";
import { createSample } from "../core/sample/sample.ts";
import { copyValue, VariableNames } from "../core/sample/variable.ts";
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
import { compileProxyHeader } from "./proxy-header.ts";
import type {
  BackendRuntime,
  ErrorPage,
  FrontendRuntime,
  ProxyRuntime,
  RetryOn,
  RuntimeTimeouts,
} from "./proxy-runtime.ts";
import { ServerPool } from "./server-pool.ts";
import { compileServerTls } from "./tls/server-tls.ts";
import { placeKey } from "./tls/tls-share.ts";
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
    stickCounters: numberOf(config, "tune.stick-counters", 3),
    loggedLine: numberOf(config, "tune.http.logurilen", 1024) - 1,
    work: new Uint8Array(65_536),
    ports: createWorldPorts(ports),
  };
}

function numberOf({ global }: Config, name: string, otherwise: number): number {
  const value = global.tune.get(name);
  return typeof value === "number" ? value : otherwise;
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
  sinkFor: SinkFor,
): Diagnostics {
  const diagnostics = new Diagnostics();
  const byName = new Map<string, number>();
  proxies.forEach(({ proxy, backend }, index) => {
    if (backend !== undefined) byName.set(proxy.name, index);
  });
  for (const [index, numbered] of proxies.entries()) {
    const builder = new ProxyBuilder(numbered, index, world, plane, diagnostics, byName, config);
    plane.proxies.push(builder.build(sinkFor));
    numbered.backend?.servers.forEach((server, at) => {
      plane.addresses.set(index, at, server.address);
    });
  }
  setProcessVariables(config, world, plane, diagnostics);
  plane.http2.configure(config.global.tune, true);
  return diagnostics;
}

/** The sink of a target, for lines of a proxy with that `log-tag`. */
export type SinkFor = (target: LogTarget, tag?: string) => LogSink;

class ProxyBuilder {
  readonly #numbered: NumberedProxy;
  readonly #index: number;
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #byName: ReadonlyMap<string, number>;
  readonly #context: CompileContext;
  readonly #state: ProxyState;
  readonly #config: Config;
  readonly #speller: HeaderSpeller | undefined;

  constructor(
    numbered: NumberedProxy,
    index: number,
    world: World,
    plane: DataPlane,
    diagnostics: Diagnostics,
    byName: ReadonlyMap<string, number>,
    config: Config,
  ) {
    this.#config = config;
    this.#speller = headerSpeller(config.global.headerCase);
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
      errorPage: (section, status) => sectionPage(config, section, status),
    };
  }

  build(sinkFor: SinkFor): ProxyRuntime {
    const { proxy, frontend, backend } = this.#numbered;
    const { statistics } = this.#plane;
    for (const acl of proxy.acls) {
      defineAcl(acl, { ...placed(this.#context, ~0, "ACL"), iterates: true });
    }
    const { rules } = proxy;
    // First: rules refer to capture slots.
    const front = frontend === undefined ? undefined : this.#frontend(frontend, sinkFor);
    const compiled = (ruleset: Parameters<typeof compileRules>[0]) =>
      compileRules(ruleset, rules[ruleset], this.#context);
    return {
      index: this.#index,
      name: proxy.name,
      http: proxy.mode === "http",
      state: this.#state,
      frontend: front,
      backend: backend === undefined ? undefined : this.#backend(backend),
      rules: {
        connection: rulesOf(
          frontend !== undefined && this.#config.global.rejectPrivilegedPorts
            ? privilegedPorts(proxy.at)
            : undefined,
          compiled("tcp-request connection"),
        ),
        session: compiled("tcp-request session"),
        content: compiled("tcp-request content"),
        request: rulesOf(
          restrictedNames(proxy.options.restrictRequestHeaderNames, proxy.at),
          compiled("http-request"),
        ),
        redirect: compileRedirects(rules.redirect, this.#context),
        response: [
          ...compiled("http-response"),
          ...(backend?.options.on.has("checkcache") ? [cacheableCookie(proxy.at)] : []),
        ],
        afterResponse: compiled("http-after-response"),
        responseContent: compiled("tcp-response content"),
      },
      errorPages: this.#errorPages(proxy),
      timeouts: timeouts(proxy.timeouts),
      frontendRow: statistics.layout.frontend[this.#index] as number,
      backendRow: statistics.layout.backend[this.#index] as number,
      inspectDelay: milliseconds(proxy.inspectDelay) ?? 0,
      responseInspectDelay: milliseconds(proxy.responseInspectDelay) ?? 0,
      monitorUri: frontend?.monitorUri === undefined ? undefined : asciiBytes(frontend.monitorUri),
      monitorFails: compileAnyOf(rules["monitor fail"], "monitor fail", this.#context),
      statsPage: undefined,
      statsAdmin: compileAnyOf(rules["stats admin"], "stats admin", this.#context),
      statsRules: compileRules("http-request", rules["stats http-request"], this.#context),
    };
  }

  #frontend(frontend: Frontend, sinkFor: SinkFor): FrontendRuntime {
    const { options } = frontend;
    const has = (name: string) => options.on.has(name);
    const captures = this.#captures(frontend);
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
      captureRequest: captures.request,
      captureResponse: captures.response,
      addFields: allOf([
        this.#addressFields(options),
        frontend.uniqueIdHeader === undefined
          ? undefined
          : bytesField(frontend.uniqueIdHeader, (transaction) =>
              uniqueIdOf(transaction, this.#world),
            ),
      ]),
      keepaliveClients: has("clitcpka") || has("tcpka") ? keepalive(options.clitcpka) : undefined,
      spellHeaders: has("h1-case-adjust-bogus-client") ? this.#speller : undefined,
      noLinger: has("nolinger"),
      dropsTrailers: has("http-drop-response-trailers"),
    };
  }

  /** Captures and the unique id: rules and formats refer to both. */
  #captures(frontend: Frontend) {
    const captures = compileCaptures(frontend);
    const { proxy } = this.#context;
    proxy?.captures.request.push(...captures.lengths.request);
    proxy?.captures.response.push(...captures.lengths.response);
    this.#world.captureLengths[this.#index] = proxy?.captures;
    if (frontend.uniqueIdFormat !== undefined) {
      this.#world.uniqueIds[this.#index] = compileLogFormat(
        frontend.uniqueIdFormat,
        placed(this.#context, AT_LOG, "unique-id-format"),
        PLAIN_TEXT,
      );
    }
    return captures;
  }

  #chooseBackend(frontend: Frontend): (transaction: Transaction) => number {
    const chooser = compileUseBackend(frontend.rules.use_backend, this.#byName, this.#context);
    const named = frontend.defaultBackend?.name;
    const own = this.#numbered.backend === undefined ? NONE : this.#index;
    const fallback = named === undefined ? own : (this.#byName.get(named) ?? NONE);
    if (chooser === undefined) return () => fallback;
    return (transaction) => {
      const chosen = chooser(transaction);
      return chosen === NONE ? fallback : chosen;
    };
  }

  #log(frontend: Frontend, sinkFor: SinkFor) {
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
      prefix: compileLogFormat({ text: "%ci:%cp [%t] %f/", at: frontend.at }, context, LOG_LINE),
      structured:
        frontend.logFormatSd === undefined
          ? undefined
          : compileLogFormat(frontend.logFormatSd, context, PLAIN_TEXT),
      sinks: frontend.logTargets.map((target) => sinkFor(target, frontend.logTag)),
      dontLogNormal: options.on.has("dontlog-normal"),
      separateErrors: options.on.has("log-separate-errors"),
    });
  }

  /** `option forwardfor`, `originalto` and `forwarded`. */
  #addressFields(options: ProxySection["options"]) {
    return allOf([
      options.forwardfor === undefined ? undefined : forwardedFor(options.forwardfor),
      options.originalto === undefined ? undefined : originalTo(options.originalto),
      options.forwarded === undefined ? undefined : forwarded(options.forwarded, this.#context),
    ]);
  }

  #errorPages(proxy: ProxySection): ReadonlyMap<number, ErrorPage> {
    const pages = new Map<number, ErrorPage>();
    for (const [status, page] of proxy.errorPages) {
      const made = this.#errorPage(page, status);
      if (made !== undefined) pages.set(status, made);
    }
    return pages;
  }

  #errorPage(page: ConfiguredPage, status: number): ErrorPage | undefined {
    switch (page.kind) {
      case "file":
        return () => page.bytes;
      case "section": {
        const bytes = sectionPage(this.#config, page.name, status);
        return bytes === undefined ? undefined : () => bytes;
      }
      case "redirect": {
        const text = `HTTP/1.1 ${page.status} ${page.status === 302 ? "Found" : "See Other"}\r\ncache-control: no-cache\r\ncontent-length: 0\r\nlocation: ${page.location}\r\n\r\n`;
        const bytes = asciiBytes(text);
        return () => bytes;
      }
      case "reply": {
        const context = placed(this.#context, AT_LOG, "http-error");
        const reply = compileReply(page.arguments, status, "http-error", context);
        if (reply === undefined) return undefined;
        return (transaction) => reply.make(transaction).message ?? standardReply(status);
      }
      default:
        return undefined;
    }
  }

  #backend(backend: Backend): BackendRuntime {
    const { options } = backend;
    const has = (name: string) => options.on.has(name);
    const { servers } = this.#state;
    const balance = compileBalance(backend, servers, this.#context) ?? NOTHING;
    const dispatcher: Dispatcher = new Dispatcher(
      servers,
      balance,
      this.#plane.waiters,
      () =>
        this.#plane.pollWhile(() => {
          dispatcher.wake();
          return dispatcher.waiting > 0;
        }),
      // With `option persist` even a server that is down is waited for.
      options.redispatch !== undefined && !has("persist"),
    );
    const persistence = compilePersistence(backend, servers, this.#context);
    const sendName = backend.sendNameHeader;
    const names = backend.servers.map(({ name }) => asciiBytes(name));
    return {
      config: backend,
      dispatcher,
      persist: persistence.request,
      persistResponse: persistence.response,
      addFields: this.#addressFields(options),
      keepaliveServers: has("srvtcpka") || has("tcpka") ? keepalive(options.srvtcpka) : undefined,
      spellHeaders: has("h1-case-adjust-bogus-server") ? this.#speller : undefined,
      tls: compileServerTls(backend, this.#context, (server) =>
        this.#plane.tls.servers.get(placeKey(this.#index, server)),
      ),
      proxyHeaders: backend.servers.map(({ sendProxy }) =>
        sendProxy === undefined
          ? undefined
          : compileProxyHeader(sendProxy, placed(this.#context, AT_LOG, "set-proxy-v2-tlv-fmt")),
      ),
      nameServer:
        sendName === undefined ? undefined : bytesField(sendName, ({ server }) => names[server]),
      pools: backend.servers.map(({ pool }) => new ServerPool(pool.maxIdle, pool.maxReuse)),
      mode: options.connectionMode,
      reuse: backend.httpReuse,
      relaxed:
        has("accept-unsafe-violations-in-http-response") || has("accept-invalid-http-response"),
      bufferRequest: has("http-buffer-request"),
      abortOnClose: has("abortonclose"),
      pretendKeepalive: has("http-pretend-keepalive"),
      preferLastServer: has("prefer-last-server"),
      noLinger: has("nolinger"),
      dropsTrailers: has("http-drop-request-trailers"),
      retries: backend.retries,
      redispatch: options.redispatch,
      retryOn: retryOn(backend.retryOn),
    };
  }
}

/** Of a backend whose `balance` was refused: the start is refused as well. */
const NOTHING: Balance = { choose: () => NONE };

/** A rule that an option makes, before those that are written. */
function rulesOf(own: Rule | undefined, rules: readonly Rule[]): readonly Rule[] {
  return own === undefined ? rules : [own, ...rules];
}

function sectionPage(
  { httpErrors }: Config,
  section: string,
  status: number,
): Uint8Array | undefined {
  const page = httpErrors.get(section)?.pages.get(status);
  return page?.kind === "file" ? page.bytes : undefined;
}

/** Timers of `…tcpka-idle`, `-intvl`, `-cnt`, in the seconds of the system. */
function keepalive({ idle, interval, count }: ProxySection["options"]["clitcpka"]) {
  return {
    ...(idle === undefined ? {} : { idle: Math.ceil(idle / 1_000_000) }),
    ...(interval === undefined ? {} : { interval: Math.ceil(interval / 1_000_000) }),
    ...(count === undefined ? {} : { count }),
  };
}

/** `set-var proc.…` of the global section: every thread has its own, as a start leaves them. */
function setProcessVariables(
  { global }: Config,
  world: World,
  plane: DataPlane,
  diagnostics: Diagnostics,
): void {
  if (global.processVariables.length === 0) return;
  const context: CompileContext = {
    world,
    diagnostics,
    proxy: undefined,
    at: AT_CONFIG,
    iterates: false,
    place: "the global section",
  };
  const transaction = plane.takeTransaction();
  const sample = createSample();
  for (const { at, name, expression, format } of global.processVariables) {
    const variable = world.variables.variable(name);
    if (variable === undefined) continue;
    if (format) {
      const template = compileLogFormat({ text: expression, at }, context, PLAIN_TEXT);
      if (template === undefined) continue;
      const bytes = writeToBytes(template, transaction, world).slice();
      world.variables.setProcess(variable, { type: "str", bytes });
      continue;
    }
    const words = expression.split(" ").map((text) => ({ text, at }));
    const found = parseExpression(words, 0, context)?.expression.evaluate(transaction, sample);
    if (found === true) world.variables.setProcess(variable, copyValue(sample));
  }
  plane.giveTransaction(transaction);
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
    clientHandshake: time(given["client-hs"]),
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
