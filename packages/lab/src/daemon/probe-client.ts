/*
 * Asks the virtual address by HTTP again and again, on a host of the lab, and writes what became of each request as a
 * line of JSON. It stands alone (Node's own modules only), so that a driver can copy this one file to a machine.
 *
 *   node probe-client.js '{"host":"10.77.0.100","port":80,"path":"/","everyMs":20,"timeoutMs":500,"keepAlive":false}'
 *
 * Lines: {"at":µs,"until":µs,"by":"lb1","server":"web2"}, or with "failure", or {"stall":true,"at":µs,"until":µs} when
 * this host stood still. Times are microseconds since 1970 by this host's clock. It ends with its standard input.
 */
import { connect, type Socket } from "node:net";

interface Plan {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly keepAlive: boolean;
}

const plan = JSON.parse(process.argv[2] ?? "{}") as Plan;
/** Later than that for its own turn, and the prober itself was held up. */
const STALL_MS = 50;
/** So many requests may be under way: a server that swallows them all must not take this host's memory. */
const MOST_UNDER_WAY = 2000;

const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
};
const head = `GET ${plan.path} HTTP/1.1\r\nHost: lab\r\n${plan.keepAlive ? "" : "Connection: close\r\n"}\r\n`;
/** Connections that wait for their next request. */
const idle: Socket[] = [];
let underWay = 0;

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.stdout.on("error", () => process.exit(0));
let due = performance.now();
turn();

function turn(): void {
  const now = performance.now();
  if (now - due > STALL_MS)
    write({ stall: true, at: clock() - Math.round((now - due) * 1000), until: clock() });
  due = Math.max(due + plan.everyMs, now);
  if (underWay < MOST_UNDER_WAY) ask();
  setTimeout(turn, due - performance.now());
}

function ask(): void {
  underWay++;
  const at = clock();
  const kept = idle.pop();
  const socket = kept ?? connect(plan.port, plan.host);
  let text = "";
  let isDone = false;
  const finish = (failure?: string, keep = false): void => {
    if (isDone) return;
    isDone = true;
    underWay--;
    clearTimeout(timer);
    socket.removeAllListeners();
    socket.on("error", () => {});
    if (keep) {
      socket.on("close", () => {
        const index = idle.indexOf(socket);
        if (index >= 0) idle.splice(index, 1);
      });
      socket.on("data", () => socket.destroy());
      idle.push(socket);
    } else {
      socket.destroy();
    }
    write({
      at,
      until: clock(),
      by: field(text, "x-served-by"),
      server: field(text, "x-web"),
      failure,
    });
  };
  const timer = setTimeout(() => finish("timeout"), plan.timeoutMs);
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(field(text.slice(0, end + 2), "content-length") ?? Number.NaN);
    if (!(text.length >= end + 4 + length)) return;
    const status = text.slice(9, 12);
    const closes = /\r\nconnection: *close/i.test(text.slice(0, end));
    finish(status === "200" ? undefined : `status ${status}`, plan.keepAlive && !closes);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => finish(nameOf(error.code ?? error.message)));
  socket.on("close", () => finish("closed"));
  socket.write(head, "latin1");
}

function nameOf(code: string): string {
  return FAILURES[code] ?? code;
}

function field(text: string, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r\\n]*)`, "i").exec(text)?.[1];
}

function clock(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

function write(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
