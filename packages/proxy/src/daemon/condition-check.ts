import { evaluateCondition } from "../core/config/condition.ts";
import { COMPATIBLE_VERSION } from "../core/config/version.ts";
import { ENABLED, FEATURES, sslLibrary } from "./build-facts.ts";
import type { CommandLine } from "./cli.ts";
import { environmentFor } from "./config-environment.ts";
import { configText } from "./config-text.ts";
import { StartReport } from "./start-report.ts";

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
