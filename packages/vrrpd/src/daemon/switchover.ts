import {
  type Clock,
  formatAddress,
  type IpAddress,
  type Micros,
  micros,
  seconds,
  type Timer,
  toMilliseconds,
} from "@ha/base";
import type { Report } from "../core/report.ts";
import { downTime } from "../core/transition.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";

/** What became of one instance. */
export interface HandoverOutcome {
  readonly instance: string;
  readonly result: /** Another router is master, and our addresses are gone. */
    | "handed-over"
    /** Master as before: no other router came. */
    | "nobody-came"
    /** Something else happened meanwhile: `detail` says what. */
    | "interrupted"
    /** Nothing to hand over. */
    | "not-master"
    /** `--back`: master. */
    | "taken-back"
    /** `--back`: nothing keeps it from being master any more, but the election does. */
    | "not-taken-back"
    | "timeout";
  readonly detail: string;
  /** From the request to the end, in milliseconds. */
  readonly took: number;
}

/** Planned handovers of mastership, through the core: it keeps the addresses until the next master is heard. */
export class Switchover {
  readonly #clock: Clock;
  readonly #end: (instance: InstanceRuntime) => void;
  readonly #waiting = new Map<InstanceRuntime, (report: Report) => void>();

  /** @param end Ends what a switchover began, of one instance. */
  constructor(clock: Clock, end: (instance: InstanceRuntime) => void) {
    this.#clock = clock;
    this.#end = end;
  }

  onReport(instance: InstanceRuntime, report: Report): void {
    this.#waiting.get(instance)?.(report);
  }

  /** Gives the addresses away; those that nobody takes stay. */
  async away(instance: InstanceRuntime, timeout: Micros): Promise<HandoverOutcome> {
    const { state } = instance.router;
    if (state.name !== "master") {
      return this.#outcome(instance, "not-master", `is ${state.name}`, this.#clock.now());
    }
    return this.#run(instance, timeout === 0 ? AWAY_LIMIT : timeout, (begun, end) => {
      const watch = (report: Report): void => {
        if (report.type === "took-back") {
          end(
            this.#outcome(
              instance,
              "nobody-came",
              "no other router took over: master as before",
              begun,
            ),
          );
        } else if (report.type === "left") {
          const { winner } = report;
          const outcome =
            winner === undefined
              ? this.#outcome(instance, "interrupted", `left by ${report.cause}`, begun)
              : this.#outcome(instance, "handed-over", `${formatAddress(winner)} is master`, begun);
          void instance.held.idle().then(() => end(outcome));
        }
      };
      return { watch, act: () => instance.router.handle({ type: "switchover" }) };
    });
  }

  /**
   * Ends what `away` began: the election is by priority again.
   *
   * @param invite Asks the master to drain and leave: whether we are master by its leave.
   */
  async back(
    instance: InstanceRuntime,
    timeout: Micros,
    invite: (master: IpAddress) => Promise<boolean>,
  ): Promise<HandoverOutcome> {
    const now = this.#clock.now();
    const { state, router, standing } = instance.router;
    if (state.name === "master") return this.#outcome(instance, "taken-back", "is master", now);
    if (state.name !== "backup") {
      this.#end(instance);
      return this.#outcome(instance, "not-taken-back", `is in ${state.name}`, now);
    }
    const lower = state.master !== undefined && state.masterPriority < standing.priority;
    const mayPreempt = router.preempt && lower;
    if (!mayPreempt) {
      this.#end(instance);
      const why = router.preempt
        ? `the master's priority ${state.masterPriority} is not below our ${standing.priority}`
        : "nopreempt: a living master stays";
      return this.#outcome(instance, "not-taken-back", why, now);
    }
    if (state.master !== undefined && (await invite(state.master))) {
      this.#end(instance);
      return this.#outcome(
        instance,
        "taken-back",
        "is master: the other has drained and left",
        now,
      );
    }
    const needed = downTime(router, standing.priority, state.masterInterval);
    const limit = timeout === 0 ? micros(2 * needed + router.preemptDelay + seconds(1)) : timeout;
    return this.#run(instance, limit, (begun, end) => ({
      watch: (report) => {
        if (report.type !== "state") return;
        if (report.to === "master") end(this.#outcome(instance, "taken-back", "is master", begun));
        else end(this.#outcome(instance, "interrupted", `is ${report.to} (${report.why})`, begun));
      },
      act: () => this.#end(instance),
    }));
  }

  #run(
    instance: InstanceRuntime,
    limit: Micros,
    begin: (
      begun: Micros,
      end: (outcome: HandoverOutcome) => void,
    ) => {
      readonly watch: (report: Report) => void;
      readonly act: () => void;
    },
  ): Promise<HandoverOutcome> {
    const begun = this.#clock.now();
    if (this.#waiting.has(instance)) {
      return Promise.resolve(
        this.#outcome(instance, "interrupted", "another switchover is under way", begun),
      );
    }
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const end = (outcome: HandoverOutcome): void => {
        timer?.cancel();
        this.#waiting.delete(instance);
        resolve(outcome);
      };
      const { watch, act } = begin(begun, end);
      this.#waiting.set(instance, watch);
      timer = this.#clock.after(limit, () => {
        const text = `not over after ${Math.round(toMilliseconds(limit))} ms: it goes on`;
        end(this.#outcome(instance, "timeout", text, begun));
      });
      act();
    });
  }

  #outcome(
    { name }: InstanceRuntime,
    result: HandoverOutcome["result"],
    detail: string,
    begun: Micros,
  ): HandoverOutcome {
    const took = Math.round(toMilliseconds(micros(this.#clock.now() - begun)) * 10) / 10;
    return { instance: name, result, detail, took };
  }
}

/** The core takes back what nobody took after 5 s at most. */
const AWAY_LIMIT = seconds(10);
