import type { Clock } from "@ha/base";
import { formatAddress, type Micros, micros, milliseconds, seconds, type Timer } from "@ha/base";
import type { LoadedConfig } from "../core/config/load.ts";
import type { Report } from "../core/report.ts";
import type { ControlPaths } from "./control-paths.ts";
import type { ControlRequest } from "./control-protocol.ts";
import { type Asker, ControlProblem, ControlSocket } from "./control-socket.ts";
import { decisiveEvent } from "./decisive-event.ts";
import { DrainedPreemption } from "./drained-preemption.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import { Journal, type JournalEntry, type JournalKind, type Transition } from "./journal.ts";
import type { Log } from "./log.ts";
import { Maintenance, type MaintenanceRecord } from "./maintenance.ts";
import { metricsText } from "./metrics.ts";
import { MetricsEndpoint } from "./metrics-endpoint.ts";
import { type AskHost, checkPeers, type InstanceCheck } from "./peer-check.ts";
import { PlannedMove, type PlannedOutcome } from "./planned-move.ts";
import type { Proxies } from "./proxies.ts";
import type { ProxyReport } from "./proxy/proxy-report.ts";
import { vrrpView } from "./proxy/vrrp-view.ts";
import { previewReload, type ReloadPreview } from "./reload-preview.ts";
import { reportLines } from "./report-log.ts";
import type { Runtime } from "./runtime.ts";
import { StandingAside } from "./standing-aside.ts";
import type { DaemonStatus } from "./status.ts";
import { type StatusReport, statusReport } from "./status-report.ts";
import { type HandoverOutcome, Switchover } from "./switchover.ts";
import { TrackerWatch } from "./tracker-watch.ts";

export interface ControlPlaneOptions {
  readonly paths: ControlPaths;
  readonly proxies: Proxies;
  readonly clock: Clock;
  readonly log: Log;
  readonly status: (runtime: Runtime) => DaemonStatus;
  readonly configFile: string;
  readonly guard: () => StatusReport["guard"];
  /** Reads a configuration as a reload does; the daemon's own when no file is named. */
  readonly load: (file: string | undefined) => Promise<LoadedConfig | undefined>;
}

/** `vrrpctl why --json`. */
export interface WhyAnswer {
  /** Undefined: nothing has changed its state since the journal began. */
  readonly transition?: Transition;
  /** What came in before it, oldest first. */
  readonly before: readonly JournalEntry[];
  /** When the journal began. */
  readonly since: number;
}

/** For `vrrpctl support`. */
export interface SupportAnswer {
  readonly version: string;
  readonly status: StatusReport;
  readonly entries: readonly JournalEntry[];
  readonly transitions: readonly Transition[];
  /** Configuration files. */
  readonly files: readonly string[];
}

/** `vrrpctl maintenance --json`. */
export interface MaintenanceAnswer {
  readonly on: boolean;
  readonly record?: MaintenanceRecord;
  /** What became of the instances that were master. */
  readonly outcomes: readonly PlannedOutcome[];
  readonly warning?: string;
}

/** Everything by which an operator asks the daemon, or tells it what to do while it runs. */
export class ControlPlane {
  readonly journal = new Journal();
  readonly maintenance: Maintenance;
  readonly #options: ControlPlaneOptions;
  readonly #switchover: Switchover;
  readonly #moves: PlannedMove;
  readonly #preemption: DrainedPreemption;
  readonly #proxies: Proxies;
  readonly #aside: StandingAside;
  readonly #watch = new TrackerWatch();
  readonly #metrics: MetricsEndpoint;
  readonly #since = Date.now();
  #runtime: Runtime | undefined;
  #shows: Timer | undefined;
  #socket: ControlSocket | undefined;
  #lastReload: StatusReport["lastReload"];

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
    const { clock, log, paths } = options;
    this.#aside = new StandingAside(paths.switchover, log);
    this.#switchover = new Switchover(clock, (instance) => this.#aside.end(instance));
    this.#proxies = options.proxies;
    this.#moves = new PlannedMove({
      clock,
      log,
      proxies: options.proxies,
      switchover: this.#switchover,
      note: (text) => this.journal.note("proxy", text),
    });
    this.#preemption = new DrainedPreemption({
      clock,
      log,
      moves: this.#moves,
      instances: () => this.#runtime?.instances ?? [],
      endAside: (instance) => this.#aside.end(instance),
      note: (text) => this.journal.note("control", text),
    });
    this.maintenance = new Maintenance({
      path: paths.maintenance,
      clock,
      log,
      onEnd: () => {
        this.journal.note("control", "the time of the maintenance is over");
        this.#returnToService();
      },
    });
    this.#metrics = new MetricsEndpoint(log, (names) => metricsText(this.#status(), names));
    this.journal.note("start", "vrrpd started");
  }

  /** From here on it answers. */
  async open(runtime: Runtime): Promise<void> {
    const { paths, log } = this.#options;
    this.#runtime = runtime;
    this.#metrics.listen(runtime.config.globals.vrrp_metrics);
    this.#preemption.configure(runtime.config);
    this.#showProxies();
    this.#socket = await ControlSocket.open({
      path: paths.socket,
      log,
      answer: (request, asker) => this.#answer(request, asker),
    });
  }

  close(): void {
    this.#socket?.close();
    this.#metrics.close();
    this.#shows?.cancel();
    this.#preemption.close();
    this.maintenance.close();
  }

  /**
   * Before the daemon stops: the proxies of what it holds finish what is under way. What is returned ends the drain,
   * once the addresses are gone.
   */
  beforeStop(runtime: Runtime): Promise<() => void> {
    return this.#moves.beforeStop(runtime.instances);
  }

  /** Told to stop once more: nobody is waited for. */
  hurry(): void {
    this.#moves.hurry();
  }

  /** @param problem Why the reload was refused. */
  reloaded(problem?: string): void {
    this.#lastReload = { at: Date.now(), ...(problem === undefined ? {} : { problem }) };
    this.journal.note("reload", problem === undefined ? "reloaded" : `reload refused: ${problem}`);
    this.#metrics.listen(this.#runtime?.config.globals.vrrp_metrics);
    if (this.#runtime !== undefined) this.#preemption.configure(this.#runtime.config);
  }

  note(kind: JournalKind, text: string): void {
    this.journal.note(kind, text);
  }

  /** Called before the instances learn what has become of their trackers. */
  beforeUpdate(runtime: Runtime): void {
    for (const { text } of this.#watch.changes(runtime.trackers))
      this.journal.note("tracker", text);
  }

  onPacket(instance: InstanceRuntime): void {
    this.journal.heard(instance.name, instance.router.statistics.latest);
    this.#preemption.onPacket(instance);
  }

  onReport(instance: InstanceRuntime, report: Report): void {
    this.#record(instance, report);
    if (report.type === "state" || report.type === "effective-priority") this.#showSoon();
    this.#aside.onReport(instance, report);
    this.#switchover.onReport(instance, report);
    this.#preemption.onReport(instance, report);
  }

  #record(instance: InstanceRuntime, report: Report): void {
    const { journal } = this;
    const { name } = instance;
    switch (report.type) {
      case "refused":
        journal.refused(name, report.reason, report.from);
        break;
      case "state":
        journal.transition({
          instance: name,
          from: report.from,
          to: report.to,
          why: report.why,
          because: decisiveEvent(instance, report, journal, this.#options.clock.now()),
        });
        break;
      case "effective-priority": {
        const cause = journal.last(name, 1_000, ({ kind }) => PRIORITY_CAUSES.has(kind))?.text;
        const { from, to } = report;
        const text = `effective priority ${from} → ${to}`;
        const said = cause === undefined ? text : `${cause}: ${text}`;
        journal.note("priority", said, name, { from, to });
        break;
      }
      case "winner-heard":
        journal.note("advert", `${formatAddress(report.winner)} takes over`, name);
        break;
      default: {
        const [line] = reportLines(report, {
          name,
          priority: instance.effectivePriority,
          master: instance.master,
        });
        if (line === undefined) break;
        const kind = KINDS[report.type] ?? "address";
        const text = line.message.replace(/^\(.*?\) /, "");
        if (kind === "state") journal.note(kind, text, name);
        else journal.repeated(kind, text, name);
      }
    }
  }

  /** The proxies' statistics pages show us: every second, and at once when a state has changed. */
  #showProxies(): void {
    this.#shows?.cancel();
    const { fleet } = this.#proxies;
    if (fleet !== undefined && this.#runtime !== undefined) {
      fleet.show(vrrpView(this.#status(), this.journal.transitions));
    }
    this.#shows = this.#options.clock.after(SHOW_PAUSE, () => this.#showProxies());
  }

  #showSoon(): void {
    if (this.#shows === undefined) return;
    this.#shows.cancel();
    // After what is under way: nothing waits for a page.
    this.#shows = this.#options.clock.after(SHOW_SOON, () => this.#showProxies());
  }

  #status(): StatusReport {
    const { clock, guard, status } = this.#options;
    return statusReport({
      status: status(this.#running),
      instances: this.#running.instances,
      now: clock.now(),
      lastReload: this.#lastReload,
      maintenance: this.maintenance.record,
      guard: guard(),
      proxies: this.#proxies.reports(),
    });
  }

  get #running(): Runtime {
    if (this.#runtime === undefined) throw new ControlProblem("vrrpd is still starting");
    return this.#runtime;
  }

  #answer(request: ControlRequest, asker: Asker): unknown {
    switch (request.command) {
      case "status":
        return this.#status();
      case "why":
        return this.#why(request);
      case "switchover":
        return this.#switchOver(request, asker);
      case "maintenance":
        return request.on ? this.#beginMaintenance(request, asker) : this.#endMaintenance(asker);
      case "check-peers":
        return this.#checkPeers(request.instances);
      case "metrics":
        return metricsText(this.#status(), request.names);
      case "plan":
        return this.#plan(request.file);
      case "proxy":
        return this.#proxy(request, asker);
      case "support":
        return this.#support();
    }
  }

  #why({ instance, at }: ControlRequest & { readonly command: "why" }): WhyAnswer {
    if (instance !== undefined) this.#find([instance]);
    const { entries, transitions } = this.journal;
    const fits = (change: Transition): boolean =>
      (instance === undefined || change.instance === instance) &&
      // A time is written to the second, or to the minute, in which it happened.
      (at === undefined || change.at <= at);
    const transition = transitions.findLast(fits);
    if (transition === undefined) return { before: [], since: this.#since };
    const before = entries.filter(
      (entry) =>
        entry.at <= transition.at &&
        entry.until >= transition.at - SHOWN_BEFORE &&
        (entry.instance ?? transition.instance) === transition.instance,
    );
    return { transition, before: before.slice(-SHOWN_ENTRIES), since: this.#since };
  }

  async #switchOver(
    {
      instances: names,
      back,
      timeout,
      drainTimeout,
    }: ControlRequest & { readonly command: "switchover" },
    asker: Asker,
  ): Promise<readonly PlannedOutcome[]> {
    const limit = micros(timeout * 1_000);
    const instances = this.#find(names);
    this.#tell(asker, back ? "switchover --back" : "switchover");
    if (back) return this.#back(instances, limit);
    const drainLimit = drainTimeout === undefined ? undefined : micros(drainTimeout * 1_000);
    return this.#moves.away(instances, { timeout: limit, drainLimit });
  }

  #back(instances: readonly InstanceRuntime[], limit: Micros): Promise<readonly HandoverOutcome[]> {
    return Promise.all(
      instances.map((instance) =>
        this.#switchover.back(instance, limit, (master) =>
          this.#preemption.invite(instance, master),
        ),
      ),
    );
  }

  async #beginMaintenance(
    { for: duration, force }: ControlRequest & { readonly command: "maintenance" },
    asker: Asker,
  ): Promise<MaintenanceAnswer> {
    const running = this.#running;
    const masters = running.instances.filter(({ router }) => router.state.name === "master");
    this.#tell(asker, "maintenance on");
    const outcomes = force
      ? []
      : await this.#moves.away(masters, { timeout: micros(0), drainLimit: undefined });
    const kept = outcomes.filter(({ result }) => result === "nobody-came");
    if (kept.length > 0) {
      // All or nothing: what did move may come back.
      for (const instance of masters) this.#aside.end(instance);
      return { on: false, outcomes };
    }
    const warning = await this.maintenance.begin(duration);
    running.recheck();
    const { record } = this.maintenance;
    return {
      on: true,
      outcomes,
      ...(record === undefined ? {} : { record }),
      ...(warning === undefined ? {} : { warning }),
    };
  }

  async #endMaintenance(asker: Asker): Promise<MaintenanceAnswer> {
    this.#tell(asker, "maintenance off");
    await this.maintenance.end();
    this.#returnToService();
    return { on: false, outcomes: [] };
  }

  /** The switchover at its beginning is over with it. */
  #returnToService(): void {
    for (const instance of this.#runtime?.instances ?? []) this.#aside.end(instance);
    this.#runtime?.recheck();
  }

  #checkPeers(names: readonly string[]): Promise<readonly InstanceCheck[]> {
    const running = this.#running;
    const now = this.#options.clock.now();
    // Many instances have the same peer.
    const asked = new Map<string, ReturnType<AskHost>>();
    const ask: AskHost = (address, device) => {
      const key = `${formatAddress(address)} ${device}`;
      const answer = asked.get(key) ?? running.hostLives(address, device);
      asked.set(key, answer);
      return answer;
    };
    return Promise.all(this.#find(names).map((instance) => checkPeers(instance, now, ask)));
  }

  async #plan(file: string | undefined): Promise<ReloadPreview> {
    const name = file ?? this.#options.configFile;
    const loaded = await this.#options.load(file);
    if (loaded === undefined) throw new ControlProblem(`there is no file ${name}`);
    return previewReload(name, loaded, this.#running);
  }

  async #proxy(
    { action, names }: ControlRequest & { readonly command: "proxy" },
    asker: Asker,
  ): Promise<readonly ProxyReport[]> {
    const runners = this.#proxies.fleet?.runners ?? [];
    const unknown = names.find((name) => runners.every(({ program }) => program.name !== name));
    if (unknown !== undefined || runners.length === 0) {
      const known = runners.map(({ program }) => program.name).join(", ");
      throw new ControlProblem(
        runners.length === 0
          ? "there are no proxies in the configuration"
          : `there is no proxy ${unknown}: there is ${known}`,
      );
    }
    const chosen = runners.filter(
      ({ program }) => names.length === 0 || names.includes(program.name),
    );
    this.#tell(asker, `proxy ${action} ${chosen.map(({ program }) => program.name).join(" ")}`);
    await Promise.all(
      chosen.map(async (runner) => {
        if (action === "reload") runner.reload();
        if (action === "stop" || action === "restart") await runner.stop();
        if (action === "start" || action === "restart") runner.startAgain();
      }),
    );
    return this.#proxies.reports();
  }

  #support(): SupportAnswer {
    const { entries, transitions } = this.journal;
    const { proxies } = this.#running.config;
    return {
      version: `vrrpd 0.1.0, Node.js ${process.version}`,
      status: this.#status(),
      entries,
      transitions,
      files: [this.#options.configFile, ...proxies.flatMap(({ config }) => config)],
    };
  }

  /** By name, with what moves along with them; all when none is named. */
  #find(names: readonly string[]): readonly InstanceRuntime[] {
    const { instances } = this.#running;
    if (names.length === 0) return instances;
    const unknown = names.find((name) => !instances.some((instance) => instance.name === name));
    if (unknown !== undefined) {
      const known = instances.map(({ name }) => name).join(", ");
      throw new ControlProblem(`there is no instance ${unknown}: there is ${known}`);
    }
    const groups = new Set(
      instances
        .filter(({ name }) => names.includes(name))
        .flatMap(({ config: { sync_group } }) => sync_group ?? []),
    );
    return instances.filter(
      ({ name, config: { sync_group } }) =>
        names.includes(name) || (sync_group !== undefined && groups.has(sync_group)),
    );
  }

  #tell({ uid, pid }: Asker, what: string): void {
    const text = `${what}, asked for by user ${uid} (process ${pid})`;
    this.#options.log.notice(text);
    this.journal.note("control", text);
  }
}

const PRIORITY_CAUSES = new Set<JournalKind>(["tracker", "link", "reload", "control"]);

const KINDS: Partial<Record<Report["type"], JournalKind>> = {
  late: "timer",
  fault: "fault",
  "split-brain": "fault",
  "split-brain-over": "fault",
  "witness-unreachable": "fault",
  "held-by-group": "timer",
  "master-changed": "advert",
  "lower-priority-advert": "advert",
  "addresses-differ": "advert",
  "interval-adopted": "advert",
  "two-owners": "advert",
  leaving: "state",
  left: "state",
  "took-back": "state",
  resigned: "state",
  "address-restored": "netlink",
  "address-flapping": "netlink",
};

const SHOW_PAUSE = seconds(1);
const SHOW_SOON = milliseconds(20);

/** Milliseconds before a transition that `why` shows, and how many entries of them at most. */
const SHOWN_BEFORE = 15_000;
const SHOWN_ENTRIES = 40;
