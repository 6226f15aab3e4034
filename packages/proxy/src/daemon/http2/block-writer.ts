import {
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_CONTINUATION,
  FRAME_HEADER,
  FRAME_HEADERS,
  writeFrameHeader,
} from "../../core/http2/frame.ts";
import { writeTableSizeZero } from "../../core/http2/hpack-encoder.ts";
import type { PeerSettings } from "../../core/http2/settings.ts";
import { writeTrailerBlock } from "../../core/http2/trailer-block.ts";
import type { DataPlane } from "../data-plane.ts";
import type { FrameOutput } from "./frame-output.ts";
import { NO_FRAME } from "./http2-stream.ts";

/** What makes a header block. */
export interface BlockMaker {
  /** Writes it to `at` in `out`, not past `limit`: the end, or -1 when there is no room. */
  makeBlock(out: Uint8Array, at: number, limit: number): number;
}

/** Room that most heads do with. */
const USUAL = 1_024;

/** Puts header blocks into frames: one HEADERS where it fits, else with CONTINUATION. */
export class BlockWriter {
  readonly #plane: DataPlane;
  readonly #output: FrameOutput;
  readonly #settings: PeerSettings;

  constructor(plane: DataPlane, output: FrameOutput, settings: PeerSettings) {
    this.#plane = plane;
    this.#output = output;
    this.#settings = settings;
  }

  /**
   * Gives where the frame begins, for END_STREAM to be set later; NO_FRAME when that cannot be; -1 without room.
   *
   * @param flags FLAG_END_STREAM or 0.
   */
  write(stream: number, flags: number, maker: BlockMaker): number {
    const output = this.#output;
    const { slab } = this.#plane;
    const shrinks = this.#settings.mustShrinkTable;
    let at = output.reserve(Math.max(FRAME_HEADER + 64, Math.min(output.room, USUAL)));
    for (let tries = 0; at >= 0 && tries < 2; tries++) {
      if (tries === 1) at = output.reserve(slab.smallSize);
      if (at < 0) break;
      const start = shrinks ? writeTableSizeZero(slab.bytes, at + FRAME_HEADER) : at + FRAME_HEADER;
      const end = maker.makeBlock(slab.bytes, start, output.limit);
      if (end < 0) continue;
      this.#settings.mustShrinkTable = false;
      const size = end - at - FRAME_HEADER;
      writeFrameHeader(slab.bytes, at, size, FRAME_HEADERS, flags | FLAG_END_HEADERS, stream);
      output.wrote(end);
      return at;
    }
    return at < 0 ? -1 : this.#writeLong(stream, flags, maker, shrinks);
  }

  /** A block that no buffer holds: in pieces. */
  #writeLong(stream: number, flags: number, maker: BlockMaker, shrinks: boolean): number {
    const output = this.#output;
    const { slab, http2 } = this.#plane;
    const { bytes } = slab;
    const { blocks } = http2;
    const start = shrinks ? writeTableSizeZero(blocks, 0) : 0;
    const size = maker.makeBlock(blocks, start, blocks.length);
    if (size < 0) return -1;
    this.#settings.mustShrinkTable = false;
    const most = slab.smallSize - FRAME_HEADER;
    for (let from = 0; from < size; ) {
      const piece = Math.min(most, size - from);
      const at = output.reserve(FRAME_HEADER + piece);
      if (at < 0) return -1;
      const last = from + piece === size ? FLAG_END_HEADERS : 0;
      const to =
        from === 0
          ? writeFrameHeader(bytes, at, piece, FRAME_HEADERS, flags | last, stream)
          : writeFrameHeader(bytes, at, piece, FRAME_CONTINUATION, last, stream);
      bytes.set(blocks.subarray(from, from + piece), to);
      output.wrote(to + piece);
      from += piece;
    }
    return NO_FRAME;
  }

  /** Fields after a body, and the end of the stream with them. False when there is none. */
  writeTrailers(stream: number, lines: Uint8Array): boolean {
    const { length } = lines;
    if (length === 0) return false;
    const at = this.write(stream, FLAG_END_STREAM, {
      makeBlock: (out, to, limit) => writeTrailerBlock(lines, 0, length, out, to, limit),
    });
    return at >= 0;
  }
}
