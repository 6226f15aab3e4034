import { parentPort, workerData } from "node:worker_threads";
import { observedLayers } from "./check/checks.ts";
import { wordingObserver } from "./check/traffic-observer.ts";
import { loadConfiguration } from "./config-check.ts";
import { createConfigHost } from "./config-host.ts";
import { performRequest } from "./runtime-api/thread-control.ts";
import { openStats } from "./stats/stats-view.ts";
import type { ThreadOrder, ThreadReport, ThreadStart } from "./thread-group.ts";
import { createWorker } from "./worker.ts";

// A thread of the data plane beside the first: its own ring and its own compiled configuration, over shared states.
const start = workerData as ThreadStart;
// The first thread has checked every certificate.
const host = { ...createConfigHost(), checkKey: () => undefined };
const { config } = await loadConfiguration(start.command, start.files, host);
if (config === undefined) throw new Error("the configuration is refused in a thread only");
const worker = createWorker({ ...start, config });
for (const socket of start.sockets) worker.listen(socket);

const report = (what: ThreadReport): void => parentPort?.postMessage(what);
worker.plane.traffic = wordingObserver(observedLayers(worker.world), (traffic) =>
  report({ traffic }),
);
openStats(worker, start.stats, (order) => report({ order }));
parentPort?.on("message", (order: ThreadOrder) => {
  if (typeof order === "object") {
    if ("leave" in order) worker.plane.leaveServer(order.leave.proxy, order.leave.server);
    else {
      const { number, request } = order;
      report({ number, answer: performRequest(worker, start.thread, request) });
    }
    return;
  }
  switch (order) {
    case "start":
      worker.start();
      break;
    case "soft stop":
      worker.softStop();
      watchDrain();
      break;
    case "kill":
      worker.kill();
      break;
  }
});
report("ready");

function watchDrain(): void {
  const timer = setInterval(() => {
    if (!worker.isDrained) return;
    clearInterval(timer);
    report("drained");
  }, 20);
}
