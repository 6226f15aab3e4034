import { type LoadedConfig, type LoadOptions, loadConfig } from "../core/config/load.ts";

/** Reads a configuration in whichever language its name says. YAML is loaded only for a file that is YAML. */
export async function readConfig(
  file: string,
  options: LoadOptions,
): Promise<LoadedConfig | undefined> {
  if (!/\.ya?ml$/.test(file)) return loadConfig(file, options);
  const { loadYamlConfig } = await import("../core/config/yaml.ts");
  return loadYamlConfig(file, options);
}
