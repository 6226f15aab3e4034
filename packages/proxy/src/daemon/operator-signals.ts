import { memoryUsage } from "node:process";
import type { LogTarget } from "../core/config/section-model.ts";
import { proxyRows } from "../core/stats/proxy-rows.ts";
import type { RowValues } from "../core/stats/row.ts";
import type { StatsSource } from "../core/stats/source.ts";
import type { ProcessControl } from "./runtime-api/command.ts";
import type { StartReport } from "./start-report.ts";
import type { Worker } from "./worker.ts";

/**
 * HUP tells the states of proxies and servers, QUIT the use of memory, TTOU pauses accepting and TTIN resumes it.
 * HAProxy management guide §4. A paused socket stays bound: clients wait in its backlog.
 */
export function handleOperatorSignals(
  control: ProcessControl,
  worker: Worker,
  report: StartReport,
): void {
  process.on("SIGHUP", () => {
    const lines = ["SIGHUP received, dumping servers states.", ...stateLines(control.source)];
    for (const line of lines) {
      report.say("WARNING", line);
      logLine(worker, control.config.global.logTargets, line);
    }
  });
  process.on("SIGQUIT", () => {
    const { rss, heapUsed, external } = memoryUsage();
    report.say(
      "NOTICE",
      `Memory: ${rss} bytes resident, ${heapUsed} of the heap used, ${external} outside it.`,
    );
  });
  const pause = (condition: "paused" | "running", word: string): void => {
    for (const { index, name, frontend, backend, counters } of control.world.proxies) {
      if (frontend === undefined || counters.isShutDown) continue;
      counters.setCondition(condition);
      void control.fleet.ask({ kind: "frontend", proxy: index });
      report.say("WARNING", `${word} ${backend === undefined ? "frontend" : "proxy"} ${name}.`);
    }
  };
  process.on("SIGTTOU", () => pause("paused", "Paused"));
  process.on("SIGTTIN", () => pause("running", "Resumed"));
}

/** What a soft stop says of each proxy, on stderr and to the log, as HAProxy words it. Observed: 2.6.12. */
export function tellStopped(control: ProcessControl, worker: Worker, report: StartReport): void {
  const rows = proxyRows(control.source);
  for (const { index, name } of control.source.proxies) {
    const total = (object: string): number => {
      const row = rows.find((own) => own.proxy === index && own.object === object);
      return number(row?.values.conn_tot ?? row?.values.stot);
    };
    const line = `Proxy ${name} stopped (cumulated conns: FE: ${total("frontend")}, BE: ${total("backend")}).`;
    report.plain("WARNING", line);
    logLine(worker, control.config.global.logTargets, line);
  }
}

/** HAProxy's words. Observed: 2.6.12. */
export function stateLines(source: StatsSource): string[] {
  const rows = proxyRows(source).map(({ object, proxy, values }) => ({ object, proxy, values }));
  const lines: string[] = [];
  for (const { index, name, backend } of source.proxies) {
    const own = rows.filter(({ proxy }) => proxy === index);
    const values = (object: string): RowValues =>
      own.find((row) => row.object === object)?.values ?? {};
    const front = values("frontend");
    const back = values("backend");
    const servers = own.filter(({ object }) => object === "server");
    for (const { values: server } of servers) {
      const status = /^(UP|DOWN)/.exec(String(server.status))?.[1];
      lines.push(
        `SIGHUP: Server ${name}/${server.svname} is ${status ?? (server.status === "MAINT" ? "DOWN" : "UP")}. Conn: ${number(server.scur)} act, ${number(server.qcur)} pend, ${number(server.stot)} tot.`,
      );
    }
    const active = number(back.act);
    const spare = number(back.bck);
    const which =
      backend === undefined || servers.length === 0
        ? "has no servers."
        : active + spare === 0
          ? "has no server available !"
          : active > 0
            ? `has ${active} active servers and ${spare} backup servers available.`
            : `is running on ${spare} backup servers.`;
    lines.push(
      `SIGHUP: Proxy ${name} ${which} Conn: act(FE+BE): ${number(front.scur)}+${number(back.scur)}, ${number(back.qcur)} pend (${number(back.qcur)} unass), tot(FE+BE): ${number(front.stot)}+${number(back.stot)}.`,
    );
  }
  return lines;
}

function number(value: number | string | undefined): number {
  return Number(value ?? 0);
}

/** To every target of the global section. */
function logLine(worker: Worker, targets: readonly LogTarget[], line: string): void {
  const bytes = new TextEncoder().encode(line);
  for (const target of targets) {
    const sink = worker.sinkFor(target);
    sink.write(NOTICE, bytes, bytes.length, worker.ring.wallTime);
    sink.flush();
  }
}

const NOTICE = 5;
