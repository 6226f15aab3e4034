import { seconds } from "@ha/base";

/** Restorations of addresses in one `RESTORE_WINDOW` before we stop fighting whoever removes them. Ours. */
export const RESTORE_LIMIT = 5;
export const RESTORE_WINDOW = seconds(10);

/** Senders whose HMAC sequence is remembered by a multicast router. observed: keepalived 2.4.3. */
export const REPLAY_SLOTS = 4;

/** Senders that are counted one by one; more share the entry of none. A flood may forge sources. Ours. */
export const COUNTED_PEERS = 64;

/** Decoded adverts that are kept, since the next one is nearly always the same bytes. Ours. */
export const REMEMBERED_ADVERTS = 4;

/** Resumptions as master are this far apart at least, so that a crash loop does fail over. Ours. */
export const RESUME_INTERVAL = seconds(60);
