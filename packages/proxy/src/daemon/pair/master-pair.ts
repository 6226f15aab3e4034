import type { ProxyOrder, ProxyWord } from "@ha/base/pair-line";
import { PairServer, type PairServerOptions } from "./pair-server.ts";

/** What a master knows of its workers on vrrpd's behalf. */
export interface MasterWorker {
  readonly pid: number;
  readonly isReady: boolean;
  readonly isLeaving: boolean;
  passOrder(order: ProxyOrder): void;
}

/** A master's line to vrrpd: what its workers say goes up, what vrrpd orders goes down to all of them. */
export class MasterPair {
  readonly #server: PairServer;
  readonly #workers: () => readonly MasterWorker[];
  /** What is not as it should be, of the worker that serves. */
  readonly #standing = new Map<string, ProxyWord>();
  readonly #drains = new Map<number, ProxyWord & { readonly type: "drain" }>();
  #speaker = 0;
  #draining: (ProxyOrder & { readonly type: "drain" }) | undefined;
  #view: ProxyOrder | undefined;

  constructor(
    fd: number,
    workers: () => readonly MasterWorker[],
    listeners: PairServerOptions["listeners"],
  ) {
    this.#workers = workers;
    this.#server = new PairServer(fd, {
      listeners,
      obey: (order) => this.#obey(order),
      standing: () =>
        workers().some(({ isReady, isLeaving }) => isReady && !isLeaving)
          ? [{ type: "ready" }, ...this.#standing.values()]
          : [],
    });
  }

  /** That worker serves from now on. */
  ready(worker: MasterWorker): void {
    this.#speaker = worker.pid;
    this.#standing.clear();
    this.#server.say({ type: "ready" });
    if (this.#view !== undefined) worker.passOrder(this.#view);
    if (this.#draining !== undefined) worker.passOrder(this.#draining);
  }

  heard(worker: MasterWorker, word: ProxyWord): void {
    if (word.type === "drain" || word.type === "cut") {
      this.#sumUp(worker, word);
      return;
    }
    // One that leaves says nothing of what is served.
    if (worker.pid !== this.#speaker && this.#speaker !== 0) return;
    if (word.type === "listener" || word.type === "backend") {
      const key = `${word.type} ${word.name}`;
      if (word.up) this.#standing.delete(key);
      else this.#standing.set(key, word);
    }
    this.#server.say(word);
  }

  crashed(worker: MasterWorker, words: string): void {
    this.#server.say({ type: "worker-crashed", pid: worker.pid, words });
  }

  ended(worker: MasterWorker): void {
    const drain = this.#drains.get(worker.pid);
    this.#drains.delete(worker.pid);
    if (drain !== undefined && drain.state === "draining") this.#sayDrain();
  }

  stopping(): void {
    this.#server.say({ type: "stopping" });
  }

  #obey(order: ProxyOrder): void {
    if (order.type === "vrrp") this.#view = order;
    if (order.type === "drain") {
      this.#draining = order.on ? order : undefined;
      if (!order.on) this.#drains.clear();
    }
    for (const worker of this.#workers()) worker.passOrder(order);
  }

  /** Several workers, of earlier reloads, may have connections still. */
  #sumUp(worker: MasterWorker, word: ProxyWord & { readonly type: "drain" | "cut" }): void {
    if (word.type === "cut") {
      this.#server.say(word);
      return;
    }
    if (word.state === "off") {
      if (this.#draining === undefined) this.#server.say(word);
      return;
    }
    this.#drains.set(worker.pid, word);
    this.#sayDrain();
  }

  #sayDrain(): void {
    const all = [...this.#drains.values()];
    const sum = (of: "sessions" | "old" | "idle" | "waiting"): number =>
      all.reduce((total, word) => total + word[of], 0);
    this.#server.say({
      type: "drain",
      state: all.every(({ state }) => state === "drained") ? "drained" : "draining",
      sessions: sum("sessions"),
      old: sum("old"),
      idle: sum("idle"),
      waiting: sum("waiting"),
    });
  }
}
