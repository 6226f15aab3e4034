import assert from "node:assert/strict";
import { test } from "node:test";
import { type Micros, micros, seconds } from "@ha/base";
import {
  KEEPALIVED_SUPERVISION,
  type SupervisorEvent,
  type SupervisorSettings,
  type SupervisorState,
  supervise,
} from "./supervisor.ts";

/** A program on paper: what the supervisor does to it, with waits passed through. */
class Paper {
  state: SupervisorState = { name: "stopped" };
  now: Micros = seconds(1_000);
  readonly settings: SupervisorSettings;

  constructor(settings: Partial<SupervisorSettings> = {}) {
    this.settings = { ...KEEPALIVED_SUPERVISION, ...settings };
  }

  send(event: SupervisorEvent): string {
    const { state, actions } = supervise(this.settings, this.state, event, this.now);
    this.state = state;
    return actions
      .map((action) => {
        if (action.type === "set-timer") return `wait ${action.after / 1e6}`;
        return action.type === "give-up" ? `give up: ${action.why}` : action.type;
      })
      .join();
  }

  /** It dies after having run so long; what comes of it until it runs again. */
  die(ran: number, code: number | undefined = 3): string {
    this.now = micros(this.now + seconds(ran));
    const said = this.send({ type: "exited", code });
    if (this.state.name === "waiting") assert.equal(this.send({ type: "timer" }), "spawn");
    return said;
  }
}

test("a program that dies is started at once, then after 1, 2, 4 … 60 s", () => {
  const paper = new Paper();
  assert.equal(paper.send({ type: "start" }), "spawn");
  const said = Array.from({ length: 9 }, () => paper.die(0.1));
  assert.deepEqual(said, ["spawn", ...[1, 2, 4, 8, 16, 32, 60, 60].map((wait) => `wait ${wait}`)]);
});

test("having run for 60 s makes the next start an immediate one again", () => {
  const paper = new Paper();
  paper.send({ type: "start" });
  for (let i = 0; i < 4; i++) paper.die(0.1);
  assert.equal(paper.die(60), "spawn");
  assert.equal(paper.die(1), "wait 1");
});

test("exit codes 1, 2 and 4 end everything, a signal does not", () => {
  for (const code of [1, 2, 4]) {
    const paper = new Paper();
    paper.send({ type: "start" });
    assert.equal(paper.die(5, code), "give up: exit-code");
  }
  const killed = new Paper();
  killed.send({ type: "start" });
  assert.equal(killed.die(5, undefined), "spawn");
});

test("more deaths within a minute than allowed mean giving up, and a start begins anew", () => {
  const paper = new Paper({ giveUpAfter: 3 });
  paper.send({ type: "start" });
  for (let i = 0; i < 3; i++) assert.notEqual(paper.die(1), "give up: too-often");
  assert.equal(paper.die(1), "give up: too-often");
  assert.equal(paper.send({ type: "start" }), "spawn");
});

test("a stop terminates what runs, cancels what waits, and no death starts it again", () => {
  const running = new Paper();
  running.send({ type: "start" });
  assert.equal(running.send({ type: "stop" }), "terminate");
  assert.equal(running.send({ type: "exited", code: 0 }), "");
  assert.equal(running.state.name, "stopped");

  const waiting = new Paper({ firstWait: seconds(1) });
  waiting.send({ type: "start" });
  waiting.send({ type: "exited", code: 9 });
  assert.equal(waiting.send({ type: "stop" }), "cancel-timer");
  assert.equal(waiting.send({ type: "timer" }), "");
});
