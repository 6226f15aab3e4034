import type { Mutable } from "./draft.ts";
import type { Line } from "./line.ts";
import type { StickTable, StoredData } from "./section-model.ts";
import { MAX_STICK_STRING, STICK_DATA } from "./stick-data.ts";
import { parseSize, parseTime, parseWhole } from "./values.ts";

const TYPES = { ip: 4, ipv6: 16, integer: 4, string: 32, binary: 32 } as const;

/**
 * Reads the words of `stick-table`, or of `table` in a peers section from word `from` on. HAProxy configuration
 * manual §4.2, stick-table. `label` starts messages: `stick-table`. Undefined after a message.
 */
export function readStickTable(
  line: Line,
  name: string,
  from: number,
  label = "stick-table",
): StickTable | undefined {
  const say = (message: string): undefined => void line.alert(`${label}: ${message}`);
  const table: Mutable<StickTable> = {
    at: line.at,
    name,
    type: "ip",
    keySize: 4,
    size: 0,
    expire: undefined,
    nopurge: false,
    peers: undefined,
    writeTo: undefined,
    serverKey: "name",
    recvOnly: false,
    bratesFactor: 1,
    store: [],
  };
  for (let i = from; line.text(i) !== ""; i++) {
    const word = line.text(i);
    const value = line.text(i + 1);
    switch (word) {
      case "type": {
        const type = (Object.keys(TYPES) as (keyof typeof TYPES)[]).find((name) => name === value);
        if (type === undefined) return say(`unknown type '${value}'.`);
        table.type = type;
        table.keySize = TYPES[type];
        i++;
        if ((type === "string" || type === "binary") && line.text(i + 1) === "len") {
          const length = parseWhole(line.text(i + 2)) ?? 0;
          if (length < 1 || length > MAX_STICK_STRING) {
            return say(`'len' expects a positive integer (got '${line.text(i + 2)}').`);
          }
          table.keySize = length;
          i += 2;
        }
        break;
      }
      case "size": {
        const size = parseSize(value);
        if (value === "") return say("missing argument after 'size'.");
        if (size.kind === "bad")
          return say(`unexpected character '${size.character}' in argument of 'size'.`);
        if (size.kind === "overflow") return say(`timer overflow in argument of 'size'.`);
        table.size = size.value;
        i++;
        break;
      }
      case "expire": {
        if (value === "") return say("missing argument after 'expire'.");
        const time = parseTime(value);
        if (time.kind === "bad")
          return say(`unexpected character '${time.character}' in argument of 'expire'.`);
        if (time.kind === "overflow") {
          return say(
            `timer overflow in argument <${value}> to <expire>, maximum value is 2147483647 ms (~24.8 days).`,
          );
        }
        table.expire = time.value === 0 ? undefined : time.value;
        i++;
        break;
      }
      case "nopurge":
        table.nopurge = true;
        break;
      case "recv-only":
        table.recvOnly = true;
        break;
      case "peers":
        if (value === "") return say("missing argument after 'peers'.");
        table.peers = value;
        i++;
        break;
      case "write-to":
        if (value === "") return say("missing argument after 'write-to'.");
        table.writeTo = value;
        i++;
        break;
      case "brates-factor": {
        const factor = parseWhole(value) ?? 0;
        if (factor < 1) return say(`'brates-factor' argument must be greater than 0.`);
        table.bratesFactor = factor;
        i++;
        break;
      }
      case "srvkey":
        if (value !== "name" && value !== "addr") return say(`unknown srvkey: '${value}'.`);
        table.serverKey = value;
        i++;
        break;
      case "store": {
        const wrong = readStore(line, value, table.store);
        if (value === "") return say("missing argument after 'store'.");
        if (wrong !== undefined) return say(wrong);
        i++;
        break;
      }
      default:
        return say(`unknown argument '${word}'.`);
    }
  }
  if (table.size === 0) return say("missing size.");
  return table;
}

/** `http_req_rate(10s),gpc(5),gpc_rate(3,1m)`. */
function readStore(line: Line, text: string, store: StoredData[]): string | undefined {
  for (const part of splitOutside(text)) {
    const match = /^([a-z0-9_]+)(?:\((.*)\))?$/.exec(part);
    const kind = match === null ? undefined : STICK_DATA.get(match[1] as string);
    if (match === null || kind === undefined)
      return `unknown store option '${match?.[1] ?? part}'.`;
    const name = match[1] as string;
    const args = match[2]?.split(",") ?? [];
    let elements = 1;
    if (kind.array) {
      elements = parseWhole(args.shift() ?? "") ?? 0;
      if (elements < 1 || elements > 100) {
        return `missing or invalid argument to store option '${name}', a number from 1 to 100 is expected.`;
      }
    }
    let period: StoredData["period"];
    if (kind.rate) {
      const word = args.shift();
      if (word === undefined || word === "") return `missing argument to store option '${name}'.`;
      const time = parseTime(word);
      if (time.kind !== "ok") {
        return `invalid argument '${word}' to store option '${name}', a time is expected.`;
      }
      period = time.value;
    }
    if (args.length > 0) return `unexpected argument to store option '${name}'.`;
    if (store.some((data) => data.name === name)) {
      line.warn(`stick-table: '${name}' is stored twice, the first counts.`);
    } else store.push({ name, period, elements });
  }
  return undefined;
}

/** At commas outside parentheses. */
function splitOutside(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    else if (text[i] === "," && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
