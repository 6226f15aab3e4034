import { dumpConfig } from "../core/config/dump.ts";
import type { CommandLine } from "./cli.ts";
import { changeFolder, loadConfiguration, readSources, reportLoaded } from "./config-check.ts";
import { bytesOf } from "./config-text.ts";
import { StartReport, writeAll } from "./start-report.ts";

/** `--dump json`: what the configuration means, on stdout; the exit status is that of `-c`. */
export async function dumpConfiguration(command: CommandLine): Promise<number> {
  const report = new StartReport(command.quiet);
  if (!changeFolder(command, report)) return 1;
  const files = readSources(command, report);
  if (files === undefined) return 1;
  const loaded = await loadConfiguration(command, files);
  if (!reportLoaded(loaded, command, report) || loaded.config === undefined) return 1;
  writeAll(1, bytesOf(`${dumpConfig(loaded.config)}\n`));
  return 0;
}
