import { type Micros, micros } from "@ha/base";
import { type CheckResult, NOT_CHECKED, outcomeOf } from "../../core/check/check-status.ts";
import {
  checkLine,
  type HealthCause,
  type HealthLine,
  type HealthLineFacts,
  healthLine,
  noServerLine,
} from "../../core/check/health-line.ts";
import { serverStateOf } from "../../core/check/server-state.ts";
import type { SocketAddress } from "../../core/config/address-model.ts";
import type { Backend } from "../../core/config/proxy-model.ts";
import type { Server } from "../../core/config/server-model.ts";
import type { ServerState } from "../../core/config/server-state-file.ts";
import type { World } from "../../core/sample/world.ts";
import { stepHealth } from "../../core/server/health.ts";
import type {
  AgentReport,
  HealthAction,
  HealthEvent,
  ServerHealth,
} from "../../core/server/health-model.ts";
import { inMaintenance, publishHealth } from "../../core/server/health-view.ts";
import { canTake, type Servers } from "../../core/server/servers.ts";
import type { BackendLife, ServerLife, ServerLifeControl } from "../../core/stats/server-life.ts";
import { firstLife } from "../../core/stats/standing-lives.ts";

/** What follows from a server's change, outside its own columns. Fans out to every thread of the data plane. */
export interface LifePorts {
  /** Microseconds of the ring's monotonic clock. */
  now(): Micros;
  /** Writes the line to the logs of the proxy. */
  log(proxy: number, line: HealthLine): void;
  /** Requests that wait for this very server go elsewhere: how many. */
  redistribute(proxy: number, server: number): number;
  /** Requests that wait may go to servers that have room now. */
  wake(proxy: number): void;
  /** Ends every session at the server. `on-marked-down shutdown-sessions` */
  shutdownSessions(proxy: number, server: number): void;
}

/** One server as the keeper has it; what it gives away is read only. */
interface Life extends ServerLife {
  readonly proxy: number;
  readonly index: number;
  server: Server;
  readonly backend: Backend;
  state: ServerHealth;
  check: CheckResult | undefined;
  agent: CheckResult | undefined;
  address: SocketAddress;
  checkPort: number;
  /** Follow this one's state. */
  readonly followers: Life[];
  ramp: NodeJS.Timeout | undefined;
}

interface BackendState {
  changedAt: Micros;
  timesDown: number;
  downtime: Micros;
  isDown: boolean;
}

/**
 * Keeps the lives of all servers of the process: feeds events to the machine, writes the columns, and sees to what
 * follows. Lives in the thread that checks; others see the columns.
 */
export class LifeKeeper implements ServerLifeControl {
  readonly #lives: Life[][] = [];
  readonly #backends: (BackendState | undefined)[] = [];
  readonly #world: World;
  readonly #ports: LifePorts;
  /** Told when traffic or a change asks for a check before its time. */
  onCheckSoon: (proxy: number, server: number, after: Micros) => void = () => undefined;
  /** Told when a backend has lost its last server, or has one again. */
  onChange: (proxy: number) => void = () => undefined;

  constructor(world: World, ports: LifePorts) {
    this.#world = world;
    this.#ports = ports;
    const now = ports.now();
    for (const { backend, index } of world.proxies) {
      const servers = backend?.servers ?? [];
      this.#lives[index] =
        backend === undefined
          ? []
          : servers.map((server, at) => newLife(backend, index, server, at, now));
      this.#backends[index] =
        backend === undefined
          ? undefined
          : { changedAt: now, timesDown: 0, downtime: micros(0), isDown: false };
    }
    for (const life of this.#lives.flat()) this.#follow(life);
  }

  /** Puts what a state file knows over the states of the configuration. Before `begin`. */
  restore(
    proxy: number,
    server: number,
    change: (server: Server, fresh: ServerHealth) => ServerHealth,
  ): void {
    const life = this.#life(proxy, server);
    life.state = change(life.server, life.state);
  }

  /** Writes all columns, in silence: the states that the process starts with. */
  begin(): void {
    const now = this.#ports.now();
    for (const life of this.#lives.flat()) {
      for (const follower of life.followers) this.#followInSilence(follower, life);
    }
    for (const life of this.#lives.flat()) {
      publishHealth(this.#servers(life), life.index, life.state, life.settings, now);
      this.#rampUp(life);
    }
    for (const [index, backend] of this.#backends.entries()) {
      if (backend !== undefined) backend.isDown = !this.#hasServer(index);
    }
  }

  /** Ends all timers. */
  stop(): void {
    for (const life of this.#lives.flat()) {
      clearTimeout(life.ramp);
      life.ramp = undefined;
    }
  }

  server(proxy: number, server: number): ServerLife {
    return this.#life(proxy, server);
  }

  backend(proxy: number): BackendLife {
    const backend = this.#backends[proxy];
    if (backend === undefined) throw new Error(`proxy ${proxy} is no backend`);
    return backend;
  }

  /** What the runtime API or the stats page orders. */
  apply(proxy: number, server: number, event: HealthEvent): void {
    const told = event.type === "force";
    this.#feed(
      this.#life(proxy, server),
      event,
      told ? { type: "told", text: "changed from CLI" } : { type: "none" },
    );
  }

  /** `set server … addr|port`, `set server … check-port`. */
  moveTo(proxy: number, server: number, address: SocketAddress, checkPort?: number): void {
    const life = this.#life(proxy, server);
    const wasUnresolved = isUnresolved(life.address);
    life.address = address;
    if (checkPort !== undefined) life.checkPort = checkPort;
    if (!wasUnresolved || isUnresolved(address)) return;
    this.apply(proxy, server, { type: "admin", state: "ready", at: this.#ports.now() });
  }

  /** `set server … check-addr`, `agent-addr`, `agent-port`, `agent-send`: its line as it now is. */
  alter(proxy: number, server: number, change: (line: Server) => Server): void {
    const life = this.#life(proxy, server);
    life.server = change(life.server);
  }

  /** Its line, with what commands changed of its checks. */
  lineOf(proxy: number, server: number): Server {
    return this.#life(proxy, server).server;
  }

  /** A check is over. */
  checked(proxy: number, server: number, result: CheckResult): void {
    const life = this.#life(proxy, server);
    const outcome = outcomeOf(result);
    if (outcome === "unknown" || !life.state.checksEnabled) return;
    const before = life.check?.status;
    const healthBefore = life.state.health;
    life.check = result;
    if (outcome === "neutral") return;
    const cause = this.#causeOf(life, result);
    this.#feed(life, { type: "check", result: outcome, at: this.#ports.now() }, cause, () => {
      const { rise, fall } = life.settings;
      const changed = before !== result.status || healthBefore !== life.state.health;
      if (changed) this.#logCheck(life, "Health", result, { value: life.state.health, rise, fall });
    });
  }

  /** An agent's check is over. Only what the agent itself says counts: that it cannot be reached does not. */
  agentChecked(
    proxy: number,
    server: number,
    result: CheckResult,
    report: AgentReport | undefined,
  ): void {
    const life = this.#life(proxy, server);
    if (!life.state.agentEnabled) return;
    const before = life.agent?.status;
    const healthBefore = life.state.agentHealth;
    life.agent = result;
    const log = () => {
      const { agentRise: rise, agentFall: fall } = life.settings;
      const value = life.state.agentHealth;
      const changed = before !== result.status || healthBefore !== value;
      if (changed) this.#logCheck(life, "Agent", result, { value, rise, fall });
    };
    if (report === undefined) log();
    else {
      this.#feed(
        life,
        { type: "agent", report, at: this.#ports.now() },
        this.#causeOf(life, result),
        log,
      );
    }
  }

  /** `observe`: what traffic saw. `what` names a failure, as in "Detected 10 consecutive errors, last one was: …". */
  observed(proxy: number, server: number, good: boolean, what: string): void {
    const life = this.#life(proxy, server);
    if (good && life.state.errors === 0) return;
    const info = `Detected ${life.settings.errorLimit} consecutive errors, last one was: ${what}`;
    const result: CheckResult = { status: "HANA", code: 0, info, duration: -1 };
    this.#feed(
      life,
      { type: "observed", good, at: this.#ports.now() },
      { type: "check", result, isLogged: false },
      () => {
        if (!good && life.state.errors === 0) life.check = result;
      },
    );
  }

  /** Rows of `show servers state`, of one backend or of all. */
  states(proxy?: number): ServerState[] {
    const lives = proxy === undefined ? this.#lives.flat() : (this.#lives[proxy] ?? []);
    const now = this.#ports.now();
    return lives.map(({ backend, server, address, state, check }) =>
      serverStateOf({
        backend,
        server,
        address,
        health: state,
        check: check ?? NOT_CHECKED,
        now,
      }),
    );
  }

  #life(proxy: number, server: number): Life {
    const life = this.#lives[proxy]?.[server];
    if (life === undefined) throw new Error(`no server ${proxy}/${server}`);
    return life;
  }

  #servers(life: Life): Servers {
    const state = this.#world.proxies[life.proxy];
    if (state === undefined) throw new Error(`no proxy ${life.proxy}`);
    return state.servers;
  }

  #follow(life: Life): void {
    const { track } = life.server;
    if (track === undefined) return;
    const owner =
      track.backend === undefined
        ? this.#lives[life.proxy]
        : this.#lives.find(([first]) => first?.backend.name === track.backend);
    // The last in the file is the first to follow. Observed: haproxy 2.6.12.
    owner?.find(({ server }) => server.name === track.server)?.followers.unshift(life);
  }

  #followInSilence(life: Life, tracked: Life): void {
    const event: HealthEvent = { type: "tracked", tracked: tracked.state, at: this.#ports.now() };
    life.state = { ...stepHealth(life.settings, life.state, event).state, timesDown: 0 };
    for (const follower of life.followers) this.#followInSilence(follower, life);
  }

  #causeOf({ backend }: Life, result: CheckResult): HealthCause {
    return { type: "check", result, isLogged: backend.options.on.has("log-health-checks") };
  }

  #logCheck(
    life: Life,
    of: "Health" | "Agent",
    result: CheckResult,
    health: { readonly value: number; readonly rise: number; readonly fall: number },
  ): void {
    if (!life.backend.options.on.has("log-health-checks")) return;
    const line = checkLine(of, result, health, this.#names(life));
    if (line !== undefined) this.#ports.log(life.proxy, line);
  }

  #names({ backend, server }: Life): Pick<HealthLineFacts, "proxy" | "server" | "backup"> {
    return { proxy: backend.name, server: server.name, backup: server.backup };
  }

  /** One event and all that follows from it. `between` runs when the state is new and nothing has been said yet. */
  #feed(
    life: Life,
    event: HealthEvent,
    cause: HealthCause,
    between: () => void = () => undefined,
  ): void {
    const before = life.state;
    const { state, actions } = stepHealth(life.settings, before, event);
    life.state = state;
    between();
    if (actions.length > 0) this.#perform(life, before, actions, cause);
    const changed =
      before.operational !== state.operational ||
      inMaintenance(before) !== inMaintenance(state) ||
      before.admin !== state.admin ||
      before.inheritedDrain !== state.inheritedDrain;
    if (!changed) return;
    this.#rampUp(life);
    for (const follower of life.followers) {
      this.#feed(
        follower,
        { type: "tracked", tracked: state, at: this.#ports.now() },
        { type: "track", proxy: life.backend.name, server: life.server.name },
      );
    }
  }

  #perform(
    life: Life,
    before: ServerHealth,
    actions: readonly HealthAction[],
    cause: HealthCause,
  ): void {
    const { proxy, index } = life;
    const servers = this.#servers(life);
    const now = this.#ports.now();
    const hadServer = this.#hasServer(proxy);
    if (actions.some(({ type }) => type === "publish")) {
      publishHealth(servers, index, life.state, life.settings, now);
    }
    // Moving comes before the line, which says how many were moved.
    const requeued = actions.some(({ type }) => type === "redistribute")
      ? this.#ports.redistribute(proxy, index)
      : 0;
    for (const action of actions) {
      if (action.type !== "log") continue;
      const facts = this.#facts(life, requeued);
      this.#ports.log(proxy, healthLine(action.change, before, life.state, facts, cause));
    }
    this.#noteBackend(life, hadServer, now);
    for (const action of actions) {
      switch (action.type) {
        case "shutdown-sessions":
          this.#ports.shutdownSessions(proxy, index);
          break;
        case "shutdown-backup-sessions":
          life.backend.servers.forEach(({ backup }, at) => {
            if (backup) this.#ports.shutdownSessions(proxy, at);
          });
          break;
        case "grab-queue":
          this.#ports.wake(proxy);
          break;
        case "check-soon":
          this.onCheckSoon(proxy, index, action.after);
          break;
        case "set-maxconn":
          Atomics.store(servers.maxconn, index, action.maxconn);
          this.#ports.wake(proxy);
          break;
      }
    }
  }

  #facts(life: Life, requeued: number): HealthLineFacts {
    const servers = this.#servers(life);
    let active = 0;
    let backups = 0;
    for (let i = 0; i < servers.count; i++) {
      if (!canTake(servers, i)) continue;
      if (servers.backup[i] === 1) backups++;
      else active++;
    }
    return {
      ...this.#names(life),
      active,
      backups,
      sessions: Atomics.load(servers.served, life.index),
      requeued,
      queued: Atomics.load(servers.queued, life.index),
    };
  }

  #hasServer(proxy: number): boolean {
    const servers = this.#world.proxies[proxy]?.servers;
    if (servers === undefined) return false;
    for (let i = 0; i < servers.count; i++) if (canTake(servers, i)) return true;
    return false;
  }

  /** Goes with the backend from one server to none and back. */
  #noteBackend({ proxy, backend }: Life, hadServer: boolean, now: Micros): void {
    const own = this.#backends[proxy];
    const hasServer = this.#hasServer(proxy);
    if (own === undefined || hadServer === hasServer) return;
    if (hasServer) own.downtime = micros(own.downtime + Math.max(0, now - own.changedAt));
    else {
      own.timesDown++;
      this.#ports.log(proxy, noServerLine(backend.kind, backend.name));
    }
    own.isDown = !hasServer;
    own.changedAt = now;
    this.onChange(proxy);
  }

  /** `slowstart`: the weight grows in twentieths, at least a second apart. HAProxy configuration manual §5.2, slowstart */
  #rampUp(life: Life): void {
    if (life.state.operational !== "starting" || life.ramp !== undefined) return;
    const step = Math.max(1_000, life.settings.slowstart / 1_000 / 20);
    life.ramp = setTimeout(() => {
      life.ramp = undefined;
      this.#feed(life, { type: "tick", at: this.#ports.now() }, { type: "none" });
      this.#rampUp(life);
    }, step);
    life.ramp.unref();
  }
}

function newLife(
  backend: Backend,
  proxy: number,
  server: Server,
  index: number,
  now: Micros,
): Life {
  const first = firstLife(server, backend.name, now);
  // A server without an address is in maintenance until it has one. HAProxy configuration manual §5.2, init-addr
  const state: ServerHealth = isUnresolved(server.address)
    ? { ...first.state, admin: "maint" }
    : first.state;
  return {
    ...first,
    state,
    proxy,
    index,
    server,
    backend,
    followers: [],
    ramp: undefined,
  };
}

function isUnresolved(address: SocketAddress): boolean {
  return address.kind === "inet" && address.address === undefined;
}
