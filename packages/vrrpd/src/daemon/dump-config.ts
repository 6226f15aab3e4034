import { formatDiagnostic } from "@ha/base";
import { dumpConf, toPlain } from "../core/config/dump.ts";
import type { CliOptions } from "./cli.ts";
import { offlineConfigHost } from "./config-host.ts";
import { missing, NO_CONFIGURATION } from "./config-test.ts";
import { readConfig } from "./read-config.ts";

/** `vrrpd --dump conf|yaml|json [--strict]`: the configuration on standard output, findings on standard error. */
export async function runDump(options: CliOptions): Promise<number> {
  const loaded = await readConfig(options.configFile, {
    host: offlineConfigHost(),
    ...(options.configId === undefined ? {} : { configId: options.configId }),
    allIncludeChecks: options.allIncludeChecks,
  });
  if (loaded === undefined) {
    process.stderr.write(`${formatDiagnostic(missing(options.configFile))}\n`);
    return NO_CONFIGURATION;
  }
  for (const diagnostic of loaded.diagnostics) {
    process.stderr.write(`${formatDiagnostic(diagnostic)}\n`);
  }
  const { strict } = options;
  if (options.dump === "conf") process.stdout.write(dumpConf(loaded.tree, { strict }));
  else {
    const plain = toPlain(loaded.tree, { strict });
    if (options.dump === "json") process.stdout.write(`${JSON.stringify(plain, undefined, 2)}\n`);
    else {
      const { dumpYaml } = await import("../core/config/yaml.ts");
      process.stdout.write(dumpYaml(plain));
    }
  }
  return loaded.hasErrors ? loaded.testExit : 0;
}
