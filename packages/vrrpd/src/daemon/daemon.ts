import { unlink } from "node:fs/promises";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { formatDiagnostic, type Micros, micros, seededRandom, type Timer } from "@ha/base";
import {
  enterNetworkNamespace,
  linuxTransport,
  openEchoListener,
  openLinkBeat,
  openPacketSocket,
  openRouteNetlink,
  openServiceNotifier,
  SystemError,
  setRealtimePriority,
} from "@ha/linux";
import type { LoadedConfig } from "../core/config/load.ts";
import type { Config, Globals, NotifyScript } from "../core/config/model.ts";
import { planReload } from "../core/config/reload-plan.ts";
import { AdvertBeacons } from "./advert-beacon.ts";
import { sayReady } from "./background.ts";
import type { CliOptions } from "./cli.ts";
import { linuxConfigHost } from "./config-host.ts";
import { whyUnreadable } from "./config-test.ts";
import { type ControlPaths, controlPaths } from "./control-paths.ts";
import { ControlPlane } from "./control-plane.ts";
import { catchSignals } from "./daemon-signals.ts";
import { digests } from "./digests.ts";
import { writeDump } from "./dump-file.ts";
import { Dumps } from "./dumps.ts";
import type { EarlySignals } from "./early-signals.ts";
import { ExitCode } from "./exit-code.ts";
import { GuardLink } from "./guard-link.ts";
import { HeldRecord, readBootId } from "./held-record.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import { openLog } from "./log-setup.ts";
import { MonotonicClock } from "./monotonic-clock.ts";
import { netlinkOptions } from "./netlink-options.ts";
import { type NotifyContext, scriptCommand } from "./notifier.ts";
import { NotifyFifo } from "./notify-fifo.ts";
import { describe, firstLines } from "./notify-queue.ts";
import { type PidFile, pidFilePaths, takePidFile } from "./pid-file.ts";
import { missingPrivileges } from "./privileges.ts";
import { Proxies } from "./proxies.ts";
import { readConfigAside } from "./read-aside.ts";
import { readConfig } from "./read-config.ts";
import { rehearseTakeover } from "./rehearsal.ts";
import { ReloadTime } from "./reload-time.ts";
import { Runtime } from "./runtime.ts";
import { SavedConfigs } from "./saved-configs.ts";
import { applyScheduling } from "./scheduling.ts";
import { type RunningScript, runScript } from "./script-runner.ts";
import { mailerOf } from "./smtp-alert.ts";
import type { DaemonStatus } from "./status.ts";
import { unservedKeywords } from "./unserved.ts";

/** Runs the daemon in this process until it is told to stop. Resolves to the exit status. */
export async function runDaemon(options: CliOptions, early: EarlySignals): Promise<number> {
  if (options.umask !== undefined) process.umask(options.umask);
  const first = await load(options);
  const log = await openLog(
    options,
    options.logFormat ?? first?.config.globals.log_format ?? "text",
  );
  const daemon = new Daemon(options, log, early);
  const verdict = await daemon.run(first);
  sayReady(process.env, verdict);
  await log.flush();
  return verdict;
}

function load(options: CliOptions): Promise<LoadedConfig | undefined> {
  return readConfig(options.configFile, {
    host: linuxConfigHost(),
    allIncludeChecks: options.allIncludeChecks,
    ...(options.configId === undefined ? {} : { configId: options.configId }),
  });
}

class Daemon {
  readonly #options: CliOptions;
  readonly #log: Log;
  readonly #early: EarlySignals;
  readonly #clock: MonotonicClock;
  readonly #service = openServiceNotifier();
  readonly #startedAt = Date.now();
  readonly #pidFiles: PidFile[] = [];
  readonly #bootId = readBootId();
  readonly #saved: SavedConfigs;
  #paths = pidFilePaths({ usePidDir: false });
  #runtime: Runtime | undefined;
  #notify: NotifyContext | undefined;
  #fifoScripts: RunningScript[] = [];
  #autoPriority = 0;
  #control: ControlPlane | undefined;
  #proxies: Proxies | undefined;
  #refusedReload: string | undefined;
  #reloading = false;
  #reloadAgain = false;
  #ending = false;
  #watchdog: Timer | undefined;
  #reloadTime: ReloadTime | undefined;
  #guard: GuardLink | undefined;
  #end: (() => void) | undefined;

  constructor(options: CliOptions, log: Log, early: EarlySignals) {
    this.#options = options;
    this.#early = early;
    this.#log = log;
    this.#saved = new SavedConfigs(log);
    this.#clock = new MonotonicClock((lateness) => this.#late(lateness));
  }

  async run(first: LoadedConfig | undefined): Promise<number> {
    const log = this.#log;
    process.on("uncaughtException", (error) => this.#crash(error));
    process.on("unhandledRejection", (error) => this.#crash(error));
    for (const option of this.#options.unsupported)
      log.warning(`option ${option} is not supported`);
    for (const line of this.#options.withoutEffect) log.warning(line);
    log.info(`Starting Keepalived v2.4.3 compatible vrrpd (Node.js ${process.version})`);
    log.info(`Running on Linux ${release()}`);
    log.info(
      `Command line: ${process.argv
        .slice(1)
        .map((word) => `'${word}'`)
        .join(" ")}`,
    );
    let loaded = first;
    if (loaded === undefined) {
      const { configFile } = this.#options;
      log.error(`Unable to find configuration file ${configFile}: ${whyUnreadable(configFile)}`);
      return ExitCode.noConfig;
    }
    const namespace = this.#options.namespace ?? loaded.config.globals.net_namespace;
    if (namespace !== undefined) {
      const problem = enterNetworkNamespace(namespace);
      if (problem !== undefined) {
        log.error(problem.message);
        return ExitCode.fatal;
      }
      // What interfaces there are is another question in here.
      loaded = (await load(this.#options)) ?? loaded;
    }
    log.info(`Configuration file ${this.#options.configFile}`);
    this.#tellFindings(loaded);
    if (loaded.refusesStart) {
      log.error("the configuration does not allow a start");
      return ExitCode.config;
    }
    const missing = missingPrivileges();
    if (missing.length > 0) {
      log.error(`vrrpd needs ${missing.join(" and ")}: run it as root, or grant them`);
      return ExitCode.permission;
    }
    const { config } = loaded;
    const running = this.#takePidFiles(config, namespace);
    if (running !== undefined) {
      log.error(`daemon is already running (pid ${running})`);
      return ExitCode.ok;
    }
    try {
      await this.#saved.configuration(loaded);
      return await this.#serve(config);
    } catch (error) {
      if (error instanceof SystemError && (error.code === "EPERM" || error.code === "EACCES")) {
        log.error(`${error.message}: vrrpd needs CAP_NET_ADMIN and CAP_NET_RAW`);
        return ExitCode.permission;
      }
      throw error;
    } finally {
      for (const file of this.#pidFiles) file.remove();
    }
  }

  async #serve(config: Config): Promise<number> {
    const { globals } = config;
    const log = this.#log;
    const ended = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
    const network = openRouteNetlink({
      onError: (error) => log.warning(`Netlink: ${error.message}`),
      ...netlinkOptions(config),
    });
    log.detail("Registering Kernel netlink reflector");
    if (globals.umask !== undefined && this.#options.umask === undefined) {
      process.umask(globals.umask);
    }
    for (const line of unservedKeywords(config)) log.warning(line);
    applyScheduling(globals, log);
    await this.#runOnce("startup_script", globals.startup_script, globals.startup_script_timeout);
    const guard = await this.#openGuard(config);
    const beacons = globals.vrrp_timer_thread ? new AdvertBeacons(log, this.#clock) : undefined;
    const record = globals.vrrp_address_record ? this.#openRecord() : undefined;
    await record?.removeForgotten(network, config);
    this.#notify = await this.#notifyContext(globals);
    const proxies = this.#openProxies(config);
    const control = this.#openControl(config, guard, proxies);
    const runtime: Runtime = new Runtime(config, {
      clock: this.#clock,
      utc: wallClock,
      random: seededRandom(process.pid ^ Date.now()),
      log,
      network,
      transport: linuxTransport,
      openAnnouncer: openPacketSocket,
      openEchoListener,
      openLinkBeat,
      digests,
      logAddresses: this.#options.logAddressChanges,
      proxyState: (name) => proxies.trackerState(name),
      notify: this.#notify,
      inheritedScripts: guard?.inheritedScripts ?? {},
      hooks: {
        onReport: (instance, report) => {
          control.onReport(instance, report);
          if (report.type !== "effective-priority") return;
          guard?.refresh(instance);
          beacons?.refresh(instance);
        },
        onHeld: (instance, held) => {
          if (!held) beacons?.stop(instance);
          guard?.onHeld(instance, held);
          record?.onHeld(instance, held);
        },
        beforeTimer: (instance) => beacons?.sync(instance),
        onSend: (instance, packet) => {
          if (packet.kind === "regular") {
            guard?.onAdvert(instance);
            record?.onAdvert(instance);
          }
          return beacons?.onSend(instance, packet) ?? false;
        },
        onChanged: (instance) => {
          guard?.refresh(instance);
          beacons?.refresh(instance);
        },
        prepare: (instance) => {
          instance.held.prepare();
          guard?.prepare(instance);
        },
        mayResume: (instance) => this.#mayResume(instance, guard, record),
        isKept: (instance) => guard?.isLeaving(instance) ?? false,
        inMaintenance: () => control.maintenance.record !== undefined,
        onPacket: (instance) => control.onPacket(instance),
        beforeUpdate: () => {
          if (this.#runtime !== undefined) control.beforeUpdate(this.#runtime);
        },
        onKernel: (kind, text) => control.note(kind, text),
      },
    });
    this.#runtime = runtime;
    const dumps = new Dumps(log, () => this.#status(runtime));
    catchSignals(
      {
        stop: (signal) => this.#stop(signal),
        reload: () => void this.#reload(),
        dumpData: () => dumps.write("data"),
        dumpStatistics: () => dumps.write("stats"),
        dumpAndClearStatistics: () => {
          dumps.write("stats");
          runtime.clearStatistics();
        },
        dumpJson: () => dumps.write("json"),
      },
      { ignoreInterrupt: this.#options.ignoreSigint },
    );
    this.#early.release();
    await proxies.apply(config.proxies);
    await runtime.start();
    guard?.settle(runtime.instances);
    await control.open(runtime);
    log.info("Startup complete");
    void rehearseTakeover({
      config,
      network,
      dispatch: runtime.dispatch,
      log,
      openAnnouncer: openPacketSocket,
      digests,
      utc: wallClock,
      onHeld: (instance) => guard?.rehearse(instance),
    });
    this.#service.notify({ READY: 1, MAINPID: guard?.pid ?? process.pid, STATUS: "running" });
    sayReady(process.env, ExitCode.ok);
    this.#feedWatchdog();
    if (this.#options.dumpConfigToLog) await this.#dumpToLog(runtime);
    this.#startFifoScripts(globals);
    this.#watchReloadTime(globals);
    await ended;
    this.#reloadTime?.close();

    log.info("Stopping");
    this.#service.notify({ STOPPING: 1 });
    const endDrain = await control.beforeStop(runtime);
    control.close();
    await runtime.stop({
      keepAddresses: this.#options.keepAddresses,
      limit: runtime.config.globals.child_wait_time,
    });
    beacons?.close();
    endDrain();
    // Last: whatever is under way is served to its end.
    await proxies.end(this.#options.keepProxies);
    for (const script of this.#fifoScripts) script.stop();
    await dumps.idle();
    if (!this.#options.keepAddresses) await record?.close();
    runtime.close();
    await guard?.close(ExitCode.ok);
    network.close();
    for (const fifo of this.#notify.fifos) fifo.close();
    this.#watchdog?.cancel();
    await this.#runOnce(
      "shutdown_script",
      runtime.config.globals.shutdown_script,
      runtime.config.globals.shutdown_script_timeout,
    );
    log.info("Stopped");
    return ExitCode.ok;
  }

  #watchReloadTime({ reload_time_file: file, reload_repeat: repeat }: Globals): void {
    this.#reloadTime?.close();
    if (file === undefined) return;
    this.#reloadTime = new ReloadTime(file, repeat, () => {
      this.#log.info("reload_time_file says that it is time");
      void this.#reload();
    });
  }

  /** What is of the process as a whole; what a running one cannot change is told by name. */
  #reloadGlobals(before: Config, after: Config): void {
    const { globals } = after;
    for (const { keyword, cost } of planReload(before, after).globals) {
      if (cost === "live") continue;
      this.#log.warning(`${keyword} has changed: it takes effect at the next start`);
    }
    applyScheduling(globals, this.#log, before.globals);
    if (globals.umask !== undefined && this.#options.umask === undefined) {
      process.umask(globals.umask);
    }
    const { reload_time_file: file, reload_repeat: repeat } = before.globals;
    if (file !== globals.reload_time_file || repeat !== globals.reload_repeat) {
      this.#watchReloadTime(globals);
    }
    this.#guard?.reconfigure();
  }

  /** `startup_script`, `shutdown_script`: waited for, up to their limit. */
  async #runOnce(kind: string, script: NotifyScript | undefined, limit: Micros): Promise<void> {
    if (script === undefined) return;
    // A daemon that the guard started again goes on, and does not begin.
    if (kind === "startup_script" && process.env["VRRPD_GUARD_FD"] !== undefined) return;
    const { outcome, output } = await runScript(scriptCommand(script, []), limit).done;
    const problem = describe(outcome);
    const said = firstLines(output);
    if (problem === undefined) this.#log.info(`${kind} succeeded`);
    else this.#log.warning(`${kind} ${problem}${said === "" ? "" : `: ${said}`}`);
  }

  /** `notify_fifo_script`: reads the FIFO whose name is its last argument; started anew by a reload. */
  #startFifoScripts(globals: Globals): void {
    for (const script of this.#fifoScripts) script.stop();
    this.#fifoScripts = [];
    for (const fifo of [globals.notify_fifo, globals.vrrp_notify_fifo]) {
      if (fifo?.script === undefined) continue;
      const running = runScript(scriptCommand(fifo.script, [fifo.path]), undefined);
      this.#fifoScripts.push(running);
      void running.done.then(({ outcome }) => {
        const problem = describe(outcome);
        if (problem !== undefined && outcome.type !== "signalled") {
          this.#log.warning(`the script that reads ${fifo.path} ${problem}`);
        }
      });
    }
  }

  /** `-d`. */
  async #dumpToLog(runtime: Runtime): Promise<void> {
    const { dataDump } = await import("./dump-text.ts");
    for (const line of dataDump(this.#status(runtime)).split("\n")) {
      if (line !== "") this.#log.info(line);
    }
  }

  async #openGuard(config: Config): Promise<GuardLink | undefined> {
    if (!config.globals.vrrp_guard || this.#options.keepAddresses) return undefined;
    const guard = new GuardLink(() => this.#runtime?.config ?? config, {
      clock: this.#clock,
      log: this.#log,
      respawn: this.#options.respawn,
      forwardSignals: this.#service.active,
      syslog: this.#options.syslog,
      bootId: this.#bootId,
      scripts: () => this.#runtime?.scriptVerdicts() ?? {},
    });
    await guard.open();
    this.#guard = guard;
    return guard;
  }

  #controlPaths({ globals }: Config): ControlPaths {
    return controlPaths({
      instance: globals.instance,
      namespace: this.#options.namespace ?? globals.net_namespace,
      pidFile: this.#options.vrrpPidFile ?? this.#options.pidFile,
    });
  }

  #openProxies(config: Config): Proxies {
    const proxies = new Proxies({
      stem: this.#controlPaths(config).proxies,
      bootId: this.#bootId,
      clock: this.#clock,
      log: this.#log,
      onReport: (text) => {
        this.#control?.note("tracker", text);
        this.#runtime?.recheck();
      },
      onEvent: (text) => this.#control?.note("proxy", text),
    });
    this.#proxies = proxies;
    return proxies;
  }

  #openControl(config: Config, guard: GuardLink | undefined, proxies: Proxies): ControlPlane {
    const control = new ControlPlane({
      paths: this.#controlPaths(config),
      proxies,
      clock: this.#clock,
      log: this.#log,
      configFile: this.#options.configFile,
      status: (runtime) => this.#status(runtime),
      guard: () => (guard === undefined ? "off" : guard.pid === undefined ? "missing" : "running"),
      load: (file) => this.#loadAside(file),
    });
    this.#control = control;
    return control;
  }

  #openRecord(): HeldRecord {
    return new HeldRecord({
      path: this.#paths.vrrp.replace(/(\.pid)?$/, ".held"),
      clock: this.#clock,
      log: this.#log,
      bootId: this.#bootId,
      monotonic,
    });
  }

  #mayResume(
    instance: InstanceRuntime,
    guard: GuardLink | undefined,
    record: HeldRecord | undefined,
  ): boolean {
    const inherited = guard?.inherited(instance);
    if (this.#runtime?.config.globals.vrrp_resume !== true) return false;
    if (inherited !== undefined && inherited.bootId === this.#bootId) {
      instance.router.continueFrom(inherited.sequences);
      return true;
    }
    return record?.takeResume(instance) ?? false;
  }

  #stop(signal: string): void {
    this.#log.detail(`${signal} received`);
    // Once more: it is meant.
    if (this.#ending) this.#control?.hurry();
    this.#ending = true;
    this.#end?.();
  }

  /** Reads and checks everything first; only what is good as a whole is applied. */
  async #reload(): Promise<void> {
    const runtime = this.#runtime;
    if (runtime === undefined) return;
    if (this.#reloading) {
      this.#reloadAgain = true;
      return;
    }
    this.#reloading = true;
    do {
      this.#reloadAgain = false;
      await this.#reloadOnce(runtime);
    } while (this.#reloadAgain);
    this.#reloading = false;
  }

  async #reloadOnce(runtime: Runtime): Promise<void> {
    const log = this.#log;
    log.info("Reloading ...");
    this.#service.notify({
      RELOADING: 1,
      MONOTONIC_USEC: String(process.hrtime.bigint() / 1_000n),
    });
    log.reopen();
    const reading = reloadFile(runtime.config.globals, this.#paths.parent);
    if (reading !== undefined) await writeDump(reading, "").catch(() => {});
    const loaded = await this.#loadAside();
    if (reading !== undefined) await unlink(reading).catch(() => {});
    const keepOnError = runtime.config.globals.vrrp_reload_keep_on_error;
    const problem =
      loaded === undefined
        ? `configuration file ${this.#options.configFile}: ${whyUnreadable(this.#options.configFile)}`
        : loaded.refusesStart || (keepOnError && loaded.hasErrors)
          ? "errors in the configuration"
          : undefined;
    if (loaded !== undefined) {
      this.#tellFindings(loaded);
      await this.#saved.findings(runtime.config.globals.reload_check_config, loaded);
    }
    if (loaded === undefined || problem !== undefined) {
      this.#refusedReload = problem ?? "";
      this.#control?.reloaded(this.#refusedReload);
      log.error(`Reload refused, the old configuration stays in force: ${problem}`);
      this.#service.notify({ READY: 1, STATUS: `reload refused: ${problem}` });
      return;
    }
    const { globals } = loaded.config;
    const before = this.#notify;
    this.#notify = await this.#notifyContext(globals, before);
    for (const line of unservedKeywords(loaded.config)) log.warning(line);
    // Before the instances that track them.
    await this.#proxies?.apply(loaded.config.proxies);
    const { config_save_dir: folder } = globals;
    this.#saved.reloading();
    await this.#saved.configuration(loaded);
    const { dataDump } = await import("./dump-text.ts");
    const dump = (): string => dataDump(this.#status(runtime));
    await this.#saved.state(folder, "pre", dump);
    const old = runtime.config;
    await runtime.reload(loaded.config, this.#notify);
    this.#reloadGlobals(old, loaded.config);
    await this.#saved.state(folder, "post", dump);
    for (const fifo of before?.fifos ?? []) {
      if (!this.#notify.fifos.includes(fifo)) fifo.close();
    }
    this.#startFifoScripts(globals);
    this.#refusedReload = undefined;
    this.#control?.reloaded();
    log.info("Reload complete");
    this.#service.notify({ READY: 1, STATUS: "running" });
  }

  async #loadAside(file = this.#options.configFile): Promise<LoadedConfig | undefined> {
    const { configId, allIncludeChecks } = this.#options;
    try {
      return await readConfigAside({ file, configId, allIncludeChecks });
    } catch (error) {
      this.#log.warning(`cannot read the configuration aside: ${String(error)}`);
      return load({ ...this.#options, configFile: file });
    }
  }

  #tellFindings({ diagnostics }: LoadedConfig): void {
    for (const diagnostic of diagnostics) {
      const text = formatDiagnostic(diagnostic).replaceAll("\n", " ");
      if (diagnostic.severity === "error") this.#log.error(text);
      else if (diagnostic.severity === "warning") this.#log.warning(text);
      else this.#log.info(text);
    }
  }

  /** @returns the PID of the daemon that runs already. */
  #takePidFiles(
    { globals, bfd_instances }: Config,
    namespace: string | undefined,
  ): number | undefined {
    this.#paths = pidFilePaths({
      parent: this.#options.pidFile,
      vrrp: this.#options.vrrpPidFile,
      instance: globals.instance,
      namespace,
      usePidDir: globals.use_pid_dir,
    });
    // keepalived has a process for BFD, whose file others may look for: it is this process's.
    const { bfdPidFile } = this.#options;
    const bfd = bfdPidFile === undefined || bfd_instances.length === 0 ? [] : [bfdPidFile];
    for (const path of new Set([this.#paths.parent, this.#paths.vrrp, ...bfd])) {
      const result = takePidFile(path);
      if (result.type === "running") return result.pid;
      if (result.type === "ours") this.#pidFiles.push(result.file);
      else this.#log.warning(`cannot write PID file ${path}: ${result.reason}`);
    }
    return undefined;
  }

  async #notifyContext(globals: Globals, before?: NotifyContext): Promise<NotifyContext> {
    const log = this.#log;
    const fifos: NotifyFifo[] = [];
    for (const settings of [globals.notify_fifo, globals.vrrp_notify_fifo]) {
      if (settings === undefined) continue;
      const { path, uid, gid } = settings;
      const owner = uid === undefined || gid === undefined ? undefined : { uid, gid };
      const fifo =
        before?.fifos.find((open) => open.path === path) ??
        (await NotifyFifo.open(path, owner, log));
      if (fifo !== undefined) fifos.push(fifo);
    }
    return {
      log,
      routerId: globals.router_id,
      fifos,
      mailer: mailerOf(globals, log),
      mailFaults: !globals.no_email_faults,
      limit: globals.vrrp_notify_timeout,
      serialize: globals.vrrp_notify_serialize,
    };
  }

  /** Our own mistake: the guard starts a clean process in our place. */
  #crash(error: unknown): never {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.error(`internal error, ending: ${text.replaceAll("\n", " | ")}`);
    this.#log.flushSync();
    process.exit(ExitCode.software);
  }

  /** `max_auto_priority`: a timer that was very late raises our scheduling class, one step at a time. */
  #late(lateness: Micros): void {
    const globals = this.#runtime?.config.globals;
    if (globals === undefined || globals.max_auto_priority <= this.#autoPriority) return;
    if (lateness < globals.min_auto_priority_delay || globals.vrrp_rt_priority !== undefined)
      return;
    this.#autoPriority++;
    const problem = setRealtimePriority(this.#autoPriority);
    if (problem === undefined) {
      this.#log.notice(`a timer was ${lateness} us late: real-time priority ${this.#autoPriority}`);
    } else this.#log.warning(problem.message);
  }

  /** By the clock of the protocol, so that a loop that stands still feeds nobody. */
  #feedWatchdog(): void {
    const { watchdogMs } = this.#service;
    if (watchdogMs === undefined) return;
    this.#service.notify({ WATCHDOG: 1 });
    this.#watchdog = this.#clock.after(micros(watchdogMs * 1_000), () => this.#feedWatchdog());
  }

  #status(runtime: Runtime): DaemonStatus {
    const { fired, stalls, worst } = this.#clock.lateness;
    return {
      pid: process.pid,
      startedAt: this.#startedAt,
      configFile: this.#options.configFile,
      refusedReload: this.#refusedReload,
      timers: { fired, stalls, worst },
      ...runtime.status(),
    };
  }
}

/** Microseconds since 1970. */
function wallClock(): Micros {
  return micros((performance.timeOrigin + performance.now()) * 1_000);
}

/** CLOCK_MONOTONIC, which processes share. */
function monotonic(): Micros {
  return micros(Number(process.hrtime.bigint() / 1_000n));
}

/** `reload_file`: there while the configuration is being read, so that a generator can wait. */
function reloadFile({ reload_file: file }: Globals, pidFile: string): string | undefined {
  if (file === false) return undefined;
  return file === true ? join(dirname(pidFile), "keepalived.reload") : file;
}
