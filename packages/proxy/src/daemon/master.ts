import { writeFileSync } from "node:fs";
import { constants } from "node:os";
import { openServiceNotifier, type ServiceNotifier } from "@ha/linux";
import type { Config } from "../core/config/model.ts";
import type { SourceFile } from "../core/config/preprocess.ts";
import { tellReady } from "./background.ts";
import type { BoundSocket } from "./bind-sockets.ts";
import type { CommandLine } from "./cli.ts";
import { bytesOf, configText } from "./config-text.ts";
import { removePidfile } from "./ending.ts";
import { signalOld } from "./handover.ts";
import type { HeldSockets } from "./held-sockets.ts";
import { bindMasterSockets, MasterCli } from "./master-cli.ts";
import { MasterPair } from "./pair/master-pair.ts";
import { takePairLine } from "./pair/pair-server.ts";
import { openRestartPace, type RestartPace } from "./restart-pace.ts";
import { numberProxies } from "./runtime-build.ts";
import { StartReport } from "./start-report.ts";
import { type WorkerEnd, WorkerProcess } from "./worker-process.ts";

/** A configuration that was read, checked, and can be served. */
export interface CheckedConfiguration {
  readonly config: Config;
  readonly files: readonly SourceFile[];
  /** Connections of a worker at once; for backlogs. */
  readonly maxconn: number;
}

/** What a master works with. */
export interface MasterOptions {
  readonly command: CommandLine;
  readonly first: CheckedConfiguration;
  readonly report: StartReport;
  /** With what a process before us has handed over. */
  readonly sockets: HeldSockets;
  /** Reads and checks the files anew; says what is wrong and gives undefined when they cannot be used. */
  readonly read: (report: StartReport) => Promise<CheckedConfiguration | undefined>;
  /** Descriptors that a configuration names (`fd@N`): workers get them under the same numbers. */
  readonly inherited: (config: Config) => readonly number[];
  /** What TLS tickets are made with, in base64: all workers have the same. */
  readonly ticketSecret: string;
}

/** How a reload went, and what was said. */
export interface ReloadResult {
  readonly success: boolean;
  readonly lines: readonly string[];
}

/**
 * Starts the master: workers serve, it holds their sockets, reloads, and replaces what crashes. Ends the process when
 * the first worker cannot start.
 */
export async function runMaster(options: MasterOptions): Promise<void> {
  const { command, report } = options;
  const sockets = await bindMasterSockets(command, report);
  if (sockets === undefined) process.exit(1);
  const master = new Master(options);
  const end = await master.start();
  if (end !== undefined) process.exit(end);
  for (const socket of sockets) new MasterCli(master, socket).listen();
}

/** HAProxy management guide §4 and §9.4. */
export class Master {
  readonly startedAt = performance.now();
  /** Reloads that went well, and those refused. */
  reloads = 0;
  failedReloads = 0;
  /** Of the newest start or reload. */
  startupLines: readonly string[] = [];
  readonly #options: MasterOptions;
  readonly #sockets: HeldSockets;
  readonly #notifier: ServiceNotifier;
  readonly #pace: RestartPace = openRestartPace();
  readonly #pair: MasterPair | undefined;
  #workers: WorkerProcess[] = [];
  #serving: CheckedConfiguration;
  /** Sockets of what is served: they stay open while no worker lives, too. */
  #served: ReadonlySet<number> = new Set();
  #bound: readonly BoundSocket[] = [];
  #reloading: Promise<ReloadResult> | undefined;
  #next: Promise<ReloadResult> | undefined;
  #isStopping = false;
  #exitCode: number | undefined;

  constructor(options: MasterOptions) {
    this.#options = options;
    this.#serving = options.first;
    this.#sockets = options.sockets;
    this.#notifier = options.command.notifySystemd
      ? openServiceNotifier()
      : openServiceNotifier({});
    const line = takePairLine();
    if (line !== undefined) {
      this.#pair = new MasterPair(
        line,
        () => this.#workers,
        () => this.#listeners(),
      );
    }
  }

  /** Living workers, the newest last. */
  get workers(): readonly WorkerProcess[] {
    return this.#workers;
  }

  /** The first worker; an exit code when it did not come up. A reload that is asked for meanwhile follows. */
  async start(): Promise<number | undefined> {
    const first = this.#startFirst();
    this.#reloading = first.then(() => {
      this.#reloading = undefined;
      return { success: true, lines: [] };
    });
    return first;
  }

  async #startFirst(): Promise<number | undefined> {
    const { command, report, first } = this.#options;
    this.#handleSignals();
    const sockets = this.#sockets.prepare(first.config, first.maxconn, report);
    if (sockets === undefined) return 1;
    const outcome = await this.#launch(first, sockets, report);
    this.startupLines = [...report.lines, ...outcome.worker.said];
    if (outcome.end !== undefined) return outcome.end.code === 0 ? 1 : outcome.end.code;
    if (this.#isStopping) return undefined;
    const pidfile = command.pidfile ?? first.config.global.pidfile;
    if (pidfile !== undefined) writeFileSync(bytesOf(configText(pidfile)), `${process.pid}\n`);
    this.#serve(first, outcome.worker);
    report.plain("NOTICE", "Loading success.");
    signalOld(command);
    this.#notifier.notify({ READY: 1, MAINPID: process.pid, STATUS: "Ready." });
    tellReady();
    return undefined;
  }

  /** USR2, HUP, and `reload`. One that comes while another is under way follows it: the file may have changed again. */
  reload(): Promise<ReloadResult> {
    const current = this.#reloading;
    if (current !== undefined) {
      this.#next ??= current.then(() => {
        this.#next = undefined;
        return this.reload();
      });
      return this.#next;
    }
    const run = this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    this.#reloading = run;
    return run;
  }

  async #reload(): Promise<ReloadResult> {
    const report = new StartReport(this.#options.command.quiet);
    report.plain("NOTICE", "Reloading HAProxy");
    this.#notifier.notify({
      RELOADING: 1,
      MONOTONIC_USEC: Number(process.hrtime.bigint() / 1000n),
      STATUS: "Reloading Configuration.",
    });
    const said: string[] = [];
    const success = await this.#replaceWorkers(report, said);
    report.plain(success ? "NOTICE" : "WARNING", success ? "Loading success." : "Loading failure!");
    if (success) this.reloads++;
    else this.failedReloads++;
    this.#notifier.notify({
      READY: 1,
      STATUS: success ? "Ready." : "Reload failed: the former configuration is served.",
    });
    this.startupLines = [...report.lines, ...said];
    return { success, lines: this.startupLines };
  }

  async #replaceWorkers(report: StartReport, said: string[]): Promise<boolean> {
    let checked: CheckedConfiguration | undefined;
    try {
      checked = await this.#options.read(report);
    } catch (error) {
      // Whatever a file can make of our reader, what serves goes on serving.
      report.say("ALERT", `config : internal error: ${String(error)}`);
    }
    if (checked === undefined || this.#isStopping) return false;
    const sockets = this.#sockets.prepare(checked.config, checked.maxconn, report);
    if (sockets === undefined) return false;
    const former = this.#workers.filter(({ isLeaving }) => !isLeaving);
    const { worker, end } = await this.#launch(checked, sockets, report);
    said.push(...worker.said);
    if (end !== undefined) {
      this.#sockets.keep(this.#served);
      return false;
    }
    for (const old of this.#workers) if (old !== worker) old.reloads++;
    const most = checked.config.global.maxReloads;
    for (const old of this.#workers) {
      if (old !== worker && most !== undefined && old.reloads > most) old.stop("SIGTERM");
    }
    for (const old of former) {
      old.softStop([...old.sockets].filter((fd) => !worker.sockets.has(fd)));
    }
    this.#serve(checked, worker);
    return true;
  }

  async #launch(
    { config, files }: CheckedConfiguration,
    sockets: ConstructorParameters<typeof WorkerProcess>[0]["sockets"],
    report: StartReport,
  ): Promise<{ readonly worker: WorkerProcess; readonly end: WorkerEnd | undefined }> {
    this.#bound = sockets;
    const fds = [...sockets.map(({ fd }) => fd), ...this.#options.inherited(config)];
    const worker = new WorkerProcess(
      { type: "start", files, sockets, ticketSecret: this.#options.ticketSecret },
      [...new Set(fds)],
    );
    this.#workers.push(worker);
    worker.onPairWord = (word) => this.#pair?.heard(worker, word);
    report.plain("NOTICE", `New worker (${worker.pid}) forked`);
    void worker.ended.then((end) => this.#ended(worker, end));
    const outcome = await worker.started;
    return { worker, end: outcome === "ready" ? undefined : outcome };
  }

  /** That worker serves from now on. Sockets that it has no use for are closed by those that had. */
  #serve(checked: CheckedConfiguration, worker: WorkerProcess): void {
    this.#serving = checked;
    this.#served = worker.sockets;
    this.#sockets.keep(worker.sockets);
    this.#pair?.ready(worker);
  }

  #ended(worker: WorkerProcess, { code, words }: WorkerEnd): void {
    this.#workers = this.#workers.filter((other) => other !== worker);
    this.#pair?.ended(worker);
    const { report } = this.#options;
    const kind = worker.reloads > 0 ? "Former" : "Current";
    const level = code === 0 || kind === "Former" ? "WARNING" : "ALERT";
    report.say(level, `${kind} worker (${worker.pid}) exited with code ${code} (${words})`);
    if (this.#isStopping) {
      if (this.#workers.length === 0) this.#exit(code);
      return;
    }
    if (worker.isLeaving || !worker.isReady) return;
    this.#pair?.crashed(worker, words);
    if (process.env["LBPROXY_EXIT_ON_FAILURE"] === "1") {
      report.say("ALERT", "exit-on-failure: killing every processes with SIGTERM");
      this.#exitCode = code === 0 ? 1 : code;
      this.#stopAll("SIGTERM");
      return;
    }
    void this.#replaceCrashed(performance.now() - worker.startedAt);
  }

  /** Clients wait in the backlog meanwhile: the sockets are ours. */
  async #replaceCrashed(livedMs: number): Promise<void> {
    const { report } = this.#options;
    for (let lived = livedMs; !this.#isStopping; lived = 0) {
      const delay = this.#pace.next(lived);
      report.say(
        "WARNING",
        `Starting another worker ${delay === 0 ? "at once" : `in ${delay} ms`}`,
      );
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
      await this.#reloading;
      // A reload has brought one meanwhile.
      if (this.#isStopping || this.#workers.some(({ isLeaving }) => !isLeaving)) return;
      const { config, maxconn } = this.#serving;
      const sockets = this.#sockets.prepare(config, maxconn, report);
      if (sockets === undefined) continue;
      const { end } = await this.#launch(this.#serving, sockets, report);
      if (end !== undefined) continue;
      const worker = this.#workers.findLast(({ isReady }) => isReady);
      if (worker !== undefined) this.#pair?.ready(worker);
      return;
    }
  }

  /** Of what is served, with the interfaces that they are bound to. */
  #listeners(): readonly { readonly fd: number; readonly device: string }[] {
    const proxies = numberProxies(this.#serving.config);
    return this.#bound
      .filter(({ fd }) => this.#served.has(fd))
      .map(({ frontend, bind, fd }) => ({
        fd,
        device: proxies[frontend]?.frontend?.binds[bind]?.interface ?? "",
      }));
  }

  #handleSignals(): void {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.on(signal, () => {
        this.#exitCode ??= 128 + constants.signals[signal];
        this.#stopAll("SIGTERM");
      });
    }
    process.on("SIGUSR1", () => this.#stopAll("soft"));
    for (const signal of ["SIGUSR2", "SIGHUP"] as const) {
      process.on(signal, () => void this.reload());
    }
    // What they tell or pause is the workers' own.
    for (const signal of ["SIGPIPE", "SIGQUIT", "SIGTTOU", "SIGTTIN"] as const) {
      process.on(signal, () => undefined);
    }
  }

  #stopAll(how: "SIGTERM" | "soft"): void {
    if (!this.#isStopping) {
      this.#options.report.say("WARNING", "Exiting Master process...");
      this.#notifier.notify({ STOPPING: 1 });
      this.#pair?.stopping();
    }
    this.#isStopping = true;
    if (this.#workers.length === 0) this.#exit(0);
    for (const worker of this.#workers) {
      if (how === "soft") worker.softStop([...worker.sockets]);
      else worker.stop("SIGTERM");
    }
    if (how === "soft") {
      // They close theirs when their backlogs are empty.
      this.#sockets.keep(new Set());
      return;
    }
    // A worker that hangs does not keep us.
    setTimeout(() => {
      for (const worker of this.#workers) worker.stop("SIGKILL");
    }, TERMINATION_LIMIT);
  }

  #exit(lastCode: number): never {
    const code = this.#exitCode ?? lastCode;
    this.#options.report.say("WARNING", `All workers exited. Exiting... (${code})`);
    const { command, first } = this.#options;
    removePidfile(command.pidfile ?? first.config.global.pidfile);
    process.exit(code);
  }
}

/** Milliseconds that a worker has between SIGTERM and SIGKILL. */
const TERMINATION_LIMIT = 1_000;
