import { accessSync, appendFileSync, constants } from "node:fs";
import { type Diagnostic, formatDiagnostic } from "@ha/base";
import type { LoadedConfig } from "../core/config/load.ts";
import type { CliOptions } from "./cli.ts";
import { linuxConfigHost, offlineConfigHost } from "./config-host.ts";
import { fileStatus } from "./file-status.ts";
import { readConfig } from "./read-config.ts";

/** Exit code of keepalived when there is no configuration file. observed: keepalived 2.4.3 */
export const NO_CONFIGURATION = 6;

/**
 * `vrrpd -t [--config-test=LOG]`: every finding at once, on standard error or appended to the file; with `--json` on
 * standard output. Gives keepalived's exit code: 0, 2, 4, 5 or 6 (`core/config/verdict.ts`).
 */
export async function runConfigTest(options: CliOptions): Promise<number> {
  const host = options.offline ? offlineConfigHost() : linuxConfigHost();
  const loaded = await readConfig(options.configFile, {
    host,
    ...(options.configId === undefined ? {} : { configId: options.configId }),
    allIncludeChecks: options.allIncludeChecks,
  });
  if (loaded === undefined) {
    report(options, [missing(options.configFile)], NO_CONFIGURATION);
    return NO_CONFIGURATION;
  }
  report(options, loaded.diagnostics, loaded.testExit);
  return loaded.testExit;
}

export function missing(file: string): Diagnostic {
  return {
    severity: "error",
    code: "config/include-missing",
    message: `cannot read the configuration file ${file}: ${whyUnreadable(file)}`,
    hint: "name another with -f FILE",
  };
}

export function whyUnreadable(file: string): string {
  const found = fileStatus(file);
  if (found === undefined) return "it is not there";
  if (found.isDirectory()) return "it is a folder";
  try {
    accessSync(file, constants.R_OK);
    return "it is no ordinary file";
  } catch {
    return `user ${process.geteuid?.()} may not read it`;
  }
}

function report(
  { configTest, json }: CliOptions,
  diagnostics: LoadedConfig["diagnostics"],
  exit: number,
): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ exit, diagnostics }, undefined, 2)}\n`);
    return;
  }
  const text = diagnostics.map((diagnostic) => `${formatDiagnostic(diagnostic)}\n`).join("");
  if (typeof configTest === "string") appendFileSync(configTest, text);
  else process.stderr.write(text);
}
