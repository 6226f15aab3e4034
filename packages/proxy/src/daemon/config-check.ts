import { writeSync } from "node:fs";
import { evaluateCondition } from "../core/config/condition.ts";
import { type Finding, formatFinding } from "../core/config/findings.ts";
import { type LoadedConfig, readConfig } from "../core/config/load.ts";
import type { SourceFile } from "../core/config/preprocess.ts";
import { COMPATIBLE_VERSION, PROGRAM_VERSION } from "../core/config/version.ts";
import { ENABLED, FEATURES, sslLibrary } from "./build-facts.ts";
import type { CommandLine } from "./cli.ts";
import { bytesOf, configText, createConfigHost, reasonOf, resolveNames } from "./config-host.ts";

/** Messages of start-up in HAProxy's form: `[ALERT]    (PID) : text`, after two lines that say who speaks. */
export class StartReport {
  readonly #quiet: boolean;
  readonly #lines: string[] = [];
  #introduced = false;

  constructor(quiet: boolean) {
    this.#quiet = quiet;
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

  /** What was found in a configuration. */
  findings(findings: readonly Finding[]): void {
    for (const finding of findings)
      this.say(LEVEL[finding.severity], `config : ${formatFinding(finding)}`);
  }

  #write(level: string, text: string): void {
    const line = `${`[${level}]`.padEnd(10)} (${process.pid}) : ${text}\n`;
    this.#lines.push(line);
    if (!this.#quiet) writeAll(2, bytesOf(line));
  }
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

/** The files that `-f` and `--` name, read; undefined after saying which cannot be. */
export function readSources(
  command: CommandLine,
  report: StartReport,
): readonly SourceFile[] | undefined {
  const host = createConfigHost();
  const files: SourceFile[] = [];
  for (const given of command.files) {
    const name = configText(given);
    const names =
      host.kindOf(name) === "folder"
        ? host
            .listFolder(name)
            .filter((entry) => entry.endsWith(".cfg") && !entry.startsWith("."))
            .map((entry) => (name.endsWith("/") ? name + entry : `${name}/${entry}`))
            .filter((path) => host.kindOf(path) === "file")
        : [name];
    for (const path of names) {
      const read = host.readFile(path);
      if (!read.ok) {
        report.say(
          "ALERT",
          `config : Cannot open configuration file/directory ${path} : ${read.error}`,
        );
        return undefined;
      }
      const { value } = read;
      const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
      files.push({ name: path, text });
    }
  }
  return files;
}

/** Environment variables that HAProxy itself provides to a configuration. HAProxy configuration manual §2.3. */
function environmentFor(command: CommandLine, hostname: string): Map<string, string> {
  const environment = new Map<string, string>();
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined) environment.set(configText(name), configText(value));
  }
  const peer = command.localPeer;
  environment.set("HAPROXY_LOCALPEER", peer === undefined ? hostname : configText(peer));
  environment.set("HAPROXY_CFGFILES", command.files.map(configText).join(";"));
  environment.set("HAPROXY_BRANCH", COMPATIBLE_VERSION.replace(/-.*/, ""));
  environment.set("HAPROXY_MWORKER", command.masterWorker ? "1" : "0");
  return environment;
}

/** Reads, resolves and checks. The findings are not reported yet. */
export async function loadConfiguration(
  command: CommandLine,
  files: readonly SourceFile[],
): Promise<LoadedConfig> {
  const host = createConfigHost();
  const { checkRules } = await import("../core/config/rule-check.ts");
  const pending = readConfig(files, {
    host:
      command.localPeer === undefined ? host : { ...host, hostname: configText(command.localPeer) },
    environment: environmentFor(command, host.hostname),
    commandLine: { maxconn: command.maxconn, ignoreUnresolved: command.ignoreUnresolved },
    noServerVerify: command.noServerVerify,
    diagnosticMode: command.diagnostic,
    version: COMPATIBLE_VERSION,
    features: FEATURES,
    enabled: ENABLED,
    sslLibrary: sslLibrary(),
    checkRules,
  });
  if (pending.names.length > 0) await resolveNames(pending.names);
  return pending.finish();
}

/** Reports findings and HAProxy's closing lines; true when the configuration can be used. */
export function reportLoaded(
  loaded: LoadedConfig,
  command: CommandLine,
  report: StartReport,
): boolean {
  const { findings, filesWithErrors } = loaded;
  report.findings(findings.list);
  for (const name of filesWithErrors) {
    report.say("ALERT", `config : Error(s) found in configuration file : ${name}`);
  }
  if (findings.errors > 0) {
    report.say("ALERT", "config : Fatal errors found in configuration.");
    return false;
  }
  if (findings.warnings > 0 && command.warningsAreErrors) {
    report.say("ALERT", "config : Some warnings were found and 'zero-warning' is set. Aborting.");
    return false;
  }
  return true;
}

/** `-c`: the exit status. HAProxy management guide §3; observed: haproxy 2.6.12. */
export async function checkConfiguration(command: CommandLine): Promise<number> {
  const report = new StartReport(command.quiet);
  if (!changeFolder(command, report)) return 1;
  const files = readSources(command, report);
  if (files === undefined) return 1;
  const loaded = await loadConfiguration(command, files);
  if (!reportLoaded(loaded, command, report)) return 1;
  if (command.verbose) {
    const warned = loaded.findings.warnings > 0 ? "Warnings were found.\n" : "";
    writeAll(1, bytesOf(`${warned}Configuration file is valid\n`));
  }
  return 0;
}

/** `-C`: where paths are relative to. */
export function changeFolder({ folder }: CommandLine, report: StartReport): boolean {
  if (folder === undefined) return true;
  try {
    process.chdir(folder);
    return true;
  } catch (error) {
    report.say("ALERT", `Could not change to directory ${configText(folder)} : ${reasonOf(error)}`);
    return false;
  }
}

/** `-cc`: 0 true, 1 false, 2 not understood. */
export function checkCondition(command: CommandLine): number {
  const report = new StartReport(command.quiet);
  const result = evaluateCondition(configText(command.condition), {
    environment: environmentFor(command, ""),
    version: COMPATIBLE_VERSION,
    features: FEATURES,
    enabled: ENABLED,
    sslLibrary: sslLibrary(),
  });
  if (result.ok) return result.value ? 0 : 1;
  report.say("ALERT", `config : Failed to evaluate condition: ${result.error.message}`);
  return 2;
}
