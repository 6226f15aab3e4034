import type { Balance } from "../core/balance/compile-balance.ts";
import { nextOf, PendingQueue, type QueueTicket } from "../core/server/queue.ts";
import {
  BACKEND_QUEUED,
  BACKEND_QUEUED_MOST,
  canTake,
  forceSlot,
  freeSlot,
  keepMost,
  type Servers,
  takeSlot,
} from "../core/server/servers.ts";
import { NONE, type Transaction } from "../core/transaction.ts";

/** The request waits for a slot: `assigned` will be called. */
export const QUEUED = -2;

/** Something that needs a server. Its ticket's `owner` finds it among the dispatcher's waiters. */
export interface ServerWaiter {
  readonly transaction: Transaction;
  readonly ticket: QueueTicket;
  /** A slot of that server is the waiter's, to be given back by `release`. */
  assigned(server: number): void;
  /** No server is left that could ever have one; it waits no more. */
  unserved?(): void;
}

/**
 * Gives the servers of one backend to what needs them, within their limits, and keeps the queues. One for each
 * thread; slots are shared between threads through the servers' columns.
 */
export class Dispatcher {
  readonly #servers: Servers;
  readonly #balance: Balance;
  readonly #waiters: Map<number, ServerWaiter>;
  readonly #shared = new PendingQueue();
  readonly #own: readonly PendingQueue[];
  readonly #onWait: () => void;
  readonly #redistributes: boolean;
  #waiting = 0;

  /**
   * @param waiters Of the whole thread, by ticket owner.
   * @param onWait Called when the first one has to wait: `wake` must be called now and then from here on.
   * @param redistributes Whether what waits for a server goes elsewhere when it goes down: `option redispatch`.
   */
  constructor(
    servers: Servers,
    balance: Balance,
    waiters: Map<number, ServerWaiter>,
    onWait: () => void,
    redistributes = true,
  ) {
    this.#redistributes = redistributes;
    this.#onWait = onWait;
    this.#servers = servers;
    this.#balance = balance;
    this.#waiters = waiters;
    this.#own = Array.from({ length: servers.count }, () => new PendingQueue());
  }

  /** Requests of this thread that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * A server whose slot is now the waiter's, QUEUED, or NONE when no server is usable.
   * @param avoid The server that was just tried in vain, or NONE.
   */
  assign(waiter: ServerWaiter, avoid: number, now: number): number {
    const { transaction } = waiter;
    const servers = this.#servers;
    const wanted = transaction.wantedServer;
    if (wanted !== NONE && wanted !== avoid) {
      if (transaction.forcePersist) {
        forceSlot(servers, wanted);
        return wanted;
      }
      // A server that drains (no weight) still serves those who belong to it.
      if (Atomics.load(servers.usable, wanted) !== 0) {
        if (takeSlot(servers, wanted)) return wanted;
        if (this.#enqueue(waiter, wanted, now)) return QUEUED;
      }
      transaction.wantedServer = NONE;
    }
    const server = this.#balance.choose(transaction, avoid);
    if (server !== NONE) {
      if (takeSlot(servers, server)) return server;
      if (this.#enqueue(waiter, server, now)) return QUEUED;
    }
    for (let i = 0; i < servers.count; i++) {
      if (!canTake(servers, i)) continue;
      this.#enqueue(waiter, NONE, now);
      return QUEUED;
    }
    return NONE;
  }

  /** Gives a slot back and lets the next one have it. */
  release(server: number): void {
    freeSlot(this.#servers, server);
    if (this.#waiting > 0) this.#serve(server);
  }

  /** The waiter needs no server any more: its client left, or its time is over. */
  cancel(waiter: ServerWaiter): void {
    const { ticket } = waiter;
    if (ticket.queue === undefined) return;
    this.#leave(ticket);
  }

  /** Looks for free slots after servers changed, or other threads may have given some back. */
  wake(): void {
    for (let server = 0; server < this.#servers.count && this.#waiting > 0; server++) {
      if (Atomics.load(this.#servers.usable, server) === 0) this.redistribute(server);
    }
    for (let server = 0; server < this.#servers.count && this.#waiting > 0; server++) {
      if (canTake(this.#servers, server)) this.#serve(server);
    }
  }

  /**
   * Takes all that wait for this very server, which went away, to others: how many. Those for which there is none
   * wait no more. Without `option redispatch` they stay, as in HAProxy.
   */
  redistribute(server: number): number {
    if (!this.#redistributes) return 0;
    const own = this.#own[server] as PendingQueue;
    let moved = 0;
    for (let ticket = own.peek(); ticket !== undefined; ticket = own.peek()) {
      const waiter = this.#waiters.get(ticket.owner);
      const now = ticket.due;
      this.#leave(ticket);
      if (waiter === undefined) continue;
      moved++;
      waiter.transaction.wantedServer = NONE;
      const chosen = this.assign(waiter, server, now - waiter.transaction.priorityOffset);
      if (chosen >= 0) waiter.assigned(chosen);
      else if (chosen === NONE) waiter.unserved?.();
    }
    return moved;
  }

  /** Whether it may take what waits for any server: it is up, and a backup only when no other is. */
  #servesAll(server: number): boolean {
    const servers = this.#servers;
    if (!canTake(servers, server)) return false;
    if (servers.backup[server] === 0) return true;
    for (let i = 0; i < servers.count; i++) {
      if (servers.backup[i] === 0 && canTake(servers, i)) return false;
    }
    return true;
  }

  #serve(server: number): void {
    for (;;) {
      const own = this.#own[server] as PendingQueue;
      const ticket = this.#servesAll(server) ? nextOf(own, this.#shared) : own.peek();
      if (ticket === undefined || !takeSlot(this.#servers, server)) return;
      const waiter = this.#waiters.get(ticket.owner);
      this.#leave(ticket);
      if (waiter === undefined) freeSlot(this.#servers, server);
      else waiter.assigned(server);
    }
  }

  #enqueue(waiter: ServerWaiter, server: number, now: number): boolean {
    const { transaction, ticket } = waiter;
    ticket.priorityClass = transaction.priorityClass;
    ticket.due = now + transaction.priorityOffset;
    if (server === NONE) {
      transaction.backendQueue = this.#shared.push(ticket);
      const waiting = Atomics.add(this.#servers.backend, BACKEND_QUEUED, 1) + 1;
      keepMost(this.#servers.backend, BACKEND_QUEUED_MOST, waiting);
    } else {
      const limit = this.#servers.maxqueue[server] as number;
      const own = this.#own[server] as PendingQueue;
      if (limit !== 0 && Atomics.load(this.#servers.queued, server) >= limit) return false;
      transaction.serverQueue = own.push(ticket);
      const waiting = Atomics.add(this.#servers.queued, server, 1) + 1;
      keepMost(this.#servers.queuedMost, server, waiting);
    }
    this.#waiters.set(ticket.owner, waiter);
    if (this.#waiting++ === 0) this.#onWait();
    return true;
  }

  #leave(ticket: QueueTicket): void {
    const { queue } = ticket;
    if (queue === undefined) return;
    if (queue === this.#shared) Atomics.sub(this.#servers.backend, BACKEND_QUEUED, 1);
    else {
      const server = this.#own.indexOf(queue);
      Atomics.sub(this.#servers.queued, server, 1);
    }
    queue.remove(ticket);
    this.#waiters.delete(ticket.owner);
    this.#waiting--;
  }
}
