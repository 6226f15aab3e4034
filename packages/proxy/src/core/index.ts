export { dumpConfig } from "./config/dump.ts";
export { type Finding, Findings, formatFinding } from "./config/findings.ts";
export type { ConfigHost, NameToResolve } from "./config/host.ts";
export {
  type LoadedConfig,
  type LoadOptions,
  type PendingConfig,
  readConfig,
} from "./config/load.ts";
export { memoryConfigHost, resolveInMemory } from "./config/memory-host.ts";
export type { Config, Global } from "./config/model.ts";
export type { Backend, Frontend } from "./config/proxy-model.ts";
export { haproxyReferencePage, keywordTables } from "./config/reference-page.ts";
export { checkRules } from "./config/rule-check.ts";
