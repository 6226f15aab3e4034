import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { micros } from "@ha/base";
import type { ProxyWord } from "@ha/base/pair-line";
import { adoptDescriptor, type Executor, raiseDescriptorLimit } from "@ha/linux/ring";
import type { Config } from "../core/config/model.ts";
import type { SourceFile } from "../core/config/preprocess.ts";
import { ProcessRates } from "../core/server/process-rates.ts";
import { SharedLives } from "../core/stats/shared-lives.ts";
import { standingLives } from "../core/stats/standing-lives.ts";
import { isInBackground, startInBackground, tellReady } from "./background.ts";
import type { BoundSocket } from "./bind-sockets.ts";
import { type Checks, openChecks } from "./check/checks.ts";
import type { CommandLine } from "./cli.ts";
import { changeFolder, loadConfiguration, readSources, reportLoaded } from "./config-check.ts";
import { createConfigHost } from "./config-host.ts";
import { bytesOf, configText } from "./config-text.ts";
import { handleEnding } from "./ending.ts";
import { retryWhileOldLeave, signalOld, takeOverSockets } from "./handover.ts";
import { HeldSockets } from "./held-sockets.ts";
import type { CheckedConfiguration } from "./master.ts";
import { connectMaster } from "./master-link.ts";
import { handleOperatorSignals, tellStopped } from "./operator-signals.ts";
import { PairServer, takePairLine } from "./pair/pair-server.ts";
import { PairSpeaker } from "./pair/pair-speaker.ts";
import { dropPrivileges } from "./privileges.ts";
import { bindApiSockets } from "./runtime-api/api-sockets.ts";
import type { ProcessControl } from "./runtime-api/command.ts";
import { sharedStateOf } from "./runtime-build.ts";
import { StartReport, writeAll } from "./start-report.ts";
import { openRuntimeApi } from "./stats/open-runtime-api.ts";
import { descriptorLimit, type ProcessFacts, type StatsShare } from "./stats/stats-view.ts";
import { threadCount } from "./thread-count.ts";
import { ThreadGroup } from "./thread-group.ts";
import type { CertificateStore } from "./tls/certificate-store.ts";
import { openTls } from "./tls/open-tls.ts";
import { newTicketSecret, takeOverTicketSecret, useTicketSecret } from "./tls/ticket-secret.ts";
import { createWorker, type SharedLimits, statisticsBytes, type Worker } from "./worker.ts";

/**
 * `lbproxy -f FILE` in one process: reads, binds, starts its threads, gives up its rights, and runs until it is told
 * to stop. Sets the exit status when it cannot.
 */
export async function serve(command: CommandLine): Promise<void> {
  const report = new StartReport(command.quiet);
  const master = await connectMaster();
  const checked =
    master === undefined
      ? await prepare(command, report)
      : await readGiven(command, master.start.files);
  if (checked === undefined) return exitWith(1);
  const { config, files, maxconn } = checked;
  const held =
    master === undefined
      ? new HeldSockets(takeOverSockets(command, report), retryWhileOldLeave(command))
      : undefined;
  const ticketSecret =
    master === undefined
      ? (takeOverTicketSecret(command) ?? newTicketSecret())
      : new Uint8Array(Buffer.from(master.start.ticketSecret, "base64"));
  if (master === undefined && (command.masterWorker || config.global.masterWorker)) {
    const { runMaster } = await import("./master.ts");
    return runMaster({
      command,
      first: checked,
      report,
      sockets: held ?? new HeldSockets(),
      read: (again) => readConfiguration(command, again),
      inherited: inheritedDescriptors,
      ticketSecret: Buffer.from(ticketSecret).toString("base64"),
    });
  }
  // With a master it is the master's.
  const pairLine = takePairLine();
  // Programs that checks start do not get them.
  for (const { fd } of master?.start.sockets ?? []) adoptDescriptor(fd);
  const sockets = master?.start.sockets ?? held?.prepare(config, maxconn, report);
  if (sockets === undefined) return exitWith(1);
  held?.keep(new Set(sockets.map(({ fd }) => fd)));
  useTicketSecret(config, ticketSecret);
  const serving = await startThreads(command, config, files, maxconn, sockets, report);
  if (serving === undefined) return exitWith(1);
  const apiSockets = bindApiSockets(config);
  if ("refusal" in apiSockets) {
    report.say("ALERT", apiSockets.refusal);
    return exitWith(1);
  }
  const pidfile = master === undefined ? (command.pidfile ?? config.global.pidfile) : undefined;
  if (pidfile !== undefined) writeFileSync(bytesOf(configText(pidfile)), `${process.pid}\n`);
  const refused = dropPrivileges(config.global);
  if (refused !== undefined) {
    report.say("ALERT", `[haproxy.main()] ${refused}`);
    process.exit(1);
  }
  const ending = handleEnding({
    ...serving,
    config,
    pidfile,
    hasMaster: master !== undefined,
    stopping: () => tellStopped(api.control, serving.worker, report),
  });
  serving.worker.start();
  serving.threads.order("start");
  serving.checks.start();
  let speaker: PairSpeaker | undefined;
  const api = openRuntimeApi({
    ...serving,
    config,
    sockets: apiSockets,
    ticketSecret,
    startupLog: () => report.lines.join(""),
    onFrontend: () => speaker?.frontendChanged(),
  });
  const say = pairLine === undefined ? master?.pair : (word: ProxyWord) => line?.say(word);
  speaker =
    say === undefined ? undefined : new PairSpeaker({ ...serving, say, control: api.control });
  const line = openPairLine(pairLine, speaker, api.control);
  speaker?.start();
  handleOperatorSignals(api.control, serving.worker, report);
  master?.listen({
    softStop: (retired) => {
      api.close();
      ending.softStop(retired);
    },
    client: (socket) => api.accept(socket),
    obey: (order) => speaker?.obey(order),
  });
  master?.said(report.lines);
  master?.ready();
  if (master !== undefined) return;
  signalOld(command);
  tellReady();
}

/** The line to vrrpd of a process that has no master. */
function openPairLine(
  fd: number | undefined,
  speaker: PairSpeaker | undefined,
  { listeners }: ProcessControl,
): PairServer | undefined {
  if (fd === undefined || speaker === undefined) return undefined;
  return new PairServer(fd, {
    obey: (order) => speaker.obey(order),
    standing: () => [{ type: "ready" }, ...speaker.standing()],
    listeners: () => listeners,
  });
}

/** In a process that a user has started: the files, read and checked, in the background if that is wanted. */
async function prepare(
  command: CommandLine,
  report: StartReport,
): Promise<CheckedConfiguration | undefined> {
  if (!changeFolder(command, report)) return undefined;
  const checked = await readConfiguration(command, report);
  if (checked === undefined) return undefined;
  const { global } = checked.config;
  const wantsBackground =
    command.daemon || (global.daemon && !command.foreground && !command.debug);
  if (wantsBackground && !isInBackground()) {
    process.exit(await startInBackground(inheritedDescriptors(checked.config)));
  }
  return checked;
}

/** In a worker: what its master has checked, and told of. */
async function readGiven(
  command: CommandLine,
  files: readonly SourceFile[],
): Promise<CheckedConfiguration | undefined> {
  const silent = new StartReport(true);
  const checked = await readConfiguration(command, silent, files);
  if (checked === undefined) writeAll(2, bytesOf(silent.lines.join("")));
  return checked;
}

/** Says everything there is to say of the files; undefined when they cannot be served. */
async function readConfiguration(
  command: CommandLine,
  report: StartReport,
  given?: readonly SourceFile[],
): Promise<CheckedConfiguration | undefined> {
  const files = given ?? readSources(command, report);
  if (files === undefined) return undefined;
  const loaded = await loadConfiguration(command, files);
  const { config } = loaded;
  if (!reportLoaded(loaded, command, report) || config === undefined) return undefined;
  for (const { at, feature } of config.later) {
    report.say(
      "ALERT",
      `config : [${at.file}:${at.line}] : ${feature} is not served yet by lbproxy.`,
    );
  }
  if (config.later.length > 0) return undefined;
  const maxconn = processLimit(command, config, report);
  return maxconn === undefined ? undefined : { config, files, maxconn };
}

/** The threads of a serving process: the first is this very one. */
export interface ServingProcess {
  readonly worker: Worker;
  readonly threads: ThreadGroup;
  readonly checks: Checks;
  readonly share: StatsShare;
  readonly certificates: CertificateStore;
}

async function startThreads(
  command: CommandLine,
  config: Config,
  files: readonly SourceFile[],
  maxconn: number,
  sockets: readonly BoundSocket[],
  report: StartReport,
): Promise<ServingProcess | undefined> {
  const rates = new ProcessRates();
  rates.connectionLimit = config.global.maxconnrate;
  rates.sessionLimit = config.global.maxsessrate;
  rates.tls.limit(config.global.maxsslconn, config.global.maxsslrate);
  const connections = new Int32Array(new SharedArrayBuffer(8));
  const limits: SharedLimits = { maxconn, connections, rates: rates.buffer };
  limits.connections[1] = maxconn;
  const executor = executorFor(command);
  const count = threadCount(config);
  const statistics = Array.from(
    { length: count },
    () => new SharedArrayBuffer(statisticsBytes(config)),
  );
  const tls = openTls(config, createConfigHost());
  if (!tls.ok) {
    for (const message of tls.error) report.say("ALERT", `config : ${message}`);
    return undefined;
  }
  const common = { executor, limits, tls: tls.value.share };
  const worker = createWorker({
    ...common,
    config,
    thread: 1,
    shared: undefined,
    statistics: statistics[0] as SharedArrayBuffer,
  });
  for (const { severity, message, at, hint } of worker.diagnostics.list) {
    const place = at === undefined ? "" : `parsing [${at.file}:${at.line}] : `;
    const text = hint === undefined ? message : `${message} (${hint})`;
    report.say(severity === "error" ? "ALERT" : "WARNING", `config : ${place}${text}`);
  }
  if (worker.diagnostics.hasErrors) return undefined;
  for (const socket of sockets) worker.listen(socket);
  const shared = sharedStateOf(worker.world);
  const { proxies } = worker.world;
  const share: StatsShare = {
    facts: processFacts(
      config,
      maxconn,
      count,
      sockets.length + config.global.stats.sockets.length,
    ),
    statistics,
    lives: new SharedLives(proxies, standingLives(proxies, micros(0))).buffer,
    connections: limits.connections,
  };
  const threads = await ThreadGroup.open(
    statistics.slice(1).map((buffer, i) => ({
      ...common,
      thread: i + 2,
      command,
      files,
      shared,
      statistics: buffer,
      sockets,
      stats: share,
    })),
    (error) => {
      // A thread that breaks takes the process with it: half a proxy is worse than none.
      report.say("ALERT", `[haproxy.main()] thread: ${error.stack ?? error.message}`);
      process.exit(1);
    },
  );
  const checks = openChecks(config, worker, threads, report);
  const { store } = tls.value;
  return checks === undefined ? undefined : { worker, threads, checks, share, certificates: store };
}

function processFacts(
  { global }: Config,
  maxconn: number,
  threads: number,
  listeners: number,
): ProcessFacts {
  return {
    startedAt: Date.now(),
    pid: process.pid,
    maxconn,
    descriptorLimit: descriptorLimit(),
    listeners,
    threads,
    node: global.node ?? hostname(),
    description: global.description,
    sslRateLimit: global.maxsslrate,
    maxSslConnections: global.maxsslconn,
    maxPipes: global.maxpipes,
    compressionRateLimit: global.maxcomprate,
  };
}

/** `fd@N` of all binds. */
function inheritedDescriptors(config: Config): number[] {
  const binds = [...config.frontends.flatMap(({ binds }) => binds), ...config.global.stats.sockets];
  return binds.flatMap(({ address }) =>
    address.kind === "fd" || address.kind === "sockpair" ? [address.fd] : [],
  );
}

function exitWith(status: number): void {
  process.exitCode = status;
}

/**
 * `-n`, `maxconn`, or what the limit of open files leaves: two descriptors a connection. Undefined where that limit
 * cannot be had and `strict-limits` stands. HAProxy configuration manual §3.2, maxconn; §3.1, ulimit-n.
 */
function processLimit(
  command: CommandLine,
  { global, frontends }: Config,
  report: StartReport,
): number | undefined {
  const asked = command.maxconn ?? global.maxconn;
  const listeners = frontends.reduce((sum, { binds }) => sum + binds.length, 0);
  const needed = asked === undefined ? 0 : asked * 2 + listeners + RESERVED_DESCRIPTORS;
  const most = global.fdHardLimit || Number.POSITIVE_INFINITY;
  const wanted = Math.min(global.ulimitN || needed, most);
  const limit = raiseDescriptorLimit(wanted);
  if (limit < wanted) {
    const text = `[haproxy.main()] Cannot raise FD limit to ${wanted}, limit is ${limit}.`;
    report.say(global.strictLimits ? "ALERT" : "WARNING", text);
    if (global.strictLimits) return undefined;
  }
  if (asked !== undefined) return asked;
  const descriptors = Math.min(limit, most);
  return Math.max(16, Math.floor((descriptors - listeners - RESERVED_DESCRIPTORS) / 2));
}

/** For checks, logs, the stats socket, Node itself. */
const RESERVED_DESCRIPTORS = 100;

/** `LBPROXY_EXECUTOR=epoll` or `io_uring` forces one; `-de` (no epoll) leaves io_uring alone. */
export function executorFor(command: CommandLine): Executor | "auto" {
  const forced = process.env["LBPROXY_EXECUTOR"];
  if (forced === "epoll" || forced === "io_uring") return forced;
  return command.without.has("epoll") ? "io_uring" : "auto";
}
