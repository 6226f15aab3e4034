import { resolve } from "node:path";
import { controlPaths } from "../control-paths.ts";
import type { MaintenanceAnswer, SupportAnswer, WhyAnswer } from "../control-plane.ts";
import type { InstanceCheck } from "../peer-check.ts";
import type { ProxyReport } from "../proxy/proxy-report.ts";
import type { ReloadPreview } from "../reload-preview.ts";
import type { StatusReport } from "../status-report.ts";
import type { HandoverOutcome } from "../switchover.ts";
import {
  handoverView,
  maintenanceView,
  peersAgree,
  peersView,
  planView,
  whyView,
} from "./answer-view.ts";
import { type CtlArguments, parseArguments } from "./arguments.ts";
import { ControlClient, Refused, Unreachable } from "./control-client.ts";
import { runDrill } from "./drill.ts";
import { proxyRows } from "./proxy-view.ts";
import { statusView } from "./status-view.ts";
import { Paint, textTable } from "./text-table.ts";

/** Of monitoring programs. */
const EXIT = { good: 0, bad: 1, usage: 2, unreachable: 3 } as const;

const paint = new Paint(process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === "");

/** The command `vrrpctl`. */
async function main(words: readonly string[]): Promise<number> {
  if (words[0] === "drill" && !words.includes("--help")) {
    const code = await runDrill(words.slice(1));
    if (code !== undefined) return code;
    process.stderr.write(
      "vrrpctl: the lab is not installed: neither ha-lab in PATH nor beside vrrpctl\n",
    );
    return EXIT.unreachable;
  }
  const parsed = parseArguments(words);
  if ("help" in parsed) {
    process.stdout.write(parsed.help);
    return EXIT.good;
  }
  if ("problem" in parsed) {
    process.stderr.write(`vrrpctl: ${parsed.problem}; see vrrpctl --help\n`);
    return EXIT.usage;
  }
  const { arguments: args } = parsed;
  if (args.command === "support") return support(args);
  try {
    const client = await ControlClient.connect(args.socket ?? controlPaths(args).socket);
    try {
      return args.command === "watch" ? await watch(client, args) : await run(client, args);
    } finally {
      client.close();
    }
  } catch (error) {
    if (
      error instanceof Unreachable &&
      args.request.command === "proxy" &&
      args.request.action === "stop"
    ) {
      return stopLeftProxies(args, args.request.names);
    }
    if (error instanceof Unreachable || error instanceof Refused) {
      process.stderr.write(`vrrpctl: ${error.message}\n`);
      return error instanceof Refused ? EXIT.bad : EXIT.unreachable;
    }
    throw error;
  }
}

async function run(
  client: ControlClient,
  { request, json, accepts }: CtlArguments,
): Promise<number> {
  const asked =
    request.command === "plan" && request.file !== undefined
      ? { ...request, file: resolve(request.file) }
      : request;
  const result = await client.ask(asked);
  const { text, good } = viewOf(asked, result, accepts);
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : text);
  return good ? EXIT.good : EXIT.bad;
}

interface View {
  readonly text: string;
  readonly good: boolean;
}

/** The daemon is of the same release, and its answers are what its types say. */
function viewOf(
  { command, ...rest }: CtlArguments["request"],
  result: unknown,
  accepts: boolean,
): View {
  switch (command) {
    case "status": {
      const status = result as StatusReport;
      return { text: statusView(status, paint), good: status.problems.length === 0 };
    }
    case "why": {
      const answer = result as WhyAnswer;
      return { text: whyView(answer, paint), good: answer.transition !== undefined };
    }
    case "switchover": {
      const outcomes = result as readonly HandoverOutcome[];
      const good = outcomes.filter(
        ({ result: word }) => word === "handed-over" || word === "taken-back",
      );
      // Some may have been backup before: it is enough that whatever there was has moved.
      const rest = outcomes.filter(({ result: word }) => word === "not-master");
      return {
        text: handoverView(outcomes, paint),
        good: good.length > 0 && good.length + rest.length === outcomes.length,
      };
    }
    case "maintenance": {
      const answer = result as MaintenanceAnswer;
      const on = "on" in rest && rest.on;
      return { text: maintenanceView(answer, on, paint), good: answer.on === on };
    }
    case "check-peers": {
      const checks = result as readonly InstanceCheck[];
      return { text: peersView(checks, paint), good: peersAgree(checks) };
    }
    case "metrics":
      return { text: String(result), good: true };
    case "proxy": {
      const reports = result as readonly ProxyReport[];
      const action = "action" in rest ? rest.action : "reload";
      return {
        text: `${textTable(proxyRows(reports, Date.now(), paint))}\n`,
        good: action === "stop" || reports.every(({ up }) => up || action !== "reload"),
      };
    }
    case "support":
      return { text: "", good: true };
    case "plan": {
      const plan = result as ReloadPreview;
      return {
        text: planView(plan, paint),
        good: plan.refused === undefined && (accepts || plan.heldAddressesLost.length === 0),
      };
    }
  }
}

/** `support`: with the daemon's help, or without. */
async function support(args: CtlArguments): Promise<number> {
  const { bundleName, writeSupportBundle } = await import("./support-bundle.ts");
  let answer: SupportAnswer | undefined;
  let why = "";
  try {
    const client = await ControlClient.connect(args.socket ?? controlPaths(args).socket);
    answer = (await client.ask({ command: "support" })) as SupportAnswer;
    client.close();
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  const file = resolve(args.file ?? bundleName(new Date()));
  try {
    const contents = await writeSupportBundle(file, answer, why);
    process.stdout.write(
      args.json
        ? `${JSON.stringify({ file, contents, ...(why === "" ? {} : { why }) })}\n`
        : `${file}\n`,
    );
  } catch (error) {
    process.stderr.write(`vrrpctl: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.bad;
  }
  if (why !== "") process.stderr.write(`vrrpctl: without the daemon's part: ${why}\n`);
  return why === "" ? EXIT.good : EXIT.unreachable;
}

/** `proxy stop` when no daemon runs: what it has left running, by its record. */
async function stopLeftProxies(args: CtlArguments, names: readonly string[]): Promise<number> {
  const { stopRecordedProxies } = await import("../proxy/left-proxies.ts");
  const stopped = await stopRecordedProxies(controlPaths(args).proxies, names);
  process.stdout.write(
    args.json
      ? `${JSON.stringify(stopped)}\n`
      : stopped
          .map(
            ({ name, pid, ended }) => `${name} (pid ${pid}) ${ended ? "ended" : "does not end"}\n`,
          )
          .join(""),
  );
  return stopped.every(({ ended }) => ended) ? EXIT.good : EXIT.bad;
}

/** Until the daemon goes, or somebody presses Ctrl-C. */
async function watch(client: ControlClient, { request, json }: CtlArguments): Promise<number> {
  const live = process.stdout.isTTY === true && !json;
  // The other screen, so that what was there is there again at the end.
  if (live) process.stdout.write("\x1b[?1049h\x1b[?25l");
  const restore = (): void => {
    if (live) process.stdout.write("\x1b[?25h\x1b[?1049l");
  };
  process.once("SIGINT", () => {
    restore();
    process.exit(EXIT.good);
  });
  let before = "";
  try {
    for (;;) {
      const status = (await client.ask(request)) as StatusReport;
      if (json) {
        const essence = JSON.stringify([
          ...status.instances.map(({ name, state, since, effectivePriority, faults }) => [
            name,
            state,
            since,
            effectivePriority,
            faults,
          ]),
          ...status.proxies.map(({ name, why, pid }) => [name, why, pid]),
        ]);
        if (essence !== before) process.stdout.write(`${JSON.stringify(status)}\n`);
        before = essence;
      } else {
        const text = statusView(status, paint);
        process.stdout.write(
          live ? `\x1b[H${text.replaceAll("\n", "\x1b[K\n")}\x1b[J` : `${text}\n`,
        );
      }
      await new Promise((done) => setTimeout(done, live || json ? 500 : 2_000));
    }
  } finally {
    restore();
  }
}

process.exitCode = await main(process.argv.slice(2));
