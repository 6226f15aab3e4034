import { writeSync } from "node:fs";
import { type Finding, formatFinding } from "../core/config/findings.ts";
import { COMPATIBLE_VERSION, PROGRAM_VERSION } from "../core/config/version.ts";
import { bytesOf, configText } from "./config-text.ts";

/** Messages of start-up in HAProxy's form: `[ALERT]    (PID) : text`, after two lines that say who speaks. */
export class StartReport {
  #quiet: boolean;
  readonly #lines: string[] = [];
  #introduced = false;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
  }

  /** From here on nothing is shown: `quiet`. */
  silence(): void {
    this.#quiet = true;
  }

  /** All lines so far, for `show startup-logs`. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  say(level: "NOTICE" | "WARNING" | "ALERT", text: string): void {
    if (!this.#introduced) {
      this.#introduced = true;
      this.#write(
        "NOTICE",
        `haproxy version is ${COMPATIBLE_VERSION} (lbproxy ${PROGRAM_VERSION})`,
      );
      this.#write("NOTICE", `path to executable is ${configText(process.argv[1] ?? "lbproxy")}`);
    }
    this.#write(level, text);
  }

  /** A line of everyday life: nobody needs to be told who speaks. */
  plain(level: "NOTICE" | "WARNING", text: string): void {
    this.#write(level, text);
  }

  /** What was found in a configuration. */
  findings(findings: readonly Finding[]): void {
    for (const finding of findings)
      this.say(LEVEL[finding.severity], `config : ${formatFinding(finding)}`);
  }

  /** A line of a running process. It is not kept: `show startup-logs` ends with the start. */
  running(level: "WARNING" | "ALERT", text: string): void {
    if (!this.#quiet) writeAll(2, bytesOf(lineOf(level, text)));
  }

  #write(level: string, text: string): void {
    const line = lineOf(level, text);
    this.#lines.push(line);
    if (!this.#quiet) writeAll(2, bytesOf(line));
  }
}

function lineOf(level: string, text: string): string {
  return `${`[${level}]`.padEnd(10)} (${process.pid}) : ${text}\n`;
}

const LEVEL = { error: "ALERT", warning: "WARNING", note: "NOTICE" } as const;

/** Writes all of it, to a pipe that is full as well. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EAGAIN") {
        Atomics.wait(SLEEP, 0, 0, 1);
      } else return; // Nobody reads any more.
    }
  }
}

const SLEEP = new Int32Array(new SharedArrayBuffer(4));
