import { Agent, get } from "node:http";
import { fileURLToPath } from "node:url";
import type { Host, HostProcess } from "@ha/lab/namespaces";

// Clients of a pair, as a program of its own, since it runs on a host of the lab: 50 that ask without pause, most of
// them over connections that they keep, some over a new one each time, some for an answer that takes its time. Nobody
// tries again: what fails once has failed. It ends when its input does, and then prints what there was.

/** What clients saw. */
export interface LoadResult {
  readonly requests: number;
  /** By what went wrong: `ECONNRESET`, `503` … */
  readonly failed: Readonly<Record<string, number>>;
  /** Milliseconds. */
  readonly slowest: number;
  /** Longest time without any answer, milliseconds. */
  readonly gap: number;
  /** Answers by host, and when the first and last came (milliseconds since 1970). */
  readonly by: Readonly<Record<string, { count: number; first: number; last: number }>>;
}

/** Starts the clients on a host; `stop` ends them and gives what they saw. */
export function startLoad(
  client: Host,
  address: string,
  clients = 50,
): { stop(): Promise<LoadResult> } {
  const program = fileURLToPath(import.meta.url);
  const child: HostProcess = client.spawnBeside(process.execPath, [
    program,
    address,
    String(clients),
  ]);
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk;
  });
  return {
    stop: () =>
      new Promise((resolve, reject) => {
        child.once("close", () => {
          if (text === "") reject(new Error(`the clients said nothing: ${errors}`));
          else resolve(JSON.parse(text) as LoadResult);
        });
        child.stdin.end();
      }),
  };
}

/** In words, for the test's output. */
export function loadText({ requests, failed, slowest, gap }: LoadResult): string {
  const failures = Object.entries(failed).map(([what, count]) => `${count} ${what}`);
  return `${requests} requests, ${failures.length === 0 ? "0 failed" : `failed: ${failures.join(", ")}`}, slowest ${slowest} ms, longest gap ${gap} ms`;
}

export function failures({ failed }: LoadResult): number {
  return Object.values(failed).reduce((sum, count) => sum + count, 0);
}

async function run(address: string, clients: number): Promise<void> {
  const failed: Record<string, number> = {};
  const by: Record<string, { count: number; first: number; last: number }> = {};
  let requests = 0;
  let slowest = 0;
  let gap = 0;
  let lastAnswer = performance.now();
  let isOver = false;
  const ask = (agent: Agent, path: string): Promise<void> =>
    new Promise((resolve) => {
      const begun = performance.now();
      const end = (problem: string | undefined): void => {
        clearTimeout(limit);
        requests++;
        const now = performance.now();
        slowest = Math.max(slowest, now - begun);
        if (problem === undefined) {
          gap = Math.max(gap, now - lastAnswer);
          lastAnswer = now;
        } else failed[problem] = (failed[problem] ?? 0) + 1;
        resolve();
      };
      const request = get({ host: address, path, agent }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
        response.on("end", () => {
          const host = body.trim().slice(0, 20);
          const seen = by[host] ?? { count: 0, first: Date.now(), last: 0 };
          by[host] = seen;
          seen.count++;
          seen.last = Date.now();
          end(response.statusCode === 200 ? undefined : String(response.statusCode));
        });
      });
      request.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
      const limit = setTimeout(() => request.destroy(new Error("timeout")), 8_000);
    });
  const client = async (index: number): Promise<void> => {
    const keepAlive = index % 5 !== 0;
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    const path = index % 10 === 3 ? "/slow" : "/";
    while (!isOver) {
      await ask(agent, path);
      await new Promise((resolve) => setTimeout(resolve, 5 + (index % 7)));
    }
    agent.destroy();
  };
  process.stdin.on("end", () => {
    isOver = true;
  });
  process.stdin.resume();
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  const round = (value: number): number => Math.round(value * 10) / 10;
  const result: LoadResult = { requests, failed, slowest: round(slowest), gap: round(gap), by };
  process.stdout.write(JSON.stringify(result));
  process.exit(0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await run(process.argv[2] ?? "", Number(process.argv[3] ?? "50"));
}
