import { mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Report } from "../core/report.ts";
import { writeDump } from "./dump-file.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";

/**
 * Which instances a switchover has made backup for good: until the peer fails, or the operator ends it. The core knows
 * it while it is backup; this knows it over a FAULT in between, and over a restart of the daemon.
 */
export class StandingAside {
  readonly #path: string;
  readonly #log: Log;
  readonly #names: Set<string>;
  #writing: Promise<void> = Promise.resolve();

  /** @param path A file in /run: a host that starts anew has an election. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#names = readNames(path);
    for (const name of this.#names) {
      log.notice(
        `(${name}) stays backup because of a switchover: vrrpctl switchover --back ends it`,
      );
    }
  }

  onReport({ name, router }: InstanceRuntime, report: Report): void {
    if (report.type !== "state") return;
    if (report.to === "master") this.#change(name, false);
    else if (report.to !== "backup") return;
    else if (report.why === "switchover") this.#change(name, true);
    else if (this.#names.has(name)) router.handle({ type: "switchover" });
  }

  /** The election is by priority again. */
  end({ name, router }: InstanceRuntime): void {
    this.#change(name, false);
    router.handle({ type: "switchover-back" });
  }

  #change(name: string, aside: boolean): void {
    if (this.#names.has(name) === aside) return;
    if (aside) this.#names.add(name);
    else this.#names.delete(name);
    const text = `${JSON.stringify([...this.#names])}\n`;
    this.#writing = this.#writing.then(async () => {
      try {
        mkdirSync(dirname(this.#path), { recursive: true, mode: 0o755 });
        await writeDump(this.#path, text);
      } catch (error) {
        this.#log.warning(`a switchover will not survive a restart: ${String(error)}`);
      }
    });
  }
}

function readNames(path: string): Set<string> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (!Array.isArray(value)) return new Set();
    return new Set(value.filter((name) => typeof name === "string"));
  } catch {
    return new Set();
  }
}
