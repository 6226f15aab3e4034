import type { Micros } from "@ha/base";
import { RESUME_INTERVAL } from "./limits.ts";
import type { Router } from "./router.ts";

/** What a master leaves behind (in `/run`, or with the guard), so that its successor may go on in its place. */
export interface ResumeRecord {
  /** Of this boot of the host: times below mean nothing after another. */
  readonly bootId: string;
  /** When the last advert went out, the guard's included: on a clock that successor and predecessor share. */
  readonly lastAdvert: Micros;
  /** When a successor last went on like this; undefined: never. */
  readonly lastResume: Micros | undefined;
}

/**
 * Whether a started daemon may go on as master, without an election: the last advert is so young that no peer can have
 * missed the last one it waits for, the host was not booted meanwhile, and it is not the second time within a minute, so
 * that a crash loop does fail over.
 */
export function mayResume(
  record: ResumeRecord,
  { router, now, bootId }: { router: Router; now: Micros; bootId: string },
): boolean {
  if (record.bootId !== bootId) return false;
  const silence = now - record.lastAdvert;
  const allowed = Math.max(1, router.downTimerAdverts - 1) * router.interval;
  if (silence < 0 || silence > allowed) return false;
  return record.lastResume === undefined || now - record.lastResume >= RESUME_INTERVAL;
}
