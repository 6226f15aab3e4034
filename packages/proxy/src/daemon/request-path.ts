import { type Rule, type RuleProgress, runRules, type Verdict } from "../core/rule/rule.ts";
import * as stat from "../core/statistics.ts";
import {
  CAUSE_LOCAL,
  CAUSE_PROXY,
  CAUSE_SERVER_ABORT,
  NONE,
  PHASE_CONNECT,
  PHASE_REQUEST,
  PHASE_TARPIT,
  TIME_QUEUED,
  TIME_REQUEST,
  type Transaction,
} from "../core/transaction.ts";
import type { DataPlane } from "./data-plane.ts";
import type { FrontendRuntime, ProxyRuntime, Service } from "./proxy-runtime.ts";
import type { TimerOwner } from "./timer-wheel.ts";

/** What a request's path needs of its exchange, and tells it. */
export interface RequestPathOwner {
  readonly transaction: Transaction;
  readonly frontend: ProxyRuntime;
  /** Set by the path when a backend is chosen. */
  backend: ProxyRuntime;
  /** The buffer that holds the head: what is kept of the body follows it. */
  readonly requestBuffer: number;
  readonly requestDone: boolean;
  /** Nothing stands against the request: it may look for a server. */
  requestAllowed(): void;
  /** The proxy answers by itself. Ends the path. */
  reply(status: number, cause: number, phase: number): void;
  /** The client's connection ends without an answer (`silent`: without a word of TCP as well). Ends the path. */
  refuse(silent: boolean): void;
  /** More of the body may come: `keepBody` follows. */
  readBody(): void;
  /** Takes back body bytes that had no room. */
  returnBody(buffer: number, start: number, end: number): void;
}

/** Where the path is. */
const OFF = 0;
const RUNNING = 1;
const PAUSED = 2;
const TARPIT = 3;

/** Steps of a request's way through rules. */
const STEP_BUFFER = 0;
const STEP_FRONT_CONTENT = 1;
const STEP_FRONT_REQUEST = 2;
const STEP_FRONT_REDIRECT = 3;
const STEP_FRONT_STATS = 4;
const STEP_CHOOSE = 5;
const STEP_BACK_BUFFER = 6;
const STEP_BACK_CONTENT = 7;
const STEP_BACK_REQUEST = 8;
const STEP_BACK_REDIRECT = 9;
const STEP_BACK_STATS = 10;

/**
 * A request's way from its head to the search for a server: rules of the frontend, the choice of a backend, rules of
 * the backend, with all they may wait for (a body, a pause, the tarpit) and everything that answers in between.
 */
export class RequestPath implements TimerOwner {
  /** The body is being kept, for rules or a service to see it. */
  isBuffering = false;
  readonly #plane: DataPlane;
  readonly #owner: RequestPathOwner;
  readonly #timer: number;
  readonly #progress: RuleProgress = { next: 0 };
  #state = OFF;
  #step = STEP_BUFFER;
  #bufferTarget = 0;
  #service: Service | undefined = undefined;
  /** Answers of services so far. */
  #served = 0;
  #tarpitStatus = 500;

  constructor(plane: DataPlane, owner: RequestPathOwner) {
    this.#plane = plane;
    this.#owner = owner;
    this.#timer = plane.wheel.create(this);
  }

  get isTarpit(): boolean {
    return this.#state === TARPIT;
  }

  start(): void {
    this.#step = STEP_BUFFER;
    this.#progress.next = 0;
    this.#service = undefined;
    this.isBuffering = false;
    this.#run();
  }

  /** The exchange is over or answered: nothing more happens here. */
  stop(): void {
    this.#state = OFF;
    this.isBuffering = false;
    this.#plane.wheel.clear(this.#timer);
  }

  timedOut(): void {
    if (this.#state === TARPIT) {
      // The time counts as waiting, and the request as none. Observed: haproxy 2.6.12.
      const { transaction } = this.#owner;
      transaction.times[TIME_REQUEST] = -1;
      transaction.times[TIME_QUEUED] = this.#plane.now;
      this.#owner.reply(this.#tarpitStatus, CAUSE_PROXY, PHASE_TARPIT);
    } else if (this.#state === PAUSED) {
      if (this.isBuffering) this.bufferedEnough();
      else this.#run();
    }
  }

  /** Goes on through the steps until something must be waited for, or the request is answered or on its way. */
  #run(): void {
    this.#state = RUNNING;
    while (this.#state === RUNNING) {
      const verdict = this.#runStep();
      if (this.#state !== RUNNING) return;
      if (verdict === undefined || verdict.type === "continue" || verdict.type === "final") {
        this.#step++;
        this.#progress.next = 0;
      } else if (!this.#obey(verdict)) return;
    }
  }

  /** Runs one step. Undefined or `continue` is on to the next. */
  #runStep(): Verdict | undefined {
    const { frontend, backend, transaction } = this.#owner;
    switch (this.#step) {
      case STEP_BUFFER:
        if ((frontend.frontend as FrontendRuntime).bufferRequest)
          this.#bufferBody(0, Number.POSITIVE_INFINITY);
        return this.#monitor();
      case STEP_FRONT_CONTENT:
        return this.#rules(frontend.rules.content);
      case STEP_FRONT_REQUEST:
        return this.#rules(frontend.rules.request);
      case STEP_FRONT_REDIRECT:
        return this.#rules(frontend.rules.redirect);
      case STEP_FRONT_STATS:
        return this.#stats(frontend);
      case STEP_CHOOSE:
        this.#choose();
        return undefined;
      case STEP_BACK_BUFFER:
        if (backend !== frontend && backend.backend?.bufferRequest) {
          this.#bufferBody(0, Number.POSITIVE_INFINITY);
        }
        return undefined;
      case STEP_BACK_CONTENT:
        return backend === frontend ? undefined : this.#rules(backend.rules.content);
      case STEP_BACK_REQUEST:
        return backend === frontend ? undefined : this.#rules(backend.rules.request);
      case STEP_BACK_REDIRECT:
        return backend === frontend ? undefined : this.#rules(backend.rules.redirect);
      case STEP_BACK_STATS:
        return backend === frontend ? undefined : this.#stats(backend);
      default:
        transaction.now = this.#plane.now;
        this.#state = OFF;
        this.#owner.requestAllowed();
        return undefined;
    }
  }

  #rules(rules: readonly Rule[]): Verdict | undefined {
    if (rules.length === 0) return undefined;
    this.#owner.transaction.now = this.#plane.now;
    return runRules(rules, this.#owner.transaction, this.#progress);
  }

  /** Does what a verdict says. True: go on with the same step. */
  #obey(verdict: Verdict): boolean {
    const { statistics } = this.#plane;
    const row =
      this.#step < STEP_CHOOSE ? this.#owner.frontend.frontendRow : this.#owner.backend.backendRow;
    switch (verdict.type) {
      case "respond":
        if (verdict.by === "deny") statistics.add(row, stat.STAT_DREQ, 1);
        else statistics.add(row, stat.STAT_INTERCEPTED, 1);
        this.#owner.reply(
          verdict.status,
          verdict.by === "deny" ? CAUSE_PROXY : CAUSE_LOCAL,
          PHASE_REQUEST,
        );
        return false;
      case "tarpit":
        statistics.add(row, stat.STAT_DREQ, 1);
        this.#state = TARPIT;
        this.#tarpitStatus = verdict.status;
        this.#plane.wheel.set(this.#timer, this.#plane.now + this.#tarpitTime());
        return false;
      case "close":
        statistics.add(row, stat.STAT_DREQ, 1);
        this.#owner.transaction.times[TIME_REQUEST] = -1;
        this.#owner.refuse(verdict.silent);
        return false;
      case "wait-body":
        if (this.#bufferBody(verdict.atLeast, this.#plane.now + verdict.milliseconds)) return false;
        return true;
      case "pause":
        this.#state = PAUSED;
        this.#plane.wheel.set(this.#timer, this.#plane.now + verdict.milliseconds);
        return false;
      case "service":
        this.#serve(verdict.name);
        return false;
      case "internal-error":
        statistics.add(row, stat.STAT_EINT, 1);
        this.#owner.reply(500, CAUSE_PROXY, PHASE_REQUEST);
        return false;
      default:
        // What only connections know of (more, expect, switch-http …) has happened when a head is there.
        return true;
    }
  }

  #tarpitTime(): number {
    const { tarpit, connect } = this.#owner.frontend.timeouts;
    const time = tarpit !== Number.POSITIVE_INFINITY ? tarpit : connect;
    return time === Number.POSITIVE_INFINITY ? 0 : time;
  }

  #monitor(): Verdict | undefined {
    const uri = this.#owner.frontend.monitorUri;
    if (uri === undefined) return undefined;
    const { targetStart, targetEnd } = this.#owner.transaction.request.head;
    if (targetEnd - targetStart !== uri.length) return undefined;
    const { bytes } = this.#plane.slab;
    for (let i = 0; i < uri.length; i++) if (bytes[targetStart + i] !== uri[i]) return undefined;
    const fails = this.#owner.frontend.monitorFails?.(this.#owner.transaction) ?? false;
    this.#owner.reply(fails ? 503 : 200, CAUSE_LOCAL, PHASE_REQUEST);
    return undefined;
  }

  #stats(proxy: ProxyRuntime): Verdict | undefined {
    const page = proxy.statsPage;
    if (page?.matches(this.#owner.transaction)) this.#serveBy(page);
    return undefined;
  }

  #serve(name: string): void {
    const service = this.#plane.services.get(name);
    if (service === undefined) this.#owner.reply(503, CAUSE_LOCAL, PHASE_REQUEST);
    else this.#serveBy(service);
  }

  #serveBy(service: Service): void {
    this.#service = service;
    const before = this.#served;
    if (service.needsBody(this.#owner.transaction) && this.#bufferBody(0, Number.POSITIVE_INFINITY))
      return;
    // A body that was all here has had its answer.
    if (this.#served === before) this.#answerByService(service);
  }

  #answerByService(service: Service): void {
    this.#served++;
    this.#plane.statistics.add(this.#owner.frontend.frontendRow, stat.STAT_INTERCEPTED, 1);
    this.#owner.transaction.reply = {
      status: 200,
      message: service.answer(this.#owner.transaction),
    };
    this.#owner.reply(200, CAUSE_LOCAL, PHASE_REQUEST);
  }

  #choose(): void {
    const plane = this.#plane;
    const { transaction, frontend } = this.#owner;
    const chosen = (frontend.frontend as FrontendRuntime).chooseBackend(transaction);
    const backend = chosen === NONE ? undefined : plane.proxies[chosen];
    if (backend?.backend === undefined) {
      transaction.backend = frontend.index;
      this.#owner.reply(503, CAUSE_SERVER_ABORT, PHASE_CONNECT);
      return;
    }
    this.#owner.backend = backend;
    transaction.backend = backend.index;
    backend.state.counters.addBackend(1);
    backend.state.counters.countBackendSession(plane.now);
    plane.statistics.add(backend.backendRow, stat.STAT_STOT, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_REQ_TOT, 1);
    plane.statistics.set(backend.backendRow, stat.STAT_LASTSESS, plane.now);
  }

  // ---- the body, kept until rules have seen it ----

  /** Waits for the body (all of it, or `atLeast` bytes). False when there is nothing to wait for. */
  #bufferBody(atLeast: number, deadline: number): boolean {
    const plane = this.#plane;
    if (this.#owner.requestDone || this.#bodyRoom() === 0) return false;
    this.isBuffering = true;
    this.#bufferTarget = atLeast;
    this.#state = PAUSED;
    if (deadline !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, deadline);
    this.#owner.readBody();
    return this.isBuffering;
  }

  #bodyRoom(): number {
    const { slab } = this.#plane;
    const end = slab.offsetOf(this.#owner.requestBuffer) + slab.sizeOf(this.#owner.requestBuffer);
    return end - this.#owner.transaction.request.bodyEnd;
  }

  /** Takes body bytes while buffering. The reference passes. */
  keepBody(buffer: number, start: number, end: number): void {
    const { slab } = this.#plane;
    const { request } = this.#owner.transaction;
    const size = Math.min(end - start, this.#bodyRoom());
    slab.bytes.copyWithin(request.bodyEnd, start, start + size);
    request.bodyEnd += size;
    if (size < end - start) {
      // More than a buffer: the rest waits with the client.
      this.#owner.returnBody(buffer, start + size, end);
      this.bufferedEnough();
      return;
    }
    slab.release(buffer);
    const kept = request.bodyEnd - request.bodyStart;
    if (this.#bodyRoom() === 0 || (this.#bufferTarget > 0 && kept >= this.#bufferTarget)) {
      this.bufferedEnough();
    }
  }

  /** The body is whole, or as much of it as was asked for. */
  bufferedEnough(): void {
    if (!this.isBuffering) return;
    this.isBuffering = false;
    this.#owner.transaction.request.bodyComplete = this.#owner.requestDone;
    this.#plane.wheel.clear(this.#timer);
    if (this.#state !== PAUSED) return;
    const service = this.#service;
    if (service !== undefined) this.#answerByService(service);
    else this.#resume();
  }

  /** Goes on after a wait, from a clean stack. */
  #resume(): void {
    const { transaction } = this.#owner;
    this.#plane.afterTurn(() => {
      if (this.#state === PAUSED && this.#owner.transaction === transaction) this.#run();
    });
  }
}
