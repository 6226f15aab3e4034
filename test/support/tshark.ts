import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Capture, Frame } from "@ha/lab/namespaces";

/**
 * What tshark reads in frames: for each frame the asked fields by name. A field that occurs more than once, such as the
 * addresses of an advert, has its values joined by commas; one that is absent is "".
 */
export async function dissect<Field extends string>(
  capture: Capture,
  frames: readonly Frame[],
  fields: readonly Field[],
): Promise<Record<Field, string>[]> {
  if (frames.length === 0) return [];
  return capture.withFile(frames, async (path) => {
    const { stdout } = await promisify(execFile)("tshark", [
      ...["-n", "-r", path, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"],
      ...["-o", "ip.check_checksum:TRUE"],
      ...fields.flatMap((field) => ["-e", field]),
    ]);
    return stdout
      .split("\n")
      .slice(0, frames.length)
      .map((line) => {
        const values = line.split("\t");
        const entries = fields.map((field, i) => [field, values[i] ?? ""]);
        return Object.fromEntries(entries) as Record<Field, string>;
      });
  });
}
