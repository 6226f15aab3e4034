import { openDatagramSender } from "@ha/linux";
import type { CliOptions } from "./cli.ts";
import { Log } from "./log.ts";
import {
  consoleText,
  DescriptorSink,
  type LogFormat,
  type LogSink,
  plainText,
  SyslogSink,
} from "./log-sink.ts";

/** The name in front of each line of the system log. observed: keepalived 2.2.7 */
const IDENT = "Keepalived_vrrp";

/** The log that the command line asks for. keepalived(8): `-l -D -G -S -g`, and our `--log-format`. */
export async function openLog(options: CliOptions, format: "text" | "json"): Promise<Log> {
  const json = format === "json" ? await jsonFormat() : undefined;
  const sinks: LogSink[] = [];
  if (options.syslog) {
    sinks.push(
      new SyslogSink({
        open: () => openDatagramSender("/dev/log"),
        facility: facilityOf(options.logFacility),
        ident: IDENT,
        format: json ?? plainText,
      }),
    );
  }
  if (options.logConsole) {
    sinks.push(new DescriptorSink({ descriptor: 2 }, json ?? consoleText));
  }
  if (options.logFile !== false) {
    const path = options.logFile === true ? "/tmp/keepalived.log" : options.logFile;
    try {
      sinks.push(new DescriptorSink({ path: processLogPath(path) }, json ?? consoleText));
    } catch (error) {
      process.stderr.write(`vrrpd: cannot log to ${path}: ${String(error)}\n`);
    }
  }
  return new Log(sinks, options.logDetail);
}

/** Each process of keepalived has a file of its own: its name stands before the last dot. keepalived(8), -g */
export function processLogPath(path: string): string {
  const slash = path.lastIndexOf("/");
  const dot = path.lastIndexOf(".");
  return dot > slash ? `${path.slice(0, dot)}_vrrp${path.slice(dot)}` : `${path}_vrrp`;
}

/** `daemon` is 3, `user` 1, `localN` 16 + N. RFC 5424 §6.2.1 */
export function facilityOf(name: string): number {
  const local = /^local([0-7])$/.exec(name);
  if (local !== null) return 16 + Number(local[1]);
  return name === "user" ? 1 : 3;
}

/** pino makes the line, our sinks write it: they never block. */
async function jsonFormat(): Promise<LogFormat> {
  const { pino } = await import("pino");
  let line = "";
  const logger = pino(
    { base: { name: IDENT, pid: process.pid }, level: "trace", timestamp: false },
    {
      write: (text: string) => {
        line = text;
      },
    },
  );
  return ({ time, level, message, fields }) => {
    logger[PINO_LEVEL[level]]({ time, ...fields }, message);
    return line.trimEnd();
  };
}

const PINO_LEVEL = {
  emerg: "fatal",
  alert: "fatal",
  crit: "fatal",
  error: "error",
  warning: "warn",
  notice: "info",
  info: "info",
  debug: "debug",
} as const;
