import type { ConfigHost } from "../core/config/host.ts";
import { type LoadedConfig, readConfig } from "../core/config/load.ts";
import type { SourceFile } from "../core/config/preprocess.ts";
import { COMPATIBLE_VERSION } from "../core/config/version.ts";
import { ENABLED, FEATURES, sslLibrary } from "./build-facts.ts";
import type { CommandLine } from "./cli.ts";
import { environmentFor } from "./config-environment.ts";
import { createConfigHost, reasonOf, resolveNames } from "./config-host.ts";
import { bytesOf, configText } from "./config-text.ts";
import { StartReport, writeAll } from "./start-report.ts";

export { StartReport, writeAll };

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

/** Reads, resolves and checks. The findings are not reported yet. */
export async function loadConfiguration(
  command: CommandLine,
  files: readonly SourceFile[],
  host: ConfigHost = createConfigHost(),
): Promise<LoadedConfig> {
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
  const loaded = pending.finish();
  const { config } = loaded;
  if (config === undefined || !command.without.has("reuseport")) return loaded;
  return { ...loaded, config: { ...config, global: { ...config.global, noReusePort: true } } };
}

/** Reports findings and HAProxy's closing lines; true when the configuration can be used. */
export function reportLoaded(
  loaded: LoadedConfig,
  command: CommandLine,
  report: StartReport,
): boolean {
  const { findings, filesWithErrors } = loaded;
  if (loaded.config?.global.quiet === true) report.silence();
  report.findings(findings.list);
  for (const name of filesWithErrors) {
    report.say("ALERT", `config : Error(s) found in configuration file : ${name}`);
  }
  if (findings.errors > 0) {
    report.say("ALERT", "config : Fatal errors found in configuration.");
    return false;
  }
  const strict = command.warningsAreErrors || loaded.config?.global.zeroWarning === true;
  if (findings.warnings > 0 && strict) {
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
