import { type Prefix, parseInteger, type Statement, type Token } from "@ha/base";
import type { LineContext } from "./address-line.ts";
import type { VirtualRule } from "./model.ts";
import {
  Dropped,
  familyOf,
  KEEPALIVED_PROTOCOL,
  Missing,
  parseNumber,
  readPrefix,
  readRealms,
  readTable,
  warnOfFamily,
} from "./route-words.ts";
import { Words } from "./words.ts";

/** Invents priorities for rules that have none: from 16384 down, as keepalived does. */
export class RulePriorities {
  #next = 16_384;

  next(): number {
    return this.#next--;
  }
}

/**
 * One line of `virtual_rules` or `static_rules`, the words of `ip rule add`. Undefined when the rule is dropped.
 * keepalived.conf(5), static_rules; ip-rule(8); observed: keepalived 2.2.7
 */
export function readRuleLine(
  { words: line }: Statement,
  context: LineContext,
  priorities: RulePriorities,
): VirtualRule | undefined {
  const { diagnostics } = context;
  try {
    return new RuleReader(line, context).read(priorities);
  } catch (error) {
    if (error instanceof Dropped) {
      diagnostics.error(
        "config/bad-rule",
        error.at ?? line[0].at,
        `${error.message}; the rule is ignored`,
        error.hint,
      );
    } else if (error instanceof Missing) {
      diagnostics.error("config/missing-parameter", error.at ?? line[0].at, error.message);
    } else throw error;
    return undefined;
  }
}

type Rule = { -readonly [K in keyof VirtualRule]?: VirtualRule[K] };

class RuleReader {
  readonly #line: readonly [Token, ...Token[]];
  readonly #context: LineContext;
  readonly #words: Words;
  readonly #rule: Rule = {};
  #inet6 = false;
  #l3mdev = false;
  #protocol: { value: number; at: Token["at"] } | undefined;

  constructor(line: readonly [Token, ...Token[]], context: LineContext) {
    this.#line = line;
    this.#context = context;
    this.#words = new Words(line);
  }

  read(priorities: RulePriorities): VirtualRule {
    for (let word = this.#words.take(); word !== undefined; word = this.#words.take()) {
      this.#word(word);
    }
    return this.#finish(priorities);
  }

  #word(word: Token): void {
    const rule = this.#rule;
    switch (word.text) {
      case "from":
        rule.from = this.#prefix(word);
        return;
      case "to":
        rule.to = this.#prefix(word);
        return;
      case "not":
        rule.not = true;
        return;
      case "inet":
      case "inet6":
        this.#inet6 ||= word.text === "inet6";
        if (this.#words.peek !== undefined) warnOfFamily(word, this.#context);
        return;
      case "iif":
      case "dev":
        rule.iif = this.#device(word);
        return;
      case "oif":
        rule.oif = this.#device(word);
        return;
      case "tos":
      case "dsfield":
        rule.tos = this.#named(
          word,
          "tos",
          (text) => parseNumber(text, 255) ?? this.#context.host.routingNumber("dsfield", text),
        );
        return;
      case "fwmark":
        this.#mark(word);
        return;
      case "table":
      case "lookup":
        this.#act(word, "table");
        rule.table = this.#named(word, "routing table", (text) => {
          const table = readTable(text, this.#context);
          return table === 0 ? undefined : table;
        });
        return;
      case "goto":
        this.#act(word, "goto");
        rule.goto = this.#named(word, "rule to go to", (text) => decimal(text, 0xffff_ffff));
        return;
      case "type":
        this.#actNamed(this.#value(word));
        return;
      case "nop":
      case "blackhole":
      case "unreachable":
      case "prohibit":
        this.#actNamed(word);
        return;
      case "l3mdev":
        this.#act(word, "table");
        this.#l3mdev = true;
        return;
      case "realms":
        rule.realms = this.#named(word, "realms", (text) => readRealms(text, this.#context));
        return;
      case "priority":
      case "preference":
      case "order":
        rule.priority = this.#named(word, "priority", (text) => decimal(text, 0xffff_ffff));
        return;
      case "suppress_prefixlength":
      case "sup_pl":
        rule.suppress_prefixlength = this.#named(word, "prefix length", (text) =>
          decimal(text, 128),
        );
        return;
      case "suppress_ifgroup":
      case "sup_group":
        rule.suppress_ifgroup = this.#named(
          word,
          "group of interfaces",
          (text) => decimal(text, 0x7fff_ffff) ?? this.#context.host.routingNumber("groups", text),
        );
        return;
      case "uidrange":
        rule.uidrange = this.#range(word, 0xffff_ffff);
        return;
      case "sport":
        rule.sport = this.#range(word, 0xffff_ffff);
        return;
      case "dport":
        rule.dport = this.#range(word, 0xffff_ffff);
        return;
      case "ipproto":
        rule.ipproto = this.#named(
          word,
          "protocol of IP",
          (text) => decimal(text, 255) ?? IP_PROTOCOLS[text.toLowerCase()],
        );
        return;
      case "tunnel-id":
        rule.tun_id = this.#named(word, "tunnel id", (text) =>
          decimal(text, Number.MAX_SAFE_INTEGER),
        );
        return;
      case "protocol":
        this.#protocol = {
          value: this.#named(word, "protocol number", (text) => decimal(text, 255)),
          at: word.at,
        };
        return;
      case "no_track":
        rule.no_track = true;
        return;
      case "track_group":
        if (!this.#context.fixed) break;
        rule.track_group = this.#value(word).text;
        return;
    }
    throw new Dropped(`'${word.text}' is not a word of a rule`, word.at);
  }

  #finish(priorities: RulePriorities): VirtualRule {
    const rule = this.#rule;
    const at = this.#line[0].at;
    if (rule.action === undefined) {
      throw new Dropped(
        "the rule says nothing to do",
        at,
        "add table, goto, nop, blackhole, unreachable or prohibit",
      );
    }
    const found = familyOf(rule.from?.address, rule.to?.address);
    if (found === "mixed") throw new Dropped("IPv4 and IPv6 addresses are mixed in one rule", at);
    if (rule.goto !== undefined && rule.priority !== undefined && rule.goto <= rule.priority) {
      throw new Dropped(`goto ${rule.goto} does not lead past priority ${rule.priority}`, at);
    }
    const priority = rule.priority ?? priorities.next();
    if (rule.priority === undefined) {
      this.#context.diagnostics.warning(
        "config/rule-priority",
        at,
        `the rule has no priority; goes on with ${priority}, which is probably not meant`,
        "add: priority <n>",
      );
    }
    const protocol = this.#trackedProtocol();
    return {
      ...rule,
      family: found ?? (this.#inet6 ? 6 : 4),
      not: rule.not ?? false,
      priority,
      action: rule.action,
      l3mdev: this.#l3mdev,
      ...(protocol === undefined ? {} : { protocol }),
      no_track: rule.no_track ?? false,
      at,
    };
  }

  #trackedProtocol(): number | undefined {
    if (this.#protocol === undefined) return undefined;
    const { value, at } = this.#protocol;
    if (this.#rule.no_track === true || value === KEEPALIVED_PROTOCOL) return value;
    this.#context.diagnostics.warning(
      "config/corrected",
      at,
      "a tracked rule must have protocol keepalived; goes on with that",
      "add no_track to keep the protocol",
    );
    return KEEPALIVED_PROTOCOL;
  }

  #act(word: Token, action: VirtualRule["action"]): void {
    if (this.#rule.action !== undefined) {
      throw new Dropped(
        "a rule does one thing only: table, goto, nop, blackhole, unreachable or prohibit",
        word.at,
      );
    }
    this.#rule.action = action;
  }

  #actNamed(word: Token): void {
    const { text } = word;
    if (text === "nop" || text === "blackhole" || text === "unreachable" || text === "prohibit") {
      this.#act(word, text);
    } else throw new Dropped(`'${text}' is not a type of rule`, word.at);
  }

  #mark(word: Token): void {
    const value = this.#value(word);
    const [mark = "", mask] = value.text.split(/\/(.*)/s);
    const number = parseNumber(mark, 0xffff_ffff);
    const bits = mask === undefined ? undefined : parseNumber(mask, 0xffff_ffff);
    if (number === undefined || (mask !== undefined && bits === undefined)) {
      throw new Dropped(`'${value.text}' is not a mark`, value.at, "write: fwmark <n>[/<mask>]");
    }
    this.#rule.fwmark = number;
    if (bits !== undefined) this.#rule.fwmask = bits;
  }

  #range(word: Token, max: number): readonly [number, number] {
    const value = this.#value(word);
    const [from = "", to = ""] = value.text.split("-");
    const first = decimal(from, max);
    const last = decimal(to, max);
    if (first === undefined || last === undefined) {
      throw new Dropped(`'${value.text}' is not a range`, value.at, `write: ${word.text} <n>-<n>`);
    }
    return [first, last];
  }

  #prefix(word: Token): Prefix {
    const value = this.#value(word);
    const prefix = readPrefix(value.text, this.#inet6 ? 6 : 4, this.#context, value.at);
    if (prefix === undefined && value.text === "default") {
      return { address: { family: 4, bytes: new Uint8Array(4) }, length: 0 };
    }
    if (prefix === undefined) throw new Dropped(`'${value.text}' is not an address`, value.at);
    return prefix;
  }

  #device(word: Token): string {
    const value = this.#value(word);
    this.#context.needInterface(value.text, value.at, "rule");
    return value.text;
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
}

const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  "ipv6-icmp": 58,
  sctp: 132,
  udplite: 136,
};

function decimal(text: string, max: number): number | undefined {
  const value = parseInteger(text);
  return value !== undefined && value >= 0 && value <= max ? value : undefined;
}
