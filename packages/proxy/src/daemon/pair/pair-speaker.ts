import {
  type BackendStatus,
  PAIR_BEAT_MS,
  type ProxyOrder,
  type ProxyStatus,
  type ProxyWord,
} from "@ha/base/pair-line";
import { ringDoor, waitingConnections } from "@ha/linux/ring";
import { STAT_REQ_TOT } from "../../core/statistics.ts";
import { proxyRows } from "../../core/stats/proxy-rows.ts";
import type { RowValues } from "../../core/stats/row.ts";
import { sumOf } from "../../core/stats/source.ts";
import type { Checks } from "../check/checks.ts";
import type { ProcessControl } from "../runtime-api/command.ts";
import type { Worker } from "../worker.ts";
import type { DrainCount } from "./drain.ts";

export interface PairSpeakerOptions {
  readonly say: (word: ProxyWord) => void;
  readonly worker: Worker;
  readonly checks: Checks;
  readonly control: ProcessControl;
}

/** What a process that serves clients tells vrrpd of itself, and does on its orders. In the first thread. */
export class PairSpeaker {
  readonly #options: PairSpeakerOptions;
  readonly #listening = new Map<string, boolean>();
  readonly #served = new Map<number, boolean>();
  #beats = 0;
  #othersAnswered = true;
  #isDraining = false;
  #closesIdle = false;
  #drain: NodeJS.Timeout | undefined;
  #lastDrain = "";
  #quietLooks = 0;

  constructor(options: PairSpeakerOptions) {
    this.#options = options;
    options.checks.lives.onChange = () => this.#lookAtBackends();
  }

  /** Begins to beat. */
  start(): void {
    setInterval(() => this.#beat(), PAIR_BEAT_MS).unref();
    this.#beat();
  }

  /** What is not as it should be now. */
  standing(): readonly ProxyWord[] {
    return [
      ...[...this.#listening]
        .filter(([, up]) => !up)
        .map(([name]): ProxyWord => ({ type: "listener", name, up: false, why: "" })),
      ...[...this.#served]
        .filter(([, up]) => !up)
        .map(([index]): ProxyWord => ({ type: "backend", name: this.#nameOf(index), up: false })),
    ];
  }

  /** A frontend was paused, shut down or enabled. */
  frontendChanged(): void {
    // The kernel has been told by the time that whoever asked is answered.
    setImmediate(() => this.#lookAtListeners());
  }

  obey(order: ProxyOrder): void {
    const { fleet } = this.#options.control;
    switch (order.type) {
      case "drain":
        this.#closesIdle = order.closeIdle;
        if (order.on === this.#isDraining) return;
        this.#isDraining = order.on;
        void fleet.ask({ kind: "drain", on: order.on, addresses: order.addresses });
        this.#lastDrain = "";
        this.#quietLooks = 0;
        if (order.on) this.#lookAtDrain();
        else {
          clearTimeout(this.#drain);
          this.#options.say({
            type: "drain",
            state: "off",
            sessions: 0,
            old: 0,
            idle: 0,
            waiting: 0,
          });
        }
        return;
      case "cut":
        void fleet.ask({ kind: "cut", addresses: order.addresses }).then((answers) => {
          const sessions = answers.reduce<number>(
            (sum, answer) => sum + (typeof answer === "number" ? answer : 0),
            0,
          );
          // The resets go out with the turn that is under way.
          setTimeout(() => this.#options.say({ type: "cut", sessions }), RESETS_MS);
        });
        return;
      case "vrrp":
        void fleet.ask({ kind: "vrrp", view: order.view });
    }
  }

  #beat(): void {
    const { say, control, worker } = this.#options;
    this.#lookAtListeners();
    this.#lookAtBackends();
    // A thread that does not answer serves nobody.
    if (this.#othersAnswered) {
      this.#othersAnswered = false;
      void control.fleet.ask({ kind: "beat" }).then(() => {
        this.#othersAnswered = true;
      });
      say({ type: "beat", sessions: worker.plane.sessions });
    }
    const pause = control.source.proxies.length > MANY_PROXIES ? STATUS_BEATS * 10 : STATUS_BEATS;
    if (this.#beats++ % pause === 0) say({ type: "status", status: this.#status() });
  }

  #lookAtListeners(): void {
    const { worker, control, say } = this.#options;
    const door = ringDoor();
    for (const [at, { fd, frontend, text }] of control.listeners.entries()) {
      if (worker.listeners[at] === undefined) continue;
      const name = `${frontend} (${text})`;
      const up = door.getNumber(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1;
      const before = this.#listening.get(name) ?? true;
      this.#listening.set(name, up);
      if (before !== up) {
        say({ type: "listener", name, up, why: up ? "" : "the socket does not listen any more" });
      }
    }
  }

  #lookAtBackends(): void {
    const { control, checks, say } = this.#options;
    for (const { index, backend } of control.source.proxies) {
      if (backend === undefined || backend.servers.length === 0) continue;
      const up = !checks.lives.backend(index).isDown;
      const before = this.#served.get(index) ?? true;
      this.#served.set(index, up);
      if (before !== up) say({ type: "backend", name: this.#nameOf(index), up });
    }
  }

  #nameOf(index: number): string {
    return this.#options.control.source.proxies[index]?.name ?? "";
  }

  #lookAtDrain(): void {
    const { control, say, worker } = this.#options;
    const again = (): void => {
      this.#drain = setTimeout(() => this.#lookAtDrain(), DRAIN_LOOK_MS);
    };
    void control.fleet.ask({ kind: "drain-look", closeIdle: this.#closesIdle }).then((answers) => {
      if (!this.#isDraining) return;
      let sessions = 0;
      let old = 0;
      let idle = 0;
      for (const answer of answers) {
        if (!isDrainCount(answer)) continue;
        sessions += answer.sessions;
        old += answer.old;
        idle += answer.idle;
      }
      const waiting = worker.listeners.reduce(
        (sum, { fd }) => sum + Math.max(0, waitingConnections(fd)),
        0,
      );
      // What was accepted in the last turn has become a session by the next look.
      this.#quietLooks = sessions === 0 && waiting === 0 ? this.#quietLooks + 1 : 0;
      const state = this.#quietLooks >= QUIET_LOOKS ? "drained" : "draining";
      const text = `${state} ${sessions} ${old} ${idle} ${waiting}`;
      if (text !== this.#lastDrain) say({ type: "drain", state, sessions, old, idle, waiting });
      this.#lastDrain = text;
      again();
    });
  }

  #status(): ProxyStatus {
    const { control, worker } = this.#options;
    const { source } = control;
    let requests = 0;
    for (const { frontend, index } of source.proxies) {
      if (frontend === undefined) continue;
      requests += sumOf(source, source.layout.frontend[index] as number, STAT_REQ_TOT);
    }
    const backends = new Map<
      number,
      BackendStatus & { servers: BackendStatus["servers"][number][] }
    >();
    const rows = proxyRows(source, { types: BACKENDS_AND_SERVERS });
    for (const { object, proxy, values } of rows) {
      if (object !== "backend") continue;
      backends.set(proxy, {
        name: text(values, "pxname"),
        status: text(values, "status"),
        sessions: number(values, "scur"),
        servers: [],
      });
    }
    for (const { object, proxy, values } of rows) {
      if (object !== "server") continue;
      backends.get(proxy)?.servers.push({
        name: text(values, "svname"),
        status: text(values, "status"),
        weight: number(values, "weight"),
        sessions: number(values, "scur"),
        check: [text(values, "check_status"), text(values, "last_chk")]
          .filter((it) => it !== "")
          .join(": "),
      });
    }
    return {
      sessions: worker.plane.sessions,
      requests,
      listeners: [...this.#listening].map(([name, up]) => ({ name, up })),
      backends: [...backends.values()],
    };
  }
}

function isDrainCount(answer: unknown): answer is DrainCount {
  return typeof answer === "object" && answer !== null && "idle" in answer;
}

function text(values: RowValues, column: keyof RowValues): string {
  return String(values[column] ?? "");
}

function number(values: RowValues, column: keyof RowValues): number {
  return Math.max(0, Math.round(Number(values[column] ?? 0)));
}

/** Looks at a drain, and how many must find nothing. */
const DRAIN_LOOK_MS = 15;
const QUIET_LOOKS = 6;
/** Beats between two reports for operators; ten times as many for a proxy of very many. */
const STATUS_BEATS = 5;
const MANY_PROXIES = 1_000;
const RESETS_MS = 20;
/** Bits of `RowFilter.types`. */
const BACKENDS_AND_SERVERS = 2 | 4;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
