import { realpathSync, type Stats, statSync } from "node:fs";

/** What is at a path; undefined for every reason not to know, a path that cannot be one among them. */
export function fileStatus(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** The path without symbolic links, or as it is where that cannot be told. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
