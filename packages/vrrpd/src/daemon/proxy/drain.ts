import {
  type Clock,
  formatAddress,
  type IpAddress,
  type Micros,
  micros,
  milliseconds,
  toMilliseconds,
} from "@ha/base";
import type { ProxyWord } from "@ha/base/pair-line";
import type { SynBlock } from "@ha/linux";
import type { Log } from "../log.ts";
import type { ProxyRunner } from "./proxy-runner.ts";

/** What a drain came to. */
export interface DrainOutcome {
  /** Milliseconds. */
  readonly took: number;
  /** Connections that were reset because the time was over. */
  readonly cut: number;
  /** How long no new connection was taken, in milliseconds, until this was made. */
  readonly blocked: number;
}

export interface DrainOptions {
  readonly runners: readonly ProxyRunner[];
  readonly addresses: readonly IpAddress[];
  /** For all of it. */
  readonly limit: Micros;
  readonly clock: Clock;
  readonly log: Log;
  readonly block: SynBlock;
}

/**
 * Lets proxies finish what is under way to some addresses, so that these can go without a client noticing:
 *
 * 1. Every answer says `Connection: close`; new connections are served. Lasts until what was under way at the
 *    beginning is done, half of the time at most.
 * 2. New connections are dropped before they begin (their clients try again after a second, and meet the next master),
 *    idle ones are closed, and the rest is served.
 * 3. When the time is over what is left is reset, while the address is still there to say so.
 *
 * Whatever happens afterwards, `end` undoes it.
 */
export class Drain {
  readonly #options: DrainOptions;
  readonly #states = new Map<ProxyRunner, ProxyWord & { readonly type: "drain" }>();
  readonly #texts: readonly string[];
  #changed: () => void = () => undefined;
  #hurried = false;
  #blockedSince: Micros | undefined;
  readonly #unlisten: (() => void)[] = [];

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#texts = options.addresses.map(formatAddress);
    for (const runner of options.runners) {
      const hear = (word: ProxyWord | { readonly type: "gone" }): void => {
        if (word.type === "drain" && word.state !== "off") this.#states.set(runner, word);
        else if (word.type !== "gone") return;
        this.#changed();
      };
      runner.listeners.add(hear);
      this.#unlisten.push(() => runner.listeners.delete(hear));
    }
  }

  /** Resolves when nothing is left. */
  async run(): Promise<DrainOutcome> {
    const { clock, limit, log, block, addresses } = this.#options;
    const begun = clock.now();
    this.#order(true, false);
    const half = begun + limit / 2;
    await this.#until(begun + CLOSE_GRACE, () => false);
    await this.#until(half, () => this.#all((word) => word.old === 0));
    const problem = block.add(addresses);
    if (problem !== undefined) {
      log.warning(`drain: ${problem.message}: clients that connect now may be refused`);
    }
    this.#blockedSince = clock.now();
    this.#order(true, true);
    await this.#until(begun + limit, () => this.#all(({ state }) => state === "drained"));
    const cut = this.#all(({ state }) => state === "drained") ? 0 : await this.#cut();
    const took = (since: Micros): number => Math.round(toMilliseconds(micros(clock.now() - since)));
    return { took: took(begun), cut, blocked: took(this.#blockedSince) };
  }

  /** Enough waited: what is left is reset. */
  hurry(): void {
    this.#hurried = true;
    this.#changed();
  }

  /** New connections are taken again, and answers keep them open. */
  end(): void {
    const { block, addresses, log } = this.#options;
    if (this.#blockedSince !== undefined) {
      const problem = block.remove(addresses);
      if (problem !== undefined)
        log.error(`drain: ${problem.message}: nft delete table ip vrrpd_drain`);
    }
    this.#order(false, false);
    for (const unlisten of this.#unlisten) unlisten();
  }

  #order(on: boolean, closeIdle: boolean): void {
    for (const runner of this.#options.runners) {
      runner.send({ type: "drain", on, closeIdle, addresses: this.#texts });
    }
  }

  /** A proxy that is gone has nothing left. */
  #all(fits: (word: ProxyWord & { readonly type: "drain" }) => boolean): boolean {
    return this.#options.runners.every((runner) => {
      if (!runner.obeys) return true;
      const word = this.#states.get(runner);
      return word !== undefined && fits(word);
    });
  }

  async #cut(): Promise<number> {
    const { runners, clock } = this.#options;
    const cuts = runners
      .filter(({ obeys }) => obeys)
      .map(
        (runner) =>
          new Promise<number>((resolve) => {
            const done = (count: number): void => {
              limit.cancel();
              runner.listeners.delete(hear);
              resolve(count);
            };
            const hear = (word: ProxyWord | { readonly type: "gone" }): void => {
              if (word.type === "cut") done(word.sessions);
              else if (word.type === "gone") done(0);
            };
            const limit = clock.after(CUT_LIMIT, () => done(0));
            runner.listeners.add(hear);
            runner.send({ type: "cut", addresses: this.#texts });
          }),
      );
    return (await Promise.all(cuts)).reduce((sum, count) => sum + count, 0);
  }

  #until(end: number, holds: () => boolean): Promise<void> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const look = (): void => {
        if (!this.#hurried && !holds() && clock.now() < end) return;
        timer.cancel();
        this.#changed = () => undefined;
        resolve();
      };
      const wait = micros(Math.max(1, Math.round(end - clock.now())));
      const timer = clock.after(wait, look);
      this.#changed = look;
      look();
    });
  }
}

/** How long connections have to say by their next answer that they end, before idle ones are closed. */
const CLOSE_GRACE = milliseconds(500);
/** How long a proxy may take to reset what is left. */
const CUT_LIMIT = milliseconds(500);
