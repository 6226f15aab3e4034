import { type Host, type HostProcess, sleep, until } from "@ha/lab/namespaces";

/**
 * Puts frames on a host's wire. socat writes each block that it reads from its pipe as one frame, so all frames are
 * padded to one size; Ethernet pads as well, and IP knows its own length.
 */
export class Injector {
  readonly #socat: HostProcess;

  private constructor(socat: HostProcess) {
    this.#socat = socat;
  }

  static async open(host: Host, device = "eth0"): Promise<Injector> {
    const socat = host.spawnBeside("socat", [
      "-d",
      "-d",
      "-u",
      `-b${FRAME_SIZE}`,
      "STDIN",
      `INTERFACE:${device}`,
    ]);
    let said = "";
    socat.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    socat.stdout.resume();
    socat.stdin.on("error", () => {}); // What is still in the pipe when we close it is of no use to anybody.
    await until("socat to open the interface", 5000, () => {
      if (socat.exitCode !== null) throw new Error(`socat ended: ${said}`);
      return said.includes("starting data transfer");
    });
    return new Injector(socat);
  }

  send(frame: Uint8Array): void {
    if (frame.length > FRAME_SIZE)
      throw new Error(`a frame of ${frame.length} bytes, more than ${FRAME_SIZE}`);
    const padded = new Uint8Array(FRAME_SIZE);
    padded.set(frame);
    this.#socat.stdin.write(padded);
  }

  /** Sends these frames in turn, so many a second, for a time. Returns how many were sent. */
  async flood(frames: readonly Uint8Array[], perSecond: number, ms: number): Promise<number> {
    const began = performance.now();
    let sent = 0;
    for (;;) {
      const elapsed = performance.now() - began;
      if (elapsed >= ms) return sent;
      for (const due = Math.floor((elapsed * perSecond) / 1000); sent < due; sent++) {
        this.send(frames[sent % frames.length] as Uint8Array);
      }
      await sleep(Math.min(10, 1000 / perSecond));
    }
  }

  close(): void {
    this.#socat.kill("SIGKILL");
  }
}

/** Room for any frame that the tests send. */
const FRAME_SIZE = 96;
