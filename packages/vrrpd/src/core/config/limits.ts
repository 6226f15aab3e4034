/**
 * What a configuration may cost to read. Each limit is far above anything in use (keepalived's own example of 65,024
 * instances fits) and ends a hostile or broken file with a message instead of with all memory or time gone.
 */
export interface Limits {
  /** Characters of one file. */
  readonly fileLength: number;
  /** Characters of one line, before and after definitions are replaced. */
  readonly lineLength: number;
  /** Lines in all, after includes, sequences and definitions. */
  readonly lines: number;
  /** Files in all. */
  readonly files: number;
  /** Files that include one another. */
  readonly includeDepth: number;
  /** Definitions replaced in one line, which ends `$A=$B`, `$B=$A`. */
  readonly replacements: number;
  /** Multi-line definitions and sequences inside one another. */
  readonly expansionDepth: number;
  /** Blocks inside one another. */
  readonly blockDepth: number;
  /** Findings that are kept; more are counted only. */
  readonly findings: number;
}

export const defaultLimits: Limits = {
  fileLength: 64 * 1024 * 1024,
  lineLength: 256 * 1024,
  lines: 2_000_000,
  files: 4096,
  includeDepth: 32,
  replacements: 1000,
  expansionDepth: 32,
  blockDepth: 64,
  findings: 1000,
};
