/** The HAProxy version whose configuration language, command line and socket commands this program answers to. */
export const COMPATIBLE_VERSION = "3.5-dev5";

/** What `-v` shows; the compatible level comes first, since scripts read it as HAProxy's. */
export const PROGRAM_VERSION = "0.1.0";

/**
 * Compares versions as HAProxy does: `[v]MAJOR.MINOR[.PATCH][-devN|-rcN|-preN][-COMMITS]`; anything after is
 * ignored, and what is no number counts as 0. A development version comes before its release.
 * HAProxy configuration manual §2.4, version_atleast. Negative when `a` is older.
 */
export function compareVersions(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  for (let i = 0; i < left.length; i++) {
    const difference = (left[i] as number) - (right[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Major, minor, patch, stage (dev 0, rc 1, release 2), number in the stage, commits after. */
function parts(version: string): readonly number[] {
  const match =
    /^v?(\d+)?(?:\.(\d+))?(?:\.(\d+))?(?:-(dev|rc|pre)(\d+)?)?(?:-(\d+))?/.exec(version) ?? [];
  const [, major, minor, patch, stage, stageNumber, commits] = match;
  const stageRank = stage === undefined ? 2 : stage === "dev" ? 0 : 1;
  return [major, minor, patch, stageRank, stageNumber, commits].map((part) => Number(part ?? 0));
}
