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
/** Milliseconds that a peer has to acknowledge our settings, and that a closing connection may linger. */
export const SETTINGS_TIME = 10_000;
/** Body bytes that one connection may have waiting for servers before its window is not opened any more. */
export const MAX_WAITING = 262_144;
/** Buffers that wait so: with them all taken the connection is not read. */
export const MAX_WAITING_BUFFERS = 64;
/** Bytes queued for one peer, answers to its own frames, before it is not read any more: it must take them first. */
export const MAX_UNREAD_ANSWERS = 65_536;
