import type { Report } from "../core/report.ts";
import type { StateName } from "../core/state.ts";
import type { GroupRuntime } from "./group-runtime.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import type { LogLimiter } from "./log-limiter.ts";
import { Notifier, type NotifyContext, type NotifyState } from "./notifier.ts";
import { reportLines } from "./report-log.ts";

/** Tells people and programs what the routers report: log lines, notify scripts, FIFOs, mails. */
export class Narrator {
  readonly #log: Log;
  readonly #limiter: LogLimiter;
  /** Whom to tell, and how; a reload may change it. */
  context: NotifyContext;
  readonly #notifiers = new Map<string, Notifier>();
  /** From now on states are told by `stopped` only. */
  quiet = false;

  constructor(log: Log, limiter: LogLimiter, context: NotifyContext) {
    this.#log = log;
    this.#limiter = limiter;
    this.context = context;
  }

  /** Makes or changes the notifier of an instance or group. */
  set(settings: Notifier["settings"]): void {
    const key = `${settings.kind} ${settings.name}`;
    const known = this.#notifiers.get(key);
    if (known === undefined) this.#notifiers.set(key, new Notifier(settings, () => this.context));
    else known.settings = settings;
  }

  forget(kind: "INSTANCE" | "GROUP", name: string): void {
    this.#notifiers.delete(`${kind} ${name}`);
  }

  of(kind: "INSTANCE" | "GROUP", name: string): Notifier | undefined {
    return this.#notifiers.get(`${kind} ${name}`);
  }

  /** Resolves when all scripts have ended, or their second is over. */
  async finish(limit: Parameters<Notifier["finish"]>[0]): Promise<void> {
    await Promise.all([...this.#notifiers.values()].map((notifier) => notifier.finish(limit)));
  }

  report(instance: InstanceRuntime, report: Report, group: GroupRuntime | undefined): void {
    const context = {
      name: instance.name,
      priority: instance.effectivePriority,
      master: instance.master,
    };
    if (report.type === "refused") {
      // A peer can send these by the thousand: the line is made only if it is written.
      const family = `${instance.name} ${report.reason}`;
      const kind = `${family} ${report.from.bytes.join(".")}`;
      this.#limiter.write(kind, () => reportLines(report, context)[0]?.message ?? "", family);
      return;
    }
    // A script without a result yet is shown as a fault, and not announced as one.
    const waiting =
      report.type === "state" &&
      report.to === "fault" &&
      instance.router.faults.every(({ type }) => type === "not-checked-yet");
    const quiet =
      waiting ||
      (report.type === "fault" && report.reasons.every(({ type }) => type === "not-checked-yet"));
    if (!quiet) {
      for (const { level, message, fields, limited } of reportLines(report, context)) {
        if (limited === undefined) this.#log[level](message, fields);
        else this.#limiter.write(limited, message);
      }
    }
    if (!waiting) this.#notify(instance, report, group);
  }

  /** `fifo_write_vrrp_states_on_reload`. */
  repeatState(instance: InstanceRuntime): void {
    const state = NOTIFIED[instance.router.state.name];
    if (state !== undefined) {
      this.of("INSTANCE", instance.name)?.repeatState(state, instance.effectivePriority);
    }
  }

  #notify(instance: InstanceRuntime, report: Report, group: GroupRuntime | undefined): void {
    const notifier = this.of("INSTANCE", instance.name);
    const priority = instance.effectivePriority;
    switch (report.type) {
      case "state": {
        const state = NOTIFIED[report.to];
        if (state === undefined || this.quiet) break;
        notifier?.state(state, priority);
        if (group !== undefined) this.#notifyGroup(group);
        break;
      }
      case "lower-priority-advert":
        if (instance.router.state.name === "master") notifier?.lowerPriorityHeard(priority);
        break;
      case "effective-priority": {
        const { name } = instance.router.state;
        if (name === "master") notifier?.priorityChanged("MASTER_PRIORITY", report.to);
        else if (name === "backup") notifier?.priorityChanged("BACKUP_PRIORITY", report.to);
        break;
      }
      default:
        break;
    }
  }

  #notifyGroup(group: GroupRuntime): void {
    const state = group.newState();
    const word = state === undefined ? undefined : NOTIFIED[state];
    if (word === undefined) return;
    this.#log.info(`VRRP_Group(${group.name}) Syncing instances to ${word} state`);
    this.of("GROUP", group.name)?.state(word, 0);
  }
}

const NOTIFIED: Readonly<Record<StateName, NotifyState | undefined>> = {
  initialize: undefined,
  backup: "BACKUP",
  master: "MASTER",
  fault: "FAULT",
};
