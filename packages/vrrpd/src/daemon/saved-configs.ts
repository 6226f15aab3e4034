import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { formatDiagnostic } from "@ha/base";
import { dumpConf } from "../core/config/dump.ts";
import type { LoadedConfig } from "../core/config/load.ts";
import { writeDump } from "./dump-file.ts";
import type { Log } from "./log.ts";

/**
 * What reloads leave behind for whoever looks for a mistake: `config_save_dir` and the file of `reload_check_config`. Names
 * as keepalived's (observed: keepalived 2.2.7): `keepalived.conf.PID.N`, `keepalived_vrrp.PID.N.pre` and `.post`.
 */
export class SavedConfigs {
  readonly #log: Log;
  /** Reloads so far. */
  #count = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The files as they were read, includes and definitions resolved; 0 is the start's. */
  async configuration({ config, tree }: LoadedConfig): Promise<void> {
    const folder = config.globals.config_save_dir;
    if (folder === undefined) return;
    const text = dumpConf(tree, { strict: false });
    await this.#write(folder, `keepalived.conf.${process.pid}.${this.#count}`, text);
  }

  reloading(): void {
    this.#count++;
  }

  /** The state dump before and after a reload. */
  async state(folder: string | undefined, when: "pre" | "post", dump: () => string): Promise<void> {
    if (folder === undefined) return;
    await this.#write(folder, `keepalived_vrrp.${process.pid}.${this.#count}.${when}`, dump());
  }

  /** Appends what was found in the new configuration. keepalived.conf(5), reload_check_config */
  async findings(file: boolean | string, { diagnostics }: LoadedConfig): Promise<void> {
    if (typeof file !== "string" || diagnostics.length === 0) return;
    const text = diagnostics.map((diagnostic) => `${formatDiagnostic(diagnostic)}\n`).join("");
    try {
      await appendFile(file, text, { mode: 0o600 });
    } catch (error) {
      this.#log.warning(`cannot write ${file}: ${String(error)}`);
    }
  }

  async #write(folder: string, name: string, text: string): Promise<void> {
    try {
      await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST") throw error;
      });
      await writeDump(join(folder, name), text);
    } catch (error) {
      this.#log.warning(`config_save_dir: cannot write ${join(folder, name)}: ${String(error)}`);
    }
  }
}
