import { strict as assert } from "node:assert";
import { readdirSync, readFileSync } from "node:fs";
import { Agent, createServer, get, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { test } from "node:test";
import { ask, ProxyFolder, type Started, tryConnect, until } from "../support/lbproxy.ts";
import { freePort, pause } from "../support/proxy-pair.ts";

// Goal: those who hold connections and take their time harm nobody else, cost little, and leave nothing behind.
// Method: slow clients of every kind beside ordinary ones, whose waits are measured before and meanwhile.

const SLOW = 5_000;
/** Descriptors beside those of slow clients: the runner's, and the proxy's. */
const SPARE = 1_500;

/** Of every so many slow clients one asks for much and does not read it. */
const READER = 50;
const BIG = 512 * 1024;
const HUGE = 2 * 1024 * 1024;

test(`${SLOW} slow clients do no harm to ordinary ones`, { timeout: 60_000 }, async (context) => {
  const limit = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(read("/proc/self/limits"))?.[1] ?? 0);
  if (limit < SLOW + SPARE) {
    context.skip(`needs ${SLOW + SPARE} descriptors, and may have ${limit}`);
    return;
  }
  await withProxy(SLOW + 1_000, async (proxy) => {
    const before = await measure(proxy.port, 1_500);
    const descriptors = descriptorsOf(proxy.pid);
    const memory = memoryOf(proxy.pid);

    const slow = await openSlowClients(proxy.port, SLOW);
    const drip = setInterval(() => {
      for (const client of slow) client.drip();
    }, 2_000);
    const during = await measure(proxy.port, 3_000);
    const grown = memoryOf(proxy.pid) - memory;
    clearInterval(drip);

    assert.deepEqual(during.failures, []);
    assert.equal(slow.filter(({ socket }) => socket.destroyed).length, 0, "slow ones were cut off");
    const told = `p99 ${before.p99.toFixed(1)} ms alone, ${during.p99.toFixed(1)} ms beside them; ${(grown / SLOW).toFixed(1)} KB each`;
    context.diagnostic(told);
    assert.ok(during.p99 < Math.max(100, before.p99 * 8), told);
    // Half a head holds a buffer of 16 KB, and so does a request whose body is under way.
    assert.ok(grown / SLOW < 24, told);

    for (const { socket } of slow) socket.destroy();
    await until("descriptors are given back", () => descriptorsOf(proxy.pid) <= descriptors);
    const info = await ask(proxy.socket, "show info");
    assert.equal(/^CurrConns: (\d+)$/m.exec(info)?.[1], "0");
    proxy.started.signal("SIGUSR1");
    assert.equal(await proxy.started.ended, 0);
  });
});

test("clients that do not read what they asked for cannot take all buffers", {
  timeout: 60_000,
}, async (context) => {
  await withProxy(330, async (proxy) => {
    const readers = Array.from({ length: 300 }, () => new SlowReader(proxy.port));
    await until("every reader has begun", () => readers.every(({ received }) => received > 0));
    // All that may be on its way to them is.
    await pause(500);
    const beside = await measure(proxy.port, 1_500);
    assert.deepEqual(beside.failures, []);
    context.diagnostic(`p99 ${beside.p99.toFixed(1)} ms`);
    assert.ok(beside.p99 < 500, `p99 ${beside.p99}`);
    for (const reader of readers) reader.goOn();
    await until("every reader is done", () => readers.every(({ isDone }) => isDone));
    assert.equal(
      readers.filter(({ isRight }) => !isRight).length,
      0,
      "answers that were not whole",
    );
  });
});

interface Proxy {
  readonly port: number;
  readonly pid: number;
  readonly socket: string;
  readonly started: Started;
}

/** Segments as on a real network: over those of loopback the kernel would take whole answers at once. */
async function withProxy(maxconn: number, body: (proxy: Proxy) => Promise<void>): Promise<void> {
  const folder = new ProxyFolder();
  const origin = await startOrigin();
  const port = await freePort();
  folder.write(`global
  nbthread 1
  maxconn ${maxconn}
  stats socket ${folder.file("socket")} mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 50s
  timeout server 50s
  timeout http-request 50s
frontend www
  bind 127.0.0.1:${port} mss 1460
  default_backend app
backend app
  server s1 127.0.0.1:${(origin.address() as AddressInfo).port}
`);
  const started = folder.start(["-db"]);
  try {
    await until("it listens", async () => (await tryConnect(port)) === "connected");
    await body({ port, pid: started.pid, socket: folder.file("socket"), started });
  } finally {
    await folder.close();
    origin.closeAllConnections();
    origin.close();
  }
}

async function startOrigin(): Promise<Server> {
  const [big, huge] = [Buffer.alloc(BIG, "b"), Buffer.alloc(HUGE, "h")];
  const origin = createServer((request, response) => {
    const body = request.url === "/big" ? big : request.url === "/huge" ? huge : "hello";
    request.on("error", () => {}).resume();
    response.on("error", () => {});
    request.on("end", () => response.end(body));
  });
  // A body that comes slowly is no fault of the proxy's.
  origin.requestTimeout = 0;
  origin.headersTimeout = 0;
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", 1_024, () => resolve()));
  return origin;
}

interface Measured {
  readonly p99: number;
  readonly failures: readonly string[];
}

/** Ordinary clients for so long: eight connections, one request after the other on each. */
async function measure(port: number, milliseconds: number): Promise<Measured> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const waits: number[] = [];
  const failures: string[] = [];
  const end = performance.now() + milliseconds;
  const client = async () => {
    while (performance.now() < end) {
      const begin = performance.now();
      const failure = await request(agent, port);
      waits.push(performance.now() - begin);
      if (failure !== undefined) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  agent.destroy();
  waits.sort((a, b) => a - b);
  return { p99: waits[Math.floor(waits.length * 0.99)] ?? Number.POSITIVE_INFINITY, failures };
}

function request(agent: Agent, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asking = get(
      { agent, port, host: "127.0.0.1", path: "/", timeout: 5_000 },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
        response.on("error", (error) => resolve(error.message));
        response.on("end", () =>
          resolve(text === "hello" ? undefined : `${response.statusCode} ${text.slice(0, 40)}`),
        );
      },
    );
    asking.on("timeout", () => asking.destroy(new Error("no answer in 5 s")));
    asking.on("error", (error) => resolve(error.message));
  });
}

interface SlowClient {
  readonly socket: Socket;
  /** Sends the next byte, where it is one that sends. */
  drip(): void;
}

async function openSlowClients(port: number, count: number): Promise<SlowClient[]> {
  const clients: SlowClient[] = [];
  while (clients.length < count) {
    const some = Array.from({ length: 250 }, (_, i) => openSlowClient(port, clients.length + i));
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}

/** One that is idle after an answer, sends its head or its body byte by byte, or does not read. */
function openSlowClient(port: number, number: number): Promise<SlowClient> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const isReader = number % READER === 0;
  const kind = isReader ? 3 : number % 3;
  const first = [
    "GET / HTTP/1.1\r\nHost: slow\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ",
    "POST / HTTP/1.1\r\nHost: slow\r\nContent-Length: 10000\r\n\r\n",
    "GET /big HTTP/1.1\r\nHost: slow\r\n\r\n",
  ][kind] as string;
  const drip = () => {
    if (kind === 1 || kind === 2) socket.write("x");
  };
  if (isReader) socket.pause();
  else socket.resume();
  return new Promise((resolve) => {
    const ready = () => resolve({ socket, drip });
    socket.write(first);
    // The one that is answered tells that the servers keep up.
    socket.once(kind === 0 ? "data" : "connect", ready);
    socket.once("close", ready);
  });
}

/** Asks for `/huge`, reads the beginning of it, and the rest only when told. */
class SlowReader {
  received = 0;
  isDone = false;
  isRight = false;
  readonly #socket: Socket;
  #head = "";

  constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.write("GET /huge HTTP/1.1\r\nHost: slow\r\nConnection: close\r\n\r\n");
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => (this.isDone = true));
    this.#socket.on("data", (chunk: Buffer) => {
      if (this.received === 0) {
        this.#head = chunk.subarray(0, chunk.indexOf("\r\n\r\n") + 4).toString("latin1");
        this.#socket.pause();
      }
      this.received += chunk.length;
      this.isRight = this.received === this.#head.length + HUGE && chunk.at(-1) === 0x68;
    });
  }

  goOn(): void {
    this.#socket.resume();
  }
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Resident, in KB. */
function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1]);
}

function read(path: string): string {
  return readFileSync(path, "latin1");
}
