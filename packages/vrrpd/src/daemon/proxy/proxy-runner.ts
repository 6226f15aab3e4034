import { chmodSync, chownSync, closeSync, unlinkSync } from "node:fs";
import { type Clock, micros, type Timer } from "@ha/base";
import {
  PAIR_LINE_VARIABLE,
  type ProxyOrder,
  type ProxyStatus,
  type ProxyWord,
} from "@ha/base/pair-line";
import {
  cleanEnvironment,
  openDatagramReceiver,
  openProcessDescriptor,
  runProgram,
  SystemError,
  whenReadable,
} from "@ha/linux";
import { listenStream } from "@ha/linux/ring";
import { hasHealthLine, type ProxyProgram } from "../../core/config/proxy-model.ts";
import {
  INITIAL_PROXY,
  type ProxyAction,
  type ProxyEvent,
  type ProxySettings,
  type ProxyState,
  type ProxyTimer,
  proxySupervision,
  stepProxy,
} from "../../core/proxy-supervision.ts";
import type { Log } from "../log.ts";
import { HeldListeners } from "./held-listeners.ts";
import { configDigest, proxyCommand } from "./proxy-command.ts";
import { ProxyLine } from "./proxy-line.ts";
import { ProxyOutput } from "./proxy-output.ts";
import type { ProxyPaths } from "./proxy-paths.ts";
import { lives, type ProxyRecord, processStartTime } from "./proxy-record.ts";

export interface ProxyRunnerOptions {
  readonly paths: ProxyPaths;
  readonly clock: Clock;
  readonly log: Log;
  readonly record: ProxyRecord;
  /** What `track_proxy` sees is another. */
  readonly onReport: (name: string, up: boolean, why: string) => void;
  /** For the journal. */
  readonly onEvent: (name: string, text: string) => void;
}

/** Keeps one proxy running: what `proxy-supervision.ts` decides, done. */
export class ProxyRunner {
  readonly #options: ProxyRunnerOptions;
  readonly #held: HeldListeners;
  readonly #timers = new Map<ProxyTimer, Timer>();
  #program: ProxyProgram;
  #settings: ProxySettings;
  #state: ProxyState = INITIAL_PROXY;
  #pid = 0;
  #startTime = "";
  #command = "";
  #digest = "";
  #since = 0;
  #line: ProxyLine | undefined;
  #output: ProxyOutput | undefined;
  #notify: { close(): void } | undefined;
  #stopWatching: (() => void) | undefined;
  #status: ProxyStatus | undefined;
  #stopped: (() => void)[] = [];
  #restartAfterStop = false;
  /** Hears every word of the proxy, as drains do. */
  readonly listeners = new Set<(word: ProxyWord | { readonly type: "gone" }) => void>();

  constructor(program: ProxyProgram, options: ProxyRunnerOptions) {
    this.#program = program;
    this.#options = options;
    this.#settings = settingsOf(program);
    this.#held = new HeldListeners(options.paths.held, program.user);
  }

  get program(): ProxyProgram {
    return this.#program;
  }

  get state(): ProxyState {
    return this.#state;
  }

  /** 0 while none lives. */
  get pid(): number {
    return this.#pid;
  }

  /** Milliseconds of wall-clock time: the start of the process, or when this daemon found it. */
  get since(): number {
    return this.#since;
  }

  /** As it told last; undefined for other programs than lbproxy. */
  get status(): ProxyStatus | undefined {
    return this.#status;
  }

  get heldSockets(): number {
    return this.#held.count;
  }

  /** Whether it can be told to drain. */
  get obeys(): boolean {
    return this.#line !== undefined && this.#state.ready;
  }

  /** Finds the proxy that an earlier daemon has started, or starts one. */
  async start(): Promise<void> {
    const { log, paths, record } = this.#options;
    const { name } = this.#program;
    const output = await ProxyOutput.open(paths.output, (line) =>
      log.info(`proxy ${name}: ${line}`),
    );
    if (typeof output === "string") {
      log.warning(`proxy ${name}: what it prints is lost: ${output}`);
    } else this.#output = output;
    const words = proxyCommand(this.#program);
    const command = typeof words === "string" ? "" : JSON.stringify(words);
    const old = record.get(name);
    if (old === undefined || !lives(old)) {
      this.#step({ type: "start" });
      return;
    }
    this.#pid = old.pid;
    this.#startTime = old.startTime;
    this.#command = old.command;
    this.#digest = old.digest;
    this.#since = Date.now();
    log.notice(`proxy ${name}: found running (pid ${old.pid})`);
    this.#options.onEvent(name, `found running (pid ${old.pid})`);
    this.#watchForeign(old.pid);
    if (hasHealthLine(this.#program)) await this.#reconnect();
    else {
      this.#openNotify();
      this.#step({ type: "adopted", ready: old.ready });
      if (old.ready) this.#fetchListeners();
    }
    if (command !== "" && command !== old.command)
      this.#restart("it is to be started otherwise now");
  }

  /** A new configuration. What counts at a start only starts it anew. */
  async reconfigure(program: ProxyProgram): Promise<void> {
    this.#program = program;
    this.#settings = settingsOf(program);
    this.#step({ type: "settings" });
    const { process } = this.#state;
    if (process.name === "given-up" || process.name === "stopped") {
      this.#step({ type: "start" });
      return;
    }
    const words = proxyCommand(program);
    if (typeof words !== "string" && JSON.stringify(words) !== this.#command) {
      this.#restart("it is to be started otherwise now");
      return;
    }
    if (program.reload === "never" || process.name !== "running") return;
    const digest = await configDigest(program);
    if (program.reload === "on_change" && digest === this.#digest) return;
    this.reload(digest);
  }

  /** SIGUSR2: it reads its files anew. */
  reload(digest?: string): boolean {
    if (this.#state.process.name !== "running") return false;
    const { log, onEvent } = this.#options;
    log.info(`proxy ${this.#program.name}: reloading`);
    onEvent(this.#program.name, "told to reload");
    this.#signal("SIGUSR2");
    if (digest === undefined) {
      void configDigest(this.#program).then((found) => this.#noteDigest(found));
    } else this.#noteDigest(digest);
    return true;
  }

  /** Softly: what is under way is served, up to its limits. Resolves when it has ended. */
  stop(): Promise<void> {
    const { name } = this.#state.process;
    if (name === "stopped" || name === "given-up") {
      this.#held.close();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#stopped.push(resolve);
      this.#step({ type: "stop" });
    });
  }

  /** After a stop, or when it was given up. */
  startAgain(): void {
    this.#step({ type: "start" });
  }

  send(order: ProxyOrder): void {
    this.#line?.send(order);
  }

  /** Lets go of it: it lives on, and the next daemon finds it. */
  leave(): void {
    const { paths } = this.#options;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#stopWatching?.();
    this.#line?.close();
    this.#notify?.close();
    const isOver = this.#pid === 0;
    this.#output?.close(isOver);
    if (isOver) for (const path of [paths.line, paths.notify]) removeSocket(path);
    // Its own descriptors stay open: clients notice nothing.
    this.#held.close();
  }

  #restart(why: string): void {
    this.#options.log.notice(`proxy ${this.#program.name}: stopped and started anew: ${why}`);
    this.#restartAfterStop = true;
    this.#step({ type: "stop" });
  }

  #step(event: ProxyEvent): void {
    const { clock } = this.#options;
    const { state, actions } = stepProxy(this.#settings, this.#state, event, clock.now());
    this.#state = state;
    for (const action of actions) this.#perform(action);
  }

  #perform(action: ProxyAction): void {
    const { clock, log, onReport } = this.#options;
    const { name } = this.#program;
    switch (action.type) {
      case "report":
        onReport(name, action.up, action.why);
        if (action.up) log.notice(`proxy ${name}: up`);
        else log.warning(`proxy ${name}: ${action.why}`);
        return;
      case "set-timer": {
        this.#timers.get(action.timer)?.cancel();
        const which = action.timer;
        this.#timers.set(
          which,
          clock.after(action.after, () => this.#timedOut(which)),
        );
        return;
      }
      case "cancel-timer":
        this.#timers.get(action.timer)?.cancel();
        this.#timers.delete(action.timer);
        return;
      case "spawn":
        this.#spawn();
        return;
      case "signal":
        this.#signal(action.signal);
        return;
      case "close-sockets":
        this.#held.close();
        if (this.#state.process.name === "given-up") {
          log.error(
            `proxy ${name}: given up; a reload of vrrpd or 'vrrpctl proxy start' tries again`,
          );
        }
        return;
      case "stopped":
        if (this.#restartAfterStop) {
          this.#restartAfterStop = false;
          this.#step({ type: "start" });
          return;
        }
        for (const done of this.#stopped.splice(0)) done();
    }
  }

  /** A loop of ours that stood still must not be taken for a frozen proxy: what has come in is read first. */
  #timedOut(timer: ProxyTimer): void {
    this.#timers.delete(timer);
    if (timer !== "heartbeat") {
      this.#step({ type: "timer", timer });
      return;
    }
    setImmediate(() =>
      setImmediate(() => {
        // A beat has set it anew.
        if (!this.#timers.has("heartbeat")) this.#step({ type: "timer", timer });
      }),
    );
  }

  #spawn(): void {
    const { log, paths, onEvent } = this.#options;
    const program = this.#program;
    const { name, user } = program;
    const words = proxyCommand(program);
    if (typeof words === "string") {
      log.error(`proxy ${name}: ${words}`);
      this.#later({ type: "exited", code: undefined, words });
      return;
    }
    const withLine = hasHealthLine(program);
    const line = withLine ? bindLine(paths.line, user) : undefined;
    if (line instanceof Error) {
      log.error(`proxy ${name}: ${line.message}`);
      this.#later({ type: "exited", code: undefined, words: line.message });
      return;
    }
    if (!withLine) this.#openNotify();
    const output = this.#output?.descriptor();
    const own: Record<string, string> = withLine
      ? {
          [PAIR_LINE_VARIABLE]: "4",
          ...(program.process_name === undefined
            ? {}
            : { LBPROXY_PROCESS_NAME: program.process_name }),
        }
      : { NOTIFY_SOCKET: paths.notify };
    const [first, ...rest] = words;
    const at = first === process.execPath ? 1 : 0;
    // The sockets that are held stand before its own arguments.
    const handed = this.#held.count === 0 ? [] : ["-x", paths.held];
    const argv: [string, ...string[]] = [first, ...rest.slice(0, at), ...handed, ...rest.slice(at)];
    const run = runProgram({
      argv,
      environment: { ...cleanEnvironment(), ...own },
      endWithParent: false,
      ...(user === undefined ? {} : { credentials: { uid: user.uid, gid: user.gid } }),
      ...(line === undefined ? {} : { descriptors: [line] }),
      ...(output === undefined ? { outputBytes: 0 } : { output }),
      limits: {
        ...(program.limit_nofile === undefined ? {} : { nofile: program.limit_nofile }),
        ...(program.limit_core === undefined ? {} : { core: program.limit_core }),
      },
    });
    if (line !== undefined) closeSync(line);
    if (output !== undefined) closeSync(output);
    const { pid } = run;
    this.#pid = pid;
    this.#startTime = processStartTime(pid) ?? "";
    this.#command = JSON.stringify(words);
    this.#since = Date.now();
    this.#status = undefined;
    log.info(`proxy ${name}: started (pid ${pid})`);
    onEvent(name, `started (pid ${pid})`);
    this.#remember();
    void configDigest(program).then((digest) => this.#noteDigest(digest));
    if (withLine) this.#connect();
    void run.done.then((result) => {
      if (this.#pid !== pid) return;
      if (result.type === "not-executed") this.#ended(undefined, result.error.message);
      else if (result.type === "exited") this.#ended(result.code, `exit code ${result.code}`);
      else this.#ended(undefined, result.type === "signalled" ? result.signal : result.type);
    });
  }

  /** What fails at once is told after whoever asked has finished. */
  #later(event: ProxyEvent): void {
    setImmediate(() => this.#step(event));
  }

  #ended(code: number | undefined, words: string): void {
    const { log, record, onEvent } = this.#options;
    const { name } = this.#program;
    this.#pid = 0;
    this.#line?.close();
    this.#line = undefined;
    this.#status = undefined;
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    record.delete(name);
    const text = `ended (${words})`;
    if (this.#state.process.name === "stopping") log.info(`proxy ${name}: ${text}`);
    else log.error(`proxy ${name}: ${text}`);
    onEvent(name, text);
    this.#tell({ type: "gone" });
    this.#step({ type: "exited", code, words });
  }

  /** Of a process that is not our child. */
  #watchForeign(pid: number): void {
    const fd = openProcessDescriptor(pid);
    if (fd instanceof SystemError) {
      this.#later({ type: "exited", code: undefined, words: "it is gone" });
      return;
    }
    this.#stopWatching = whenReadable(fd, () => this.#ended(undefined, "it is gone"));
  }

  #connect(): void {
    const line: ProxyLine = new ProxyLine(this.#options.paths.line, {
      word: (word) => this.#hear(word),
      closed: (why) => {
        if (this.#line !== line) return;
        this.#line = undefined;
        this.#options.log.detail(`proxy ${this.#program.name}: ${why}`);
        this.#tell({ type: "gone" });
        // While it lives there is a line; while it has none it is silent, and counts as frozen.
        if (this.#pid !== 0) setTimeout(() => this.#connectAgain(), RECONNECT_MS).unref();
      },
    });
    this.#line = line;
  }

  #connectAgain(): void {
    if (this.#pid !== 0 && this.#line === undefined) this.#connect();
  }

  /** Resolves when an adopted proxy has said how it is, or will not. */
  #reconnect(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(limit);
        this.listeners.delete(hear);
        resolve();
      };
      const hear = ({ type }: { readonly type: string }): void => {
        // The first beat comes after all that there is to tell.
        if (type === "beat" || type === "gone") done();
      };
      const limit = setTimeout(done, ADOPT_MS);
      this.listeners.add(hear);
      // What it says first is heard by a state that knows it as running.
      this.#step({ type: "adopted", ready: false });
      this.#connect();
    });
  }

  #hear(word: ProxyWord): void {
    const { log, onEvent } = this.#options;
    const { name } = this.#program;
    switch (word.type) {
      case "ready":
        onEvent(name, "is ready");
        this.#step({ type: "ready" });
        this.#remember();
        this.#fetchListeners();
        break;
      case "beat":
        this.#step({ type: "beat" });
        break;
      case "listener": {
        const text = `${word.up ? "listens again" : "does not listen any more"} on ${word.name}${word.why === "" ? "" : `: ${word.why}`}`;
        log.notice(`proxy ${name}: ${text}`);
        onEvent(name, text);
        this.#step({ type: "listener", name: word.name, up: word.up });
        break;
      }
      case "backend": {
        const text = word.up
          ? `a server is there again in ${word.name}`
          : `no server is left in ${word.name}`;
        log.notice(`proxy ${name}: ${text}`);
        onEvent(name, text);
        this.#step({ type: "backend", name: word.name, up: word.up });
        break;
      }
      case "worker-crashed": {
        const text = `worker ${word.pid} crashed (${word.words})`;
        log.error(`proxy ${name}: ${text}`);
        onEvent(name, text);
        this.#step({ type: "worker-crashed" });
        break;
      }
      case "status":
        this.#status = word.status;
        break;
      case "stopping":
        onEvent(name, "is stopping");
        break;
      case "hello":
      case "drain":
      case "cut":
        break;
    }
    this.#tell(word);
  }

  #tell(word: ProxyWord | { readonly type: "gone" }): void {
    for (const listener of [...this.listeners]) listener(word);
  }

  /** `NOTIFY_SOCKET` of a program that has no line. */
  #openNotify(): void {
    const { paths, log } = this.#options;
    const { name, user } = this.#program;
    this.#notify?.close();
    this.#notify = undefined;
    removeSocket(paths.notify);
    const before = process.umask(0o177);
    try {
      this.#notify = openDatagramReceiver(paths.notify, (text) => {
        if (!/^READY=1$/m.test(text)) return;
        this.#options.onEvent(name, "is ready");
        this.#step({ type: "ready" });
        this.#remember();
        this.#fetchListeners();
      });
      if (user !== undefined) chownSync(paths.notify, user.uid, user.gid);
    } catch (error) {
      log.error(`proxy ${name}: it cannot say that it is ready: ${String(error)}`);
    } finally {
      process.umask(before);
    }
  }

  #fetchListeners(): void {
    const { restart_before_failover: hold, stats_socket: statsSocket } = this.#program;
    if (hold === 0) {
      this.#held.close();
      return;
    }
    const from = hasHealthLine(this.#program) ? this.#options.paths.line : statsSocket;
    if (from === undefined) return;
    const { pid } = this;
    void this.#held.fetch(from).then((good) => {
      const { log } = this.#options;
      const { name } = this.#program;
      if (good) log.info(`proxy ${name}: ${this.#held.count} listening sockets are held`);
      else if (this.#pid === pid)
        log.warning(`proxy ${name}: it does not give its listening sockets (${from})`);
    });
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#pid;
    if (pid === 0 || processStartTime(pid) !== this.#startTime) return;
    try {
      // Its workers end with it: they may be what hangs. It leads a group of its own.
      process.kill(signal === "SIGKILL" ? -pid : pid, signal);
    } catch (error) {
      this.#options.log.warning(`proxy ${this.#program.name}: ${signal}: ${String(error)}`);
    }
  }

  #noteDigest(digest: string): void {
    this.#digest = digest;
    this.#remember();
  }

  #remember(): void {
    if (this.#pid === 0) return;
    this.#options.record.set({
      name: this.#program.name,
      pid: this.#pid,
      startTime: this.#startTime,
      ready: this.#state.ready,
      command: this.#command,
      digest: this.#digest,
    });
  }
}

/** Milliseconds until a line that broke is tried again. */
const RECONNECT_MS = 100;
/** Milliseconds that a proxy found running has to say how it is, before the election begins. */
const ADOPT_MS = 500;
const BACKLOG = 8;

function settingsOf(program: ProxyProgram): ProxySettings {
  const line = hasHealthLine(program);
  return {
    supervision: proxySupervision({
      firstWait: program.restart_delay,
      longestWait: program.restart_delay_max,
      deaths: program.restart_limit.deaths,
      within: program.restart_limit.within,
    }),
    startTimeout: program.start_timeout,
    heartbeatTimeout: line ? program.heartbeat_timeout : NEVER,
    restartBeforeFailover: program.restart_before_failover,
    stopTimeout: program.stop_timeout,
    downWithoutServers: program.down_without_servers,
  };
}

const NEVER = micros(0);

/** The listening socket that the proxy inherits: in a path that only we (and its user) can reach. */
function bindLine(
  path: string,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): number | Error {
  removeSocket(path);
  const before = process.umask(0o177);
  const fd = listenStream({ address: { kind: "unix", path }, backlog: BACKLOG, reusePort: false });
  process.umask(before);
  if (typeof fd !== "number") {
    return new Error(`cannot ${fd.operation} ${path} (error ${-fd.errno})`);
  }
  chmodSync(path, 0o600);
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
  return fd;
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not there.
  }
}
