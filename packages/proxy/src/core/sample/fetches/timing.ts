import { TIMERS, wallTime } from "../../log/log-timers.ts";
import { TIME_ACCEPT, TIME_FIRST_BYTE, type Transaction } from "../../transaction.ts";
import { refuse } from "../compile-context.ts";
import type { FetchKeyword, Layer } from "../fetch-keyword.ts";
import { SINT, setInt } from "../sample.ts";
import { number } from "./declare.ts";

const SOURCE = "HAProxy configuration manual §7.3 (3.5)";

/** Times and sizes of a transaction, which HAProxy has as samples since 2.8 and 3.0. */
export const TIMING_FETCHES: readonly FetchKeyword[] = [
  timer("fc.timer.handshake", "Th", "client", ["fc_timer_handshake"]),
  timer("fc.timer.total", "Tt", "client", ["fc_timer_total"]),
  timer("req.timer.idle", "Ti", "request kept"),
  timer("req.timer.tq", "Tq", "request kept"),
  timer("req.timer.hdr", "TR", "request kept"),
  timer("req.timer.queue", "Tw", "server"),
  timer("bc.timer.connect", "Tc", "server"),
  timer("res.timer.hdr", "Tr", "response kept"),
  timer("res.timer.data", "Td", "response kept"),
  timer("res.timer.user", "Tu", "response kept"),
  timer("txn.timer.total", "Ta", "request kept"),
  date("accept_date", "When the connection was accepted", TIME_ACCEPT),
  date("request_date", "When the request's first byte came", TIME_FIRST_BYTE),
  number(
    { layer: "client", source: SOURCE },
    "bytes_in",
    "Bytes from the client so far.",
    (t) => t.bytesIn,
    ["req.bytes_in"],
  ),
  number(
    { layer: "client", source: SOURCE },
    "bytes_out",
    "Bytes to the client so far.",
    (t) => t.bytesOut,
    ["res.bytes_out"],
  ),
];

function timer(
  name: string,
  log: string,
  layer: Layer,
  aliases: readonly string[] = [],
): FetchKeyword {
  const entry = TIMERS[log];
  const read = (t: Transaction): number | undefined => entry?.read(t);
  return number(
    { layer, source: SOURCE },
    name,
    `As %${log} of logs, in milliseconds: ${entry?.doc ?? ""}`,
    read,
    aliases,
  );
}

function date(name: string, doc: string, index: number): FetchKeyword {
  return {
    name,
    syntax: `${name}([<unit>])`,
    doc: `${doc}: seconds since 1970, or <unit> s, ms or us.`,
    source: SOURCE,
    layer: "client",
    type: SINT,
    arity: [0, 1],
    compile: ([unit], context, token) => {
      const scale = { s: 0.001, ms: 1, us: 1000 }[unit?.text ?? "s"];
      if (scale === undefined)
        return refuse(context, token, `unit '${unit?.text}' is not s, ms or us`);
      const { ports } = context.world;
      return (t, sample) =>
        setInt(sample, Math.floor(wallTime(t, index, ports.wallMicros() / 1000) * scale));
    },
  };
}
