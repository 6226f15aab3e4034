/**
 * What a peer on an HTTP/2 connection may make grow, beside what the configuration sets (`tune.h2.*`). Each is reached
 * by a test.
 */

/** Bytes of a header block, all its frames together. HAProxy's: one buffer. */
export const MAX_BLOCK = 16_384;
/** CONTINUATION frames of one block: HAProxy's and every browser's blocks take none. */
export const MAX_CONTINUATIONS = 16;
/**
 * Bytes of a request's fields as SETTINGS_MAX_HEADER_LIST_SIZE counts them; more is answered with 431. The same as a
 * buffer, which the head must fit in.
 */
export const MAX_LIST = 16_384;
/** Bytes of a field section after the body. */
export const MAX_TRAILERS = 8_192;
/** Entries of one SETTINGS frame: there are not ten settings. */
export const MAX_SETTINGS = 32;
/** Receive window of a whole connection: its streams' windows bound it further. */
export const CONNECTION_WINDOW = 1_048_576;
/** Bytes on their way to a peer before it is not read any more: it must take first what it asked for. */
export const MAX_UNSENT = 1_048_576;
