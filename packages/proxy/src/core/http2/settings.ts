import {
  DEFAULT_FRAME_SIZE,
  DEFAULT_WINDOW,
  FLOW_CONTROL_ERROR,
  MAX_WINDOW,
  NO_ERROR,
  PROTOCOL_ERROR,
  readWord,
  SETTING_ENABLE_CONNECT_PROTOCOL,
  SETTING_ENABLE_PUSH,
  SETTING_HEADER_TABLE_SIZE,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_CONCURRENT_STREAMS,
  SETTING_MAX_FRAME_SIZE,
  writeWord,
} from "./frame.ts";

/** What the other end said of itself. RFC 9113 §6.5.2. */
export class PeerSettings {
  initialWindow = DEFAULT_WINDOW;
  frameSize = DEFAULT_FRAME_SIZE;
  /** Streams that we may open; of a server. */
  maxStreams = Number.POSITIVE_INFINITY;
  /** RFC 8441 §3. */
  connectProtocol = false;
  /** It made its HPACK table smaller, and must be told that we use none. RFC 7541 §4.2 */
  mustShrinkTable = false;
  /** By how much the last frame changed the initial window: what every open stream's window changes by. */
  windowChange = 0;

  /** The entries at `start`–`end`, in order. Gives the code that breaks the connection, or NO_ERROR. */
  apply(bytes: Uint8Array, start: number, end: number): number {
    const before = this.initialWindow;
    for (let at = start; at + 6 <= end; at += 6) {
      const name = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      const error = this.#set(name, readWord(bytes, at + 2));
      if (error !== NO_ERROR) return error;
    }
    this.windowChange = this.initialWindow - before;
    return NO_ERROR;
  }

  #set(name: number, value: number): number {
    switch (name) {
      case SETTING_HEADER_TABLE_SIZE:
        if (value < DEFAULT_TABLE) this.mustShrinkTable = true;
        return NO_ERROR;
      case SETTING_ENABLE_PUSH:
        return value > 1 ? PROTOCOL_ERROR : NO_ERROR;
      case SETTING_MAX_CONCURRENT_STREAMS:
        this.maxStreams = value;
        return NO_ERROR;
      case SETTING_INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) return FLOW_CONTROL_ERROR;
        this.initialWindow = value;
        return NO_ERROR;
      case SETTING_MAX_FRAME_SIZE:
        if (value < DEFAULT_FRAME_SIZE || value > 0xff_ffff) return PROTOCOL_ERROR;
        this.frameSize = value;
        return NO_ERROR;
      case SETTING_ENABLE_CONNECT_PROTOCOL:
        if (value > 1 || (this.connectProtocol && value === 0)) return PROTOCOL_ERROR;
        this.connectProtocol = value === 1;
        return NO_ERROR;
      default:
        return NO_ERROR;
    }
  }
}

const DEFAULT_TABLE = 4_096;

/** Writes one entry of a SETTINGS frame; gives the end. */
export function writeSetting(out: Uint8Array, at: number, name: number, value: number): number {
  out[at] = name >> 8;
  out[at + 1] = name;
  return writeWord(out, at + 2, value);
}
