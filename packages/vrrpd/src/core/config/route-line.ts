import {
  type IpAddress,
  type Prefix,
  parseAddress,
  parseInteger,
  type Statement,
  type Token,
} from "@ha/base";
import { type LineContext, parseScope } from "./address-line.ts";
import { ENCAP_WORDS, readIlaEncap, readIpEncap, readMplsEncap } from "./encap.ts";
import type { RouteEncap, RouteHop, VirtualRoute } from "./model.ts";
import {
  Dropped,
  familyOf,
  KEEPALIVED_PROTOCOL,
  Missing,
  parseNumber,
  readPrefix,
  readProtocol,
  readRealms,
  readTable,
  warnOfFamily,
} from "./route-words.ts";
import { Words } from "./words.ts";

/**
 * One line of `virtual_routes` or `static_routes`, the words of `ip route add`. Undefined when the route is dropped.
 * keepalived.conf(5), static_routes; ip-route(8); observed: keepalived 2.2.7
 */
export function readRouteLine(
  { words: line }: Statement,
  context: LineContext,
): VirtualRoute | undefined {
  const { diagnostics } = context;
  try {
    const route = new RouteReader(line, context).read();
    if (route.type !== "nat") return route;
    diagnostics.warning(
      "config/not-supported",
      line[0].at,
      "routes of type nat are not supported, by Linux since 2.6; the route is ignored",
    );
    return undefined;
  } catch (error) {
    if (error instanceof Dropped) {
      diagnostics.error(
        "config/bad-route",
        error.at ?? line[0].at,
        `${error.message}; the route is ignored`,
        error.hint,
      );
    } else if (error instanceof Missing) {
      diagnostics.error("config/missing-parameter", error.at ?? line[0].at, error.message);
    } else throw error;
    return undefined;
  }
}

interface Hop {
  via?: IpAddress;
  dev?: string;
  weight?: number;
  onlink: boolean;
  realms?: number;
  encap?: RouteEncap;
}

class RouteReader {
  readonly #line: readonly [Token, ...Token[]];
  readonly #context: LineContext;
  readonly #words: Words;
  #inet6 = false;
  #type: VirtualRoute["type"] = "unicast";
  #to: Prefix | "default" | undefined;
  #src: IpAddress | undefined;
  #from: Prefix | undefined;
  readonly #hop: Hop = { onlink: false };
  readonly #nexthops: RouteHop[] = [];
  #table: number | undefined;
  #protocol: { value: number; at: Token["at"] } | undefined;
  #scope: number | undefined;
  #metric: number | undefined;
  #tos: number | undefined;
  #realms: number | undefined;
  #pref: VirtualRoute["pref"];
  #expires: number | undefined;
  #vrf: string | undefined;
  #ttlPropagate: boolean | undefined;
  #append = false;
  #noTrack = false;
  #trackGroup: string | undefined;
  readonly #metrics: Record<string, number | string> = {};
  readonly #lock: string[] = [];
  readonly #onlySix: Token[] = [];

  constructor(line: readonly [Token, ...Token[]], context: LineContext) {
    this.#line = line;
    this.#context = context;
    this.#words = new Words(line);
  }

  read(): VirtualRoute {
    for (let word = this.#words.take(); word !== undefined; word = this.#words.take()) {
      if (word.text === "nexthop") {
        this.#readNexthops();
        break;
      }
      this.#word(word);
    }
    return this.#finish();
  }

  #word(word: Token): void {
    const { text, at } = word;
    if (METRICS.has(text)) {
      this.#readMetric(word);
      return;
    }
    switch (text) {
      case "inet6":
      case "inet":
        this.#inet6 ||= text === "inet6";
        if (this.#words.peek !== undefined) warnOfFamily(word, this.#context);
        return;
      case "add":
        return;
      case "append":
        this.#append = true;
        return;
      case "to":
        this.#destination(this.#value(word));
        return;
      case "src":
        this.#src = this.#address(word, "source");
        return;
      case "from":
        this.#from = this.#prefix(this.#value(word));
        this.#onlySix.push(word);
        return;
      case "gw":
        this.#context.diagnostics.warning(
          "config/deprecated",
          at,
          "gw in a route is deprecated",
          "write: via",
        );
        this.#hop.via = this.#address(word, "gateway");
        return;
      case "via":
        this.#hop.via = this.#gateway(word);
        return;
      case "or":
        this.#context.diagnostics.warning(
          "config/deprecated",
          at,
          "or in a route is deprecated",
          "write: nexthop via ... nexthop via ...",
        );
        this.#alternative(word);
        return;
      case "dev":
      case "oif":
        this.#hop.dev = this.#device(word);
        return;
      case "onlink":
        this.#hop.onlink = true;
        return;
      case "encap":
        this.#hop.encap = this.#encap(word);
        return;
      case "table":
        this.#table = this.#named(word, "routing table", (value) =>
          readTable(value, this.#context),
        );
        return;
      case "protocol":
        this.#protocol = {
          value: this.#named(word, "protocol", (value) => readProtocol(value, this.#context)),
          at,
        };
        return;
      case "scope":
        this.#scope = this.#named(word, "scope", (value) => parseScope(value, this.#context.host));
        return;
      case "metric":
      case "priority":
      case "preference":
        this.#metric = this.#named(word, "metric", (value) => decimal(value, 0xffff_ffff));
        return;
      case "tos":
      case "dsfield":
        this.#tos = this.#named(
          word,
          "tos",
          (value) => parseNumber(value, 255) ?? this.#context.host.routingNumber("dsfield", value),
        );
        return;
      case "realms":
        this.#realms = this.#named(word, "realms", (value) => readRealms(value, this.#context));
        return;
      case "pref": {
        this.#onlySix.push(word);
        const value = this.#value(word);
        if (value.text !== "low" && value.text !== "medium" && value.text !== "high") {
          this.#complain(value, "pref must be low, medium or high");
        } else this.#pref = value.text;
        return;
      }
      case "expires":
        this.#onlySix.push(word);
        this.#expires = this.#named(word, "expires", (value) => decimal(value, 0xffff_ffff));
        return;
      case "ttl-propagate": {
        const value = this.#value(word);
        if (value.text === "enabled") this.#ttlPropagate = true;
        else if (value.text === "disabled") this.#ttlPropagate = false;
        else throw new Dropped("ttl-propagate must be enabled or disabled", value.at);
        return;
      }
      case "vrf": {
        const value = this.#value(word);
        this.#context.needInterface(value.text, value.at, "VRF");
        this.#vrf = value.text;
        return;
      }
      case "no_track":
        this.#noTrack = true;
        return;
      case "track_group":
        if (!this.#context.fixed) break;
        this.#trackGroup = this.#value(word).text;
        return;
      default:
        if (isType(text) && this.#to === undefined) {
          this.#type = text;
          this.#destination(this.#value(word));
          return;
        }
    }
    this.#destination(word);
  }

  #finish(): VirtualRoute {
    const at = this.#line[0].at;
    if (this.#to === undefined) {
      throw new Dropped(
        "a route must have a destination",
        at,
        "write: <address>/<length> via <address>",
      );
    }
    const to = this.#to === "default" ? undefined : this.#to;
    const addresses = [
      to?.address,
      this.#src,
      this.#from?.address,
      this.#hop.via,
      ...this.#nexthops.map(({ via }) => via),
    ];
    const found = familyOf(...addresses);
    if (found === "mixed") throw new Dropped("IPv4 and IPv6 addresses are mixed in one route", at);
    const family = found ?? (this.#inet6 ? 6 : 4);
    if (family === 4 && this.#inet6) throw new Dropped("inet6 stands in an IPv4 route", at);
    const [six] = this.#onlySix;
    if (family === 4 && six !== undefined) {
      this.#complain(six, `${six.text} is for IPv6 routes only`);
    }
    return {
      family,
      type: this.#type,
      to: to ?? { address: { family, bytes: new Uint8Array(family === 4 ? 4 : 16) }, length: 0 },
      ...(this.#src === undefined ? {} : { src: this.#src }),
      ...(this.#from === undefined || family === 4 ? {} : { from: this.#from }),
      hop: this.#hop,
      nexthops: this.#nexthops,
      ...(this.#table === undefined ? {} : { table: this.#table }),
      protocol: this.#trackedProtocol(),
      ...(this.#scope === undefined ? {} : { scope: this.#scope }),
      ...(this.#metric === undefined ? {} : { metric: this.#metric }),
      ...(this.#tos === undefined ? {} : { tos: this.#tos }),
      ...(this.#realms === undefined ? {} : { realms: this.#realms }),
      ...(this.#pref === undefined || family === 4 ? {} : { pref: this.#pref }),
      ...(this.#expires === undefined || family === 4 ? {} : { expires: this.#expires }),
      ...(this.#vrf === undefined ? {} : { vrf: this.#vrf }),
      ...(this.#ttlPropagate === undefined ? {} : { ttl_propagate: this.#ttlPropagate }),
      append: this.#append,
      metrics: this.#metrics,
      lock: this.#lock,
      no_track: this.#noTrack,
      ...(this.#trackGroup === undefined ? {} : { track_group: this.#trackGroup }),
      at,
    };
  }

  /** keepalived finds its routes again by their protocol, so a tracked one cannot have another. */
  #trackedProtocol(): number {
    if (this.#protocol === undefined) return KEEPALIVED_PROTOCOL;
    const { value, at } = this.#protocol;
    if (this.#noTrack || value === KEEPALIVED_PROTOCOL) return value;
    this.#context.diagnostics.warning(
      "config/corrected",
      at,
      "a tracked route must have protocol keepalived; goes on with that",
      "add no_track to keep the protocol",
    );
    return KEEPALIVED_PROTOCOL;
  }

  #destination(word: Token): void {
    if (word.text === "default") {
      this.#to = "default";
      return;
    }
    const prefix = readPrefix(word.text, 4, this.#context, word.at);
    if (prefix === undefined) {
      throw new Dropped(`'${word.text}' is neither a word of a route nor an address`, word.at);
    }
    this.#to = prefix;
  }

  #prefix(word: Token): Prefix {
    const prefix = readPrefix(word.text, this.#inet6 ? 6 : 4, this.#context, word.at);
    if (prefix === undefined) throw new Dropped(`'${word.text}' is not an address`, word.at);
    return prefix;
  }

  /** `via [inet|inet6] ADDRESS`. */
  #gateway(word: Token): IpAddress {
    const next = this.#words.peek?.text;
    if (next === "inet" || next === "inet6") this.#words.take();
    return this.#address(word, "gateway");
  }

  #address(word: Token, what: string): IpAddress {
    const value = this.#value(word);
    const address = parseAddress(value.text);
    if (address === undefined)
      throw new Dropped(`'${value.text}' is not a ${what} address`, value.at);
    return address;
  }

  #device(word: Token): string {
    const value = this.#value(word);
    this.#context.needInterface(value.text, value.at, "route");
    return value.text;
  }

  /** `via A or B`: the old way to write two nexthops. */
  #alternative(word: Token): void {
    const second = this.#address(word, "gateway");
    if (this.#hop.via !== undefined) this.#nexthops.push({ via: this.#hop.via, onlink: false });
    this.#nexthops.push({ via: second, onlink: false });
    delete this.#hop.via;
  }

  #readNexthops(): void {
    let hop: Hop = { onlink: false };
    for (let word = this.#words.take(); word !== undefined; word = this.#words.take()) {
      switch (word.text) {
        case "nexthop":
          this.#nexthops.push(hop);
          hop = { onlink: false };
          break;
        case "via":
          hop.via = this.#gateway(word);
          break;
        case "dev":
        case "oif":
          hop.dev = this.#device(word);
          break;
        case "weight":
          hop.weight = this.#named(word, "weight", (value) => {
            const number = decimal(value, 256);
            return number === undefined || number < 1 ? undefined : number;
          });
          break;
        case "onlink":
          hop.onlink = true;
          break;
        case "realms":
          hop.realms = this.#named(word, "realms", (value) => readRealms(value, this.#context));
          break;
        case "encap":
          hop.encap = this.#encap(word);
          break;
        case "no_track":
          this.#noTrack = true;
          break;
        case "track_group":
          this.#trackGroup = this.#value(word).text;
          break;
        default:
          throw new Dropped(`'${word.text}' is not a word of a nexthop`, word.at);
      }
    }
    this.#nexthops.push(hop);
  }

  #encap(word: Token): RouteEncap {
    const type = this.#value(word);
    const read = this.#encapOf(type);
    if (typeof read === "string") throw new Dropped(read, type.at);
    return read;
  }

  #encapOf(type: Token): RouteEncap | string {
    switch (type.text) {
      case "mpls":
        return readMplsEncap(this.#value(type).text);
      case "ila":
        return readIlaEncap(this.#value(type).text);
      case "ip":
      case "ip6": {
        const options = new Map<string, string>();
        for (let next = this.#words.peek; next !== undefined; next = this.#words.peek) {
          if (!ENCAP_WORDS.has(next.text)) break;
          this.#words.take();
          options.set(next.text, this.#value(next).text);
        }
        return readIpEncap(type.text, options);
      }
      default:
        throw new Dropped(
          `'${type.text}' is not an encapsulation`,
          type.at,
          "write: mpls, ip, ip6 or ila",
        );
    }
  }

  #readMetric(word: Token): void {
    let value = this.#value(word);
    if (value.text === "lock") {
      this.#lock.push(word.text);
      value = this.#value(word);
    }
    const name = word.text;
    if (name === "congctl") {
      this.#metrics[name] = value.text;
      return;
    }
    if (name === "features") {
      if (value.text === "ecn") this.#metrics[name] = value.text;
      else this.#complain(value, `the feature '${value.text}' is not supported`);
      return;
    }
    const time = /^(\d+(?:\.\d+)?)(ms|msec|msecs|s|sec|secs)?$/.exec(value.text);
    if (TIMES.has(name) && time !== null) {
      const factor = time[2]?.startsWith("s") === true ? 1000 : 1;
      this.#metrics[name] = Math.round(Number(time[1]) * factor);
      return;
    }
    const max = name === "hoplimit" ? 255 : SWITCHES.has(name) ? 1 : 0xffff_ffff;
    const number = decimal(value.text, max);
    if (number === undefined) {
      this.#complain(value, `${name} must be a whole number from 0 to ${max}`);
    } else this.#metrics[name] = number;
  }

  #named(word: Token, what: string, read: (text: string) => number | undefined): number {
    const value = this.#value(word);
    const number = read(value.text);
    if (number === undefined) throw new Dropped(`'${value.text}' is not a ${what}`, value.at);
    return number;
  }

  #value(word: Token): Token {
    const value = this.#words.take();
    if (value === undefined) throw new Missing(word.text, word.at);
    return value;
  }

  #complain(word: Token, message: string): void {
    this.#context.diagnostics.error("config/bad-value", word.at, message);
  }
}

const TYPES = [
  "unicast",
  "local",
  "broadcast",
  "anycast",
  "multicast",
  "blackhole",
  "unreachable",
  "prohibit",
  "throw",
  "nat",
] as const;

function isType(text: string): text is VirtualRoute["type"] {
  return TYPES.some((type) => type === text);
}

const METRICS = new Set([
  "mtu",
  "hoplimit",
  "advmss",
  "rtt",
  "rttvar",
  "reordering",
  "window",
  "cwnd",
  "ssthresh",
  "rto_min",
  "initcwnd",
  "initrwnd",
  "features",
  "quickack",
  "congctl",
  "fastopen_no_cookie",
]);
const TIMES = new Set(["rtt", "rttvar", "rto_min"]);
const SWITCHES = new Set(["quickack", "fastopen_no_cookie"]);

function decimal(text: string, max: number): number | undefined {
  const value = parseInteger(text);
  return value !== undefined && value >= 0 && value <= max ? value : undefined;
}
