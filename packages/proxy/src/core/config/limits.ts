/** Words of one line. HAProxy: MAX_LINE_ARGS; observed: haproxy 2.6.12. */
export const MAX_WORDS = 64;

/** Characters of one line; HAProxy grows its buffer, we stop a file that is none. */
export const MAX_LINE_LENGTH = 1 << 20;

/** Nested `.if` blocks; observed: haproxy 2.6.12 allows 16 and more are an error in HAProxy 3.x. */
export const MAX_NESTED_CONDITIONS = 64;

/** The greatest timer, in milliseconds: a signed 32-bit tick. HAProxy configuration manual §2.5. */
export const MAX_TIMER_MILLISECONDS = 2_147_483_647;

/** Instances of one `server-template`. */
export const MAX_TEMPLATE_SERVERS = 65_535;

/** Addresses that one `bind` line may spread out to: all ports of a few addresses. */
export const MAX_BIND_ADDRESSES = 4 * 65_536;

/** `nbthread`; HAProxy: MAX_THREADS on 64 bit, observed: haproxy 2.6.12. */
export const MAX_THREADS = 64;
