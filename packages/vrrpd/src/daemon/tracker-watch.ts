import { toMilliseconds } from "@ha/base";
import { describe, firstLines } from "./notify-queue.ts";
import type { ScriptStatus } from "./track-script.ts";
import type { Trackers } from "./trackers.ts";

/** Says what has become different about the things that are tracked, each time it is asked. */
export class TrackerWatch {
  readonly #known = new Map<string, string>();

  /** Names and what happened, since the last time. The first time nothing is news. */
  changes({ scripts, files, processes, bfd }: Trackers): { name: string; text: string }[] {
    const found: { name: string; text: string }[] = [];
    const compare = (name: string, value: string, text: () => string): void => {
      const before = this.#known.get(name);
      this.#known.set(name, value);
      if (before !== undefined && before !== value) found.push({ name, text: text() });
    };
    for (const script of scripts) {
      compare(script.name, script.state, () => `script ${scriptText(script)}`);
    }
    for (const { name, value } of files) {
      compare(name, String(value), () => `track_file ${name} says ${value}`);
    }
    for (const { name, up, count } of processes) {
      compare(
        name,
        String(up),
        () => `process ${name} is ${up ? "up" : "down"} (${count} running)`,
      );
    }
    for (const { name, state } of bfd) {
      compare(name, state, () => `BFD session ${name} is ${state}`);
    }
    return found;
  }
}

/** Name, verdict and last run of a script in one line. */
export function scriptText({ name, state, last }: ScriptStatus): string {
  if (last === undefined) return `${name} is ${state}`;
  const said = firstLines(last.output);
  const end = describe(last.outcome) ?? "succeeded";
  const took = Math.round(toMilliseconds(last.duration));
  return `${name} is ${state}: it ${end} after ${took} ms${said === "" ? "" : `, saying "${said}"`}`;
}
