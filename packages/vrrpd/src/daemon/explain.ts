import type { CliOptions } from "./cli.ts";

export async function runExplain(_options: CliOptions): Promise<number> {
  return 0;
}
