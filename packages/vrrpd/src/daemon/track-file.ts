import { type FSWatcher, watch } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { TrackFile } from "../core/config/model.ts";
import type { Log } from "./log.ts";

/** Bytes read of a tracked file; a number is shorter. */
const READ_BYTES = 128;

/**
 * Follows the number in one file by inotify on its folder, so that a file that is replaced, removed or made later is
 * followed too. keepalived.conf(5), track_file.
 */
export class FileTracker {
  readonly config: TrackFile;
  readonly #log: Log;
  readonly #onChange: (value: number) => void;
  #watcher: FSWatcher | undefined;
  #retry: NodeJS.Timeout | undefined;
  #value: number | undefined;
  #reading = false;
  #again = false;
  #stopped = false;

  /** @param onChange Told the number at start and when it changes; 0 while there is no file or no number in it. */
  constructor(config: TrackFile, log: Log, onChange: (value: number) => void) {
    this.config = config;
    this.#log = log;
    this.#onChange = onChange;
  }

  get value(): number {
    return this.#value ?? 0;
  }

  async start(): Promise<void> {
    const { file, init_file: init } = this.config;
    if (init !== undefined) {
      try {
        await writeFile(file, `${init.value}\n`, {
          flag: init.overwrite ? "w" : "wx",
          mode: 0o644,
        });
      } catch (error) {
        const code = error instanceof Error && "code" in error ? error.code : undefined;
        if (code !== "EEXIST") {
          this.#log.warning(
            `track_file ${this.config.name}: cannot write ${file}: ${String(code)}`,
          );
        }
      }
    }
    this.#watch();
    await this.#read();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#watcher?.close();
  }

  #watch(): void {
    const { file, name } = this.config;
    const wanted = basename(file);
    try {
      this.#watcher = watch(dirname(file), (_event, changed) => {
        if (changed === null || changed === wanted) void this.#read();
      });
      this.#watcher.on("error", () => this.#rewatch());
    } catch {
      this.#log.detail(`track_file ${name}: the folder of ${file} does not exist yet`);
      this.#rewatch();
    }
  }

  #rewatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      if (this.#stopped) return;
      this.#watch();
      void this.#read();
    }, 1_000);
  }

  async #read(): Promise<void> {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    do {
      this.#again = false;
      const value = await readNumber(this.config.file);
      if (this.#stopped) break;
      if (value !== this.#value) {
        this.#value = value;
        this.#onChange(value);
      }
    } while (this.#again);
    this.#reading = false;
  }
}

/** The number at the start of a file; 0 when there is none, as keepalived has it. */
export async function readNumber(path: string): Promise<number> {
  try {
    const file = await open(path, "r");
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, 0);
      const match = /^\s*([+-]?\d{1,9})\b/.exec(buffer.toString("latin1", 0, bytesRead));
      return match === null ? 0 : Number(match[1]);
    } finally {
      await file.close();
    }
  } catch {
    return 0;
  }
}
