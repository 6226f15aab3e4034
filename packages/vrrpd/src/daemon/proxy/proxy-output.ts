import { execFile } from "node:child_process";
import { closeSync, constants, fstatSync, lstatSync, openSync, unlinkSync } from "node:fs";
import { Socket } from "node:net";

/**
 * What a proxy prints, line by line: a named pipe, so that the next vrrpd can go on reading it. Both ends are open for
 * reading and writing, since a pipe without a reader would kill the proxy, and one without a writer would end.
 */
export class ProxyOutput {
  readonly #path: string;
  readonly #line: (text: string) => void;
  #reader: Socket | undefined;
  #rest = "";
  #second = 0;
  #lines = 0;

  private constructor(path: string, line: (text: string) => void) {
    this.#path = path;
    this.#line = line;
  }

  /** Makes the pipe unless it is there. A text instead: why there can be none. */
  static async open(path: string, line: (text: string) => void): Promise<ProxyOutput | string> {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && !stats.isFIFO()) unlinkSync(path);
    if (stats?.isFIFO() !== true) {
      const problem = await makeFifo(path);
      if (problem !== undefined) return problem;
    }
    const output = new ProxyOutput(path, line);
    try {
      output.#read();
    } catch (error) {
      return String(error);
    }
    return output;
  }

  /** A descriptor for the proxy's standard output, which the caller closes; undefined when it cannot be had. */
  descriptor(): number | undefined {
    try {
      return openPipe(this.#path);
    } catch {
      return undefined;
    }
  }

  /** @param remove Nobody writes to it any more. */
  close(remove: boolean): void {
    this.#reader?.destroy();
    if (!remove) return;
    try {
      unlinkSync(this.#path);
    } catch {
      // Somebody else removed it first.
    }
  }

  #read(): void {
    const reader = new Socket({ fd: openPipe(this.#path), readable: true, writable: false });
    this.#reader = reader;
    reader.setEncoding("utf8");
    reader.unref();
    reader.on("data", (chunk: string) => this.#add(chunk));
    // Its end, or an error, ends what can be told: the proxy itself is not concerned.
    reader.on("error", () => reader.destroy());
  }

  #add(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = (lines.pop() ?? "").slice(0, LINE_LIMIT);
    const second = Math.floor(performance.now() / 1_000);
    for (const line of lines) {
      if (line.trim() === "") continue;
      if (second !== this.#second) {
        if (this.#lines > LINES_A_SECOND) {
          this.#line(`… ${this.#lines - LINES_A_SECOND} more lines`);
        }
        this.#second = second;
        this.#lines = 0;
      }
      if (++this.#lines <= LINES_A_SECOND) this.#line(line.slice(0, LINE_LIMIT));
    }
  }
}

function openPipe(path: string): number {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw new Error(`${path} is no pipe any more`);
}

/** Node has no mkfifo(2). */
function makeFifo(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("mkfifo", ["-m", "0600", "--", path], (error, _out, text) => {
      resolve(error === null ? undefined : text.trim() || error.message);
    });
  });
}

const LINE_LIMIT = 2_048;
/** Lines that go to our log; a proxy that prints more has a log of its own to write to. */
const LINES_A_SECOND = 100;
