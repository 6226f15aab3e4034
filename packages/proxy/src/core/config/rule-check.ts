import { type Diagnostic, Diagnostics, type Position, seededRandom } from "@ha/base";
import type { NamedAcls } from "../condition/acl.ts";
import { compileCondition, defineAcl, splitCondition } from "../condition/compile-condition.ts";
import { compileLogFormat, HTTP_TEXT, LOG_LINE, PLAIN_TEXT } from "../log/log-format.ts";
import { PatternStore } from "../map/pattern-store.ts";
import { ACTION_LIST, ACTIONS } from "../rule/actions/table.ts";
import { compileRedirects, compileRules, placed, RULESET_PLACES } from "../rule/compile-rules.ts";
import { compileReply } from "../rule/reply.ts";
import type { ActionRuleset } from "../rule/rule.ts";
import {
  AT_CHECK,
  AT_CONFIG,
  AT_LOG,
  AT_REQUEST,
  AT_RESPONSE,
  AT_SERVER_CHOICE,
  type CompileContext,
  type ProxyScope,
} from "../sample/compile-context.ts";
import { checkPlace, parseExpression } from "../sample/expression.ts";
import { VariableNames } from "../sample/variable.ts";
import type { World } from "../sample/world.ts";
import { createProxyState } from "../server/proxy-state.ts";
import { StickTable } from "../server/stick-table.ts";
import { FURTHER_COUNTER } from "../server/tracked.ts";
import type { ProxyDraft } from "./draft.ts";
import type { FindingForm } from "./findings.ts";
import { HAPROXY_ACTIONS, HAPROXY_CONVERTERS, HAPROXY_FETCHES } from "./known-samples.ts";
import { didYouMean } from "./line.ts";
import { nameOf } from "./proxy-keyword.ts";
import type { AclLine, RuleLine, Ruleset } from "./proxy-model.ts";
import { type Reading, resolvePath } from "./reading.ts";
import type { Token } from "./token.ts";

/**
 * Compiles every rule, condition, expression and format once, to say what is wrong with them; what runs is compiled
 * again by each thread. Findings are in HAProxy's form: what was read, then why not.
 */
export function checkRules(reading: Reading): void {
  const checker = new RuleChecker(reading);
  checker.global();
  for (const [index, proxy] of reading.draft.proxies.entries()) checker.proxy(proxy, index);
}

interface Job {
  readonly at: Position;
  readonly run: () => void;
}

class RuleChecker {
  readonly #reading: Reading;
  readonly #world: World;
  /** What has been said: the lines of a defaults section are compiled for each proxy, and reported once. */
  readonly #said = new Set<string>();

  constructor(reading: Reading) {
    this.#reading = reading;
    this.#world = worldOf(reading);
  }

  global(): void {
    const { draft } = this.#reading;
    for (const { at, name, expression, format } of draft.global.processVariables) {
      const token = { text: expression, at };
      this.#compile(
        at,
        "parsing",
        () => "",
        undefined,
        AT_CONFIG,
        "the global section",
        (context) => {
          if (this.#world.variables.variable(name) === undefined) {
            context.diagnostics.error("config/rule", at, `invalid variable name '${name}'`);
          }
          if (format) compileLogFormat(token, context, PLAIN_TEXT);
          else parseExpression(wordsOf(expression, at), 0, context);
        },
      );
    }
  }

  proxy(proxy: ProxyDraft, index: number): void {
    const scope: ProxyScope = {
      name: proxy.name,
      index,
      mode: proxy.mode,
      isFrontend: proxy.isFrontend,
      isBackend: proxy.isBackend,
      acls: new Map() satisfies NamedAcls,
      captures: {
        request: capturesOf(proxy, "request"),
        response: capturesOf(proxy, "response"),
      },
      files: { resolve: (path) => resolvePath(this.#reading, path, proxy.at) },
    };
    const jobs: Job[] = proxy.acls.map((acl) => ({ at: acl.at, run: () => this.#acl(acl, scope) }));
    for (const [ruleset, lines] of Object.entries(proxy.rules) as [Ruleset, RuleLine[]][]) {
      for (const line of lines) {
        jobs.push({ at: line.at, run: () => this.#rule(ruleset, line, proxy, scope) });
      }
    }
    this.#formats(proxy, scope, jobs);
    // An ACL is known from its line on, so lines are compiled as they stand.
    const order = new Map(this.#reading.files.map((file, i) => [file, i]));
    const place = (at: Position): number => (order.get(at.file) ?? 0) * 1e9 + at.line;
    jobs.sort((a, b) => place(a.at) - place(b.at));
    // ACLs of a defaults section are for its own rules alone.
    const begin = place(proxy.at);
    let inherited = true;
    for (const job of jobs) {
      if (inherited && place(job.at) >= begin) {
        inherited = false;
        scope.acls.clear();
      }
      job.run();
    }
    this.#contentRules(proxy);
  }

  /** What HAProxy warns about in a proxy that speaks HTTP: what looks at bytes before they are a request. */
  #contentRules(proxy: ProxyDraft): void {
    const { findings } = this.#reading;
    if (proxy.mode !== "http") return;
    const lines = [...proxy.acls, ...Object.values(proxy.rules).flat()];
    for (const { at, words } of lines) {
      if (!words.some(({ text }) => LAYER6.test(text))) continue;
      const message = `Proxy '${proxy.name}': L6 sample fetches ignored on HTTP proxies (declared at ${at.file}:${at.line}).`;
      if (this.#isNew(at, message)) findings.warnPlain("config/needs-tcp", at, message);
    }
    for (const { at, words } of proxy.isFrontend ? proxy.rules["tcp-request content"] : []) {
      if (!/^track-sc/.test(words[0]?.text ?? "") || !CONNECTION_KEY.test(words[1]?.text ?? ""))
        continue;
      const message = `${nameOf(proxy)} : a 'tcp-request content track-sc*' rule not depending on request contents for an HTTP frontend should be executed at the session level, using a 'tcp-request session' rule (mandatory to track invalid HTTP requests).`;
      if (this.#isNew(at, message)) findings.warnPlain("config/rule-order", at, message);
    }
  }

  #acl(acl: AclLine, scope: ProxyScope): void {
    const lead = (): string => `error detected while parsing ACL '${acl.name}' : `;
    this.#compile(acl.at, "parsing", lead, scope, ~0, "ACL", (context) => defineAcl(acl, context));
  }

  #rule(ruleset: Ruleset, line: RuleLine, proxy: ProxyDraft, scope: ProxyScope): void {
    if (ruleset in RULESET_PLACES) {
      this.#action(ruleset as ActionRuleset, line, proxy, scope);
      return;
    }
    const { words, at } = line;
    const condition = (name: string, from: readonly Token[], place = AT_REQUEST): void =>
      this.#condition(at, from, scope, place, ruleset, () => name);
    switch (ruleset) {
      case "redirect": {
        const lead = (): string =>
          `error detected in ${nameOf(proxy)} while parsing redirect rule : `;
        const split = redirectParts(words);
        this.#compile(at, "parsing", lead, scope, AT_REQUEST, "redirect", (context) => {
          compileRedirects([{ at, words: split.before }], context);
        });
        this.#condition(
          at,
          split.condition,
          scope,
          AT_REQUEST,
          "redirect",
          () => `${lead()}error in condition: `,
        );
        return;
      }
      case "use_backend":
      case "use-server": {
        const [name, ...rest] = words;
        if (name?.text.includes("%") === true) {
          const lead = (): string => `failed to parse ${ruleset} rule '${name.text}' : `;
          this.#compile(at, "Parsing:", lead, scope, AT_REQUEST, ruleset, (context) => {
            compileLogFormat(name, context, PLAIN_TEXT);
          });
        }
        condition(
          "error detected while parsing switching rule : ",
          rest,
          ruleset === "use-server" ? AT_SERVER_CHOICE : AT_REQUEST,
        );
        return;
      }
      case "stick":
        this.#stick(line, scope);
        return;
      case "monitor fail":
        condition("error detected while parsing a 'monitor fail' condition : ", words);
        return;
      case "stats admin":
        condition("error detected while parsing a 'stats admin' rule : ", words);
        return;
      case "stats http-request":
        this.#statsRule(line, scope);
        return;
      case "force-persist":
      case "ignore-persist":
      case "force-be-switch":
        condition(`error detected while parsing a '${ruleset}' rule : `, words);
    }
  }

  #action(ruleset: ActionRuleset, line: RuleLine, proxy: ProxyDraft, scope: ProxyScope): void {
    const { findings, draft } = this.#reading;
    const [head] = line.words;
    const word = head?.text ?? "";
    const name = word.replace(/\(.*/s, "");
    this.#references(name, line, proxy);
    const known = ACTIONS.get(name);
    const isHttp = ruleset.startsWith("http");
    if (known === undefined || !known.rulesets.includes(ruleset)) {
      if (known === undefined && HAPROXY_ACTIONS.has(name)) {
        draft.later.push({ at: line.at, feature: `'${ruleset} ${name}'` });
        return;
      }
      const names = ACTION_LIST.filter(
        ({ name, rulesets }) => rulesets.includes(ruleset) && !FURTHER_COUNTER.test(name),
      ).map((entry) => entry.name);
      const list = names.map((entry) => `'${entry}'`).join(", ");
      if (this.#isNew(line.at, "action")) {
        if (name.startsWith("lua.")) {
          findings.alert(
            "config/not-served",
            line.at,
            `'${ruleset} ${word}' is not supported: Lua is not served by lbproxy.`,
          );
        } else if (isHttp) {
          const near = didYouMean(name, names).replace("; did", " Did");
          findings.put(
            "error",
            "parsing:",
            "config/unknown-action",
            line.at,
            `'${ruleset}' expects ${list}, but got '${word}'${word === "" ? " (missing argument)" : ""}.${near}`,
          );
        } else {
          findings.alert(
            "config/unknown-action",
            line.at,
            `'${ruleset}' expects ${list} in ${nameOf(proxy)} (got '${word}').`,
          );
        }
      }
      return;
    }
    const { before, condition } = splitCondition(line.words);
    const lead = (): string =>
      `error detected in ${nameOf(proxy)} while parsing '${ruleset} ${word}' rule : `;
    const place = RULESET_PLACES[ruleset];
    this.#compile(line.at, "parsing", lead, scope, place, ruleset, (context) => {
      compileRules(ruleset, [{ at: line.at, words: before }], context);
    });
    const conditionLead = (): string =>
      isHttp
        ? `error detected while parsing an '${ruleset} ${word}' condition : `
        : `'${ruleset} ${word}' : error detected in ${nameOf(proxy)} while parsing '${condition[0]?.text ?? "if"}' condition : `;
    this.#condition(line.at, condition, scope, place, ruleset, conditionLead);
  }

  /** Sections that actions name. */
  #references(name: string, line: RuleLine, proxy: ProxyDraft): void {
    const { findings, draft } = this.#reading;
    const say = (message: string): void => {
      if (this.#isNew(line.at, message)) {
        findings.alertPlain(
          "config/unknown-reference",
          line.at,
          message,
          `[${line.at.file}:${line.at.line}]`,
        );
      }
    };
    const target = line.words[1]?.text ?? "";
    if ((name === "cache-use" || name === "cache-store") && !draft.caches.has(target)) {
      say(
        `config: ${nameOf(proxy)}: unable to find the cache '${target}' referenced by the filter 'cache'.`,
      );
    }
    if (name === "do-resolve") {
      const resolvers = /\([^,]*,([^,)]*)/.exec(line.words[0]?.text ?? "")?.[1] ?? "";
      if (!draft.resolvers.has(resolvers)) {
        say(
          `Proxy '${proxy.name}': Can't find resolvers section '${resolvers}' for do-resolve action.`,
        );
      }
    }
    if (name === "send-spoe-group") {
      findings.alert(
        "config/not-served",
        line.at,
        "'send-spoe-group' is not supported: SPOE is not served by lbproxy.",
      );
    }
  }

  /** `if` with nothing after it holds always, as in HAProxy. */
  #condition(
    at: Position,
    words: readonly Token[],
    scope: ProxyScope,
    place: number,
    name: string,
    lead: () => string,
  ): void {
    if (words.length === 1 && /^(if|unless)$/.test(words[0]?.text ?? "")) return;
    this.#compile(at, "parsing", lead, scope, place, name, (context) => {
      compileCondition(words, context);
    });
  }

  #stick(line: RuleLine, scope: ProxyScope): void {
    const { words, at } = line;
    const lead = (): string => "'stick': ";
    const place = words[0]?.text === "store-response" ? AT_RESPONSE : AT_SERVER_CHOICE | AT_REQUEST;
    let next = words.length;
    this.#compile(at, "parsing", lead, scope, place, "stick", (context) => {
      const parsed = parseExpression(words, 1, context);
      if (parsed === undefined) return;
      next = parsed.next;
      checkPlace(parsed.expression, words[1], context);
      if (words[next]?.text === "table") next += 2;
      const extra = words[next];
      if (extra !== undefined && !/^(if|unless)$/.test(extra.text)) {
        context.diagnostics.error("config/rule", extra.at, `unknown keyword '${extra.text}'`);
        next = words.length;
      }
    });
    if (next < words.length) {
      this.#condition(
        at,
        words.slice(next),
        scope,
        place,
        "stick",
        () => `${lead()}error detected while parsing sticking condition : `,
      );
    }
  }

  #statsRule(line: RuleLine, scope: ProxyScope): void {
    const { words, at } = line;
    const { findings } = this.#reading;
    const action = words[0]?.text ?? "";
    if (!["allow", "deny", "auth"].includes(action)) {
      findings.put(
        "error",
        "parsing:",
        "config/unknown-action",
        at,
        `'stats http-request' expects 'allow', 'deny' or 'auth', but got '${action}'.`,
      );
      return;
    }
    const { before, condition } = splitCondition(words);
    const extra = before[action === "auth" && before[1]?.text === "realm" ? 3 : 1];
    if (extra !== undefined) {
      findings.put(
        "error",
        "parsing:",
        "config/bad-value",
        at,
        `'http-request ${action}' expects either 'if' or 'unless' followed by a condition but found '${extra.text}'.`,
      );
    }
    this.#condition(
      at,
      condition,
      scope,
      AT_REQUEST,
      "http-request",
      () => `error detected while parsing an 'http-request ${action}' condition : `,
    );
  }

  /** Log formats, identifiers, error replies, and the expressions on server lines. */
  #formats(proxy: ProxyDraft, scope: ProxyScope, jobs: Job[]): void {
    const format = (
      token: Token | undefined,
      name: string,
      place: number,
      options = LOG_LINE,
    ): void => {
      if (token === undefined) return;
      const lead = (): string => `failed to parse ${name} : `;
      jobs.push({
        at: token.at,
        run: () =>
          this.#compile(token.at, "Parsing:", lead, scope, place, name, (context) => {
            compileLogFormat(token, context, options);
          }),
      });
    };
    if (proxy.isFrontend) {
      if (proxy.logFormat.kind === "custom") format(proxy.logFormat.format, "log-format", AT_LOG);
      format(proxy.logFormatSd, "log-format-sd", AT_LOG);
      format(proxy.errorLogFormat, "error-log-format", AT_LOG);
      format(proxy.uniqueIdFormat, "unique-id", AT_REQUEST, PLAIN_TEXT);
    }
    for (const page of proxy.errorPages.values()) {
      if (page.kind === "section" && !this.#reading.draft.httpErrors.has(page.name)) {
        const { at, name } = page;
        jobs.push({
          at,
          run: () =>
            this.#reading.findings.alertPlain(
              "config/unknown-reference",
              at,
              `proxy '${proxy.name}': unknown http-errors section '${name}' (at ${at.file}:${at.line}).`,
            ),
        });
      }
      if (page.kind !== "reply") continue;
      jobs.push({
        at: page.at,
        run: () =>
          this.#compile(
            page.at,
            "parsing",
            () => "http-error : ",
            scope,
            AT_RESPONSE,
            "http-error",
            (context) => {
              compileReply(page.arguments, page.status, "http-error", context);
            },
          ),
      });
    }
    const hash = proxy.balance[0]?.text === "hash" ? proxy.balance.slice(1) : [];
    if (proxy.isBackend && hash[0] !== undefined) {
      const at = hash[0].at;
      const text = hash.map((word) => word.text).join(" ");
      const lead = (): string =>
        `backend '${proxy.name}' [${proxy.at.file}:${proxy.at.line}]: failed to parse 'balance hash' expression '${text}' in : `;
      jobs.push({
        at,
        run: () =>
          this.#compile(
            at,
            "plain",
            lead,
            scope,
            AT_SERVER_CHOICE | AT_REQUEST,
            "balance hash",
            (context) => {
              const parsed = parseExpression(hash, 0, context);
              if (parsed !== undefined) checkPlace(parsed.expression, hash[0], context);
            },
          ),
      });
    }
    for (const [keyword, lines] of [
      ["http-check", proxy.httpCheck],
      ["tcp-check", proxy.tcpCheck],
    ] as const) {
      for (const line of lines) {
        jobs.push({ at: line.at, run: () => this.#check(keyword, line, scope) });
      }
    }
    for (const server of proxy.servers) {
      const label = `'server ${proxy.name}/${server.name}' : `;
      const sni = server.tls?.sni;
      if (sni !== undefined) {
        jobs.push({
          at: server.at,
          run: () =>
            this.#compile(
              server.at,
              "place",
              () => `${label}error detected while parsing sni expression : `,
              scope,
              AT_SERVER_CHOICE | AT_REQUEST,
              "sni",
              (context) => {
                const parsed = parseExpression([sni], 0, context);
                if (parsed !== undefined) checkPlace(parsed.expression, sni, context);
              },
            ),
        });
      }
      for (const { format: token } of server.sendProxy?.tlvs ?? []) {
        jobs.push({
          at: server.at,
          run: () =>
            this.#compile(
              server.at,
              "place",
              () => `${label}failed to parse TLV format : `,
              scope,
              AT_SERVER_CHOICE | AT_REQUEST,
              "set-proxy-v2-tlv-fmt",
              (context) => {
                compileLogFormat(token, context, HTTP_TEXT);
              },
            ),
        });
      }
    }
  }

  /** The expressions and formats of a step of a check. */
  #check(keyword: string, line: RuleLine, scope: ProxyScope): void {
    const { words, at } = line;
    const [step, ...rest] = words;
    const name = `${keyword} ${step?.text ?? ""}`;
    const lead = (): string => `'${name}' : `;
    this.#compile(at, "parsing", lead, scope, AT_CHECK, name, (context) => {
      if (/^(set-var|set-var-fmt)\(/.test(step?.text ?? "")) {
        if (step?.text.startsWith("set-var-fmt") === true) {
          if (rest[0] !== undefined) compileLogFormat(rest[0], context, PLAIN_TEXT);
        } else parseExpression(rest, 0, context);
        return;
      }
      for (const [i, word] of rest.entries()) {
        const value = rest[i + 1];
        if (value === undefined) continue;
        if (step?.text === "connect" && word.text === "port" && !/^\d+$/.test(value.text)) {
          parseExpression([value], 0, context);
        } else if (word.text === "hdr" && step?.text === "send") {
          const format = rest[i + 2];
          if (format !== undefined) compileLogFormat(format, context, HTTP_TEXT);
        } else if (/^(uri-lf|body-lf|string-lf|binary-lf|on-success|on-error)$/.test(word.text)) {
          compileLogFormat(value, context, PLAIN_TEXT);
        } else if (word.text === "status-code") parseExpression([value], 0, context);
      }
    });
  }

  /** Runs one compilation and reports what it said, with `lead` before each error. */
  #compile(
    at: Position,
    form: FindingForm,
    lead: () => string,
    scope: ProxyScope | undefined,
    place: number,
    name: string,
    work: (context: CompileContext) => void,
  ): void {
    const { draft, findings } = this.#reading;
    const diagnostics = new Diagnostics();
    const context: CompileContext = {
      world: this.#world,
      diagnostics,
      proxy: scope,
      at: place,
      iterates: false,
      place: name,
      later: (feature) => draft.later.push({ at, feature }),
      errorPage: (section, status) => {
        const page = draft.httpErrors.get(section)?.pages.get(status);
        return page?.kind === "file" ? page.bytes : undefined;
      },
    };
    work(placed(context, place, name));
    for (const diagnostic of diagnostics.list) {
      const missing = unknownHere(diagnostic);
      if (missing !== undefined) {
        draft.later.push({ at, feature: missing });
        continue;
      }
      if (!this.#isNew(at, diagnostic.message)) continue;
      const position = diagnostic.at ?? at;
      if (diagnostic.severity === "error") {
        const text = `${lead()}${diagnostic.message}${form === "Parsing:" || form === "parsing" ? "." : ""}`;
        findings.put(
          "error",
          form,
          diagnostic.code,
          { ...at, column: position.column },
          text,
          hintOf(diagnostic),
        );
      } else warnRule(diagnostic, at, this.#reading);
    }
  }

  #isNew(at: Position, message: string): boolean {
    const key = `${at.file}\n${at.line}\n${message}`;
    if (this.#said.has(key)) return false;
    this.#said.add(key);
    return true;
  }
}

/** Fetches that look at the first bytes, whatever they are. */
const LAYER6 =
  /^!*(REQ_CONTENT|payload|payload_lv|re[qs]\.(len|payload|payload_lv|ssl_\w+)|re[qsp]+_len|req_ssl_\w+|rdp_cookie\w*|req\.rdp_cookie\w*)([(,]|$)/;

/** Keys that are known before the first byte. */
const CONNECTION_KEY = /^(src|dst|src_port|dst_port|fc_\w+|so_id|so_name|fe_id)([(,]|$)/;

/** HAProxy's suggestion form. */
function hintOf({ hint }: Diagnostic): string | undefined {
  if (hint === undefined) return undefined;
  return `${hint.slice(0, 1).toUpperCase()}${hint.slice(1)}`;
}

/** A fetch or converter that HAProxy has and we do not yet, said in plain words. */
function unknownHere({ severity, message }: Diagnostic): string | undefined {
  const empty = /^'([^']+)' is not supported: it never finds a value$/.exec(message);
  if (empty !== null) return `the sample fetch '${empty[1]}'`;
  if (severity !== "error") return undefined;
  const match = /^unknown (fetch method|converter) '([^']+)'/.exec(message);
  if (match === null) return undefined;
  const [, kind, name] = match as unknown as [string, string, string];
  if (kind === "converter")
    return HAPROXY_CONVERTERS.has(name) ? `the converter '${name}'` : undefined;
  const base = name.replace(/_(beg|dir|dom|end|len|reg|sub)$/, "");
  return HAPROXY_FETCHES.has(name) || HAPROXY_FETCHES.has(base)
    ? `the sample fetch '${name}'`
    : undefined;
}

function warnRule({ message, code }: Diagnostic, at: Position, { findings }: Reading): void {
  const bare = /^'([^']+)' has no pattern, so it never matches$/.exec(message);
  if (bare === null) {
    findings.warn(code, at, message);
    return;
  }
  findings.warnPlain(
    "config/no-pattern",
    at,
    `parsing acl keyword '${bare[1]}' :\n  no pattern to match against were provided, so this ACL will never match.\n  If this is what you intended, please add '--' to get rid of this warning.\n  If you intended to match only for existence, please use '-m found'.\n  If you wanted to force an int to match as a bool, please use '-m bool'.`,
    `In [${at.file}:${at.line}].`,
  );
}

function redirectParts(words: readonly Token[]): ReturnType<typeof splitCondition> {
  return /^(if|unless)$/.test(words[0]?.text ?? "")
    ? { before: [], condition: words }
    : splitCondition(words);
}

function wordsOf(text: string, at: Position): Token[] {
  return text.split(" ").map((word) => ({ text: word, at }));
}

function capturesOf(proxy: ProxyDraft, side: "request" | "response"): number[] {
  return [
    ...proxy.captures.filter((capture) => capture.side === side).map(({ length }) => length),
    ...proxy.declaredCaptures
      .filter((capture) => capture.side === side)
      .map(({ length }) => length),
  ];
}

/** A world to compile in: everything by its name, nothing of its size. */
function worldOf({ draft, environment, host }: Reading): World {
  return {
    proxies: draft.proxies.map((proxy, i) =>
      createProxyState(
        i,
        proxy.isFrontend ? proxy : undefined,
        proxy.isBackend ? proxy : undefined,
      ),
    ),
    tables: new Map(
      [...draft.stickTables].map(([name, table]) => [name, new StickTable({ ...table, size: 1 })]),
    ),
    userlists: draft.userlists,
    patterns: new PatternStore(),
    variables: new VariableNames(),
    uniqueIds: [],
    captureLengths: [],
    stickCounters: Number(draft.global.tune.get("tune.stick-counters") ?? 3),
    work: new Uint8Array(16_384),
    ports: {
      wallMicros: () => 0,
      random: seededRandom(1),
      digests: {
        hash: (name) => (host.isDigest(name) ? new Uint8Array(64) : undefined),
        hmac: (name) => (host.isDigest(name) ? new Uint8Array(64) : undefined),
        verify: () => false,
        decryptGcm: () => undefined,
      },
      environment: (name) => environment.get(name),
      readFile: (path) => {
        const file = host.readFile(path);
        return file.ok ? file.value : undefined;
      },
      zoneAt: () => ({ offset: 0, name: "UTC" }),
      hostname: host.hostname,
      pid: 0,
      thread: 1,
      isStopping: () => false,
      debug: () => {},
    },
  };
}
