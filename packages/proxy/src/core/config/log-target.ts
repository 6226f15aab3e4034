import type { Line } from "./line.ts";
import { type Reading, readAddress } from "./reading.ts";
import type { LogFormatName, LogTarget } from "./section-model.ts";

/** In the order of their numbers. HAProxy configuration manual §4.2, log. */
export const FACILITIES = [
  "kern",
  "user",
  "mail",
  "daemon",
  "auth",
  "syslog",
  "lpr",
  "news",
  "uucp",
  "cron",
  "auth2",
  "ftp",
  "ntp",
  "audit",
  "alert",
  "cron2",
  "local0",
  "local1",
  "local2",
  "local3",
  "local4",
  "local5",
  "local6",
  "local7",
] as const;

export const LEVELS = [
  "emerg",
  "alert",
  "crit",
  "err",
  "warning",
  "notice",
  "info",
  "debug",
] as const;

const FORMATS: readonly LogFormatName[] = [
  "rfc3164",
  "rfc5424",
  "local",
  "priority",
  "short",
  "timed",
  "iso",
  "raw",
];

/**
 * Reads the words after `log`: an address, then options, facility and levels. Undefined after reporting why not.
 *
 * @param inProxy Whether `log global` may stand here, for the message.
 */
export function readLogTarget(
  line: Line,
  reading: Reading,
  inProxy: boolean,
): LogTarget | undefined {
  const say = (text: string): undefined => void line.alert(`log : ${text}`);
  if (line.text(1) === "global" && !inProxy) {
    return say("'global' is not supported for a global syslog server");
  }
  if (line.text(1) === "" || (line.text(2) === "" && !isRingOrBackend(line.text(1)))) {
    return say(
      inProxy
        ? "expects <address> and <facility> or global as arguments"
        : "expects <address> and <facility>  as arguments",
    );
  }

  let at = 2;
  let length = 1024;
  let format: LogFormatName = "unspecified";
  let sample: LogTarget["sample"];
  let profile: string | undefined;
  if (line.text(at) === "len") {
    const word = line.text(at + 1);
    length = /^\d+$/.test(word) ? Number(word) : 0;
    if (length < 80 || length > 65_535) {
      return say(`invalid log length '${word}', must be between 80 and 65535`);
    }
    at += 2;
  }
  if (line.text(at) === "format") {
    const found = FORMATS.find((name) => name === line.text(at + 1));
    if (found === undefined) return say(`unknown log format '${line.text(at + 1)}'`);
    format = found;
    at += 2;
  }
  if (line.text(at) === "sample") {
    sample = readSample(line.text(at + 1));
    if (sample === undefined) {
      return say("invalid sample spec, expected something like 1,3-4:10 (ranges and size)");
    }
    at += 2;
  }
  if (line.text(at) === "profile") {
    profile = line.text(at + 1);
    if (profile === "") return say("'profile' expects a name");
    at += 2;
  }

  const facility = (FACILITIES as readonly string[]).indexOf(line.text(at));
  if (facility === -1) return say(`unknown log facility '${line.text(at)}'`);
  const level = line.text(at + 1) === "" ? 7 : levelOf(line.text(at + 1));
  if (level === -1) return say(`unknown optional log level '${line.text(at + 1)}'`);
  const minLevel = line.text(at + 2) === "" ? 0 : levelOf(line.text(at + 2));
  if (minLevel === -1) return say(`unknown optional minimum log level '${line.text(at + 2)}'`);
  if (line.text(at + 3) !== "") {
    return say(`cannot handle unexpected argument '${line.text(at + 3)}'`);
  }

  const target: { -readonly [K in keyof LogTarget]: LogTarget[K] } = {
    at: line.at,
    destination: { kind: "stdout" },
    format,
    length,
    facility,
    level,
    minLevel,
    sample,
    profile,
  };
  const problem = readDestination(line, reading, (destination) => {
    target.destination = destination;
  });
  if (problem !== undefined) return say(problem);
  return target;
}

function isRingOrBackend(word: string): boolean {
  return word.startsWith("ring@") || word.startsWith("backend@");
}

function readDestination(
  line: Line,
  reading: Reading,
  apply: (destination: LogTarget["destination"]) => void,
): string | undefined {
  const word = line.text(1);
  if (word === "stdout" || word === "stderr") apply({ kind: word });
  else if (word.startsWith("ring@")) apply({ kind: "ring", name: word.slice(5) });
  else if (word.startsWith("backend@")) apply({ kind: "backend", name: word.slice(8) });
  else {
    const parsed = readAddress(
      reading,
      word,
      {
        port: "optional",
        portZero: true,
        stream: true,
        datagram: true,
        inherited: true,
        local: true,
        names: true,
        defaultProtocol: "datagram",
      },
      (address) =>
        apply(
          address.kind === "inet" && address.port === 0
            ? { ...address, port: SYSLOG_PORT }
            : address,
        ),
      (host) => {
        line.alert(`log : invalid address: '${host}' in '${word}'`);
      },
    );
    if (typeof parsed === "string") return parsed;
  }
  return undefined;
}

const SYSLOG_PORT = 514;

export function levelOf(word: string): number {
  return (LEVELS as readonly string[]).indexOf(word);
}

/** `1,3-4:10`: which lines of each 10 go out. */
function readSample(word: string): LogTarget["sample"] {
  const match = /^(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*):(\d+)$/.exec(word);
  if (match === null) return undefined;
  const size = Number(match[2]);
  const ranges = (match[1] as string).split(",").map((range) => {
    const [low, high] = range.split("-").map(Number) as [number, number | undefined];
    return { low, high: high ?? low };
  });
  const good = ranges.every(({ low, high }) => low >= 1 && low <= high && high <= size);
  return good ? { ranges, size } : undefined;
}
