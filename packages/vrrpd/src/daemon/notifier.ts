import type { Micros } from "@ha/base";
import type { Notify, NotifyScript } from "@ha/vrrpd/core";
import type { Log } from "./log.ts";
import { type FifoKind, fifoLine, type NotifyFifo } from "./notify-fifo.ts";
import { type Notification, NotifyQueue } from "./notify-queue.ts";
import { runScript, type ScriptCommand } from "./script-runner.ts";
import { type Mailer, stateMail } from "./smtp-alert.ts";

/** The states that scripts, FIFOs and mails are told of, as keepalived names them. */
export type NotifyState = "MASTER" | "BACKUP" | "FAULT" | "STOP" | "DELETED";

export type NotifyEvent =
  | NotifyState
  | "MASTER_RX_LOWER_PRI"
  /** The effective priority changed, told to FIFOs with `notify_priority_changes`. */
  | "MASTER_PRIORITY"
  | "BACKUP_PRIORITY";

/** What is shared by all instances and groups. */
export interface NotifyContext {
  readonly log: Log;
  readonly routerId: string;
  readonly fifos: readonly NotifyFifo[];
  readonly mailer: Mailer | undefined;
  /** `no_email_faults`. */
  readonly mailFaults: boolean;
  /** Longest run of one script; 0 for none. */
  readonly limit: Micros;
  /** Off: all scripts at once, as keepalived starts them. */
  readonly serialize: boolean;
}

/** What one instance or group wants to be told, and how. */
export interface NotifySettings {
  readonly kind: FifoKind;
  readonly name: string;
  readonly notify: Notify;
  readonly smtpAlert: boolean;
  readonly priorityChanges: boolean;
}

/** Tells scripts, FIFOs and mail readers what became of one instance or group. keepalived.conf(5), notify. */
export class Notifier {
  settings: NotifySettings;
  /** Asked each time, since a reload changes it. */
  readonly #context: () => NotifyContext;
  readonly #queue: NotifyQueue;
  #mailed: NotifyState | undefined;

  constructor(settings: NotifySettings, context: () => NotifyContext) {
    this.settings = settings;
    this.#context = context;
    this.#queue = new NotifyQueue(settings.name, context().log, () => context().limit);
  }

  /** @param priority The effective one; a group's is 0. */
  state(state: NotifyState, priority: number): void {
    this.#fifo(state, priority);
    this.#scripts(state, priority);
    this.#mail(state);
  }

  /** To FIFOs only: `fifo_write_vrrp_states_on_reload`. */
  repeatState(state: NotifyState, priority: number): void {
    this.#fifo(state, priority);
  }

  /** As master, another master of lower priority was heard: addresses may have to be claimed again. */
  lowerPriorityHeard(priority: number): void {
    this.#fifo("MASTER_RX_LOWER_PRI", priority);
    const { master_rx_lower_pri: script } = this.settings.notify;
    if (script !== undefined) {
      this.#run([notification("notify_master_rx_lower_pri", script, [])]);
    }
  }

  priorityChanged(event: "MASTER_PRIORITY" | "BACKUP_PRIORITY", priority: number): void {
    if (this.settings.priorityChanges) this.#fifo(event, priority);
  }

  /** Resolves when its scripts have ended, or after `limit`, when they are ended. */
  async finish(limit: Micros): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      this.#queue.idle(),
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, limit / 1_000);
      }),
    ]);
    clearTimeout(timer);
    this.#queue.stop();
  }

  #fifo(event: NotifyEvent, priority: number): void {
    const line = fifoLine(this.settings.kind, this.settings.name, event, priority);
    for (const fifo of this.#context().fifos) fifo.write(line);
  }

  #scripts(state: NotifyState, priority: number): void {
    const { kind, name, notify } = this.settings;
    const scripts: Notification[] = [];
    const own = ownScript(notify, state);
    if (own !== undefined) scripts.push(notification(`notify_${state.toLowerCase()}`, own, []));
    if (notify.any !== undefined) {
      scripts.push(notification("notify", notify.any, [kind, name, state, String(priority)]));
    }
    this.#run(scripts);
  }

  #run(scripts: readonly Notification[]): void {
    if (this.#context().serialize) {
      this.#queue.push(scripts);
      return;
    }
    const { limit: longest } = this.#context();
    const limit = longest > 0 ? longest : undefined;
    for (const { command } of scripts) runScript(command, limit);
  }

  /** One mail for each change of state, none for the same state again. observed: keepalived 2.2.7. */
  #mail(state: NotifyState): void {
    const { mailer, mailFaults, routerId } = this.#context();
    if (mailer === undefined || !this.settings.smtpAlert || state === this.#mailed) return;
    this.#mailed = state;
    if (state === "DELETED" || (state === "FAULT" && !mailFaults)) return;
    const kind = this.settings.kind === "GROUP" ? "Group" : "Instance";
    mailer.send(stateMail({ routerId, kind, name: this.settings.name, state }));
  }
}

/** The command of a notify script, run as its user. */
export function scriptCommand(
  { command, user }: NotifyScript,
  extra: readonly string[],
): ScriptCommand {
  const [first = "", ...rest] = command.argv;
  return {
    argv: [command.path ?? first, ...rest, ...extra],
    ...(user === undefined ? {} : { user }),
  };
}

function notification(kind: string, script: NotifyScript, extra: readonly string[]): Notification {
  return { kind, command: scriptCommand(script, extra) };
}

function ownScript(notify: Notify, state: NotifyState): NotifyScript | undefined {
  switch (state) {
    case "MASTER":
      return notify.master;
    case "BACKUP":
      return notify.backup;
    case "FAULT":
      return notify.fault;
    case "STOP":
      return notify.stop;
    case "DELETED":
      return notify.deleted;
  }
}
