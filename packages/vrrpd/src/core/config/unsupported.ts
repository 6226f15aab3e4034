/**
 * Keywords that are read and checked but do nothing yet, by name. Each one is warned about where it is written, which
 * leaves the exit code of `-t` alone. A keyword leaves this list with the change that makes it work.
 */
export const unsupported: ReadonlySet<string> = new Set<string>([]);
