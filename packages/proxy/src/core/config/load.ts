import { checkConfig } from "./checks.ts";
import type { ConfigDraft, ProxyDraft } from "./draft.ts";
import { Findings } from "./findings.ts";
import { emptyGlobal, NEGATION_REFUSED, readGlobalLine } from "./global.ts";
import type { ConfigHost, NameToResolve } from "./host.ts";
import { didYouMean, Line } from "./line.ts";
import type { Config } from "./model.ts";
import { type PreprocessContext, preprocess, type SourceFile } from "./preprocess.ts";
import { emptyProxy, fromDefaults, readProxyLine } from "./proxy.ts";
import { nameOf } from "./proxy-keyword.ts";
import type { Reading } from "./reading.ts";
import { sectionKinds } from "./sections.ts";
import type { Token } from "./token.ts";

export interface LoadOptions extends Omit<PreprocessContext, "environment" | "findings"> {
  readonly host: ConfigHost;
  /** Of the process. It is copied: `setenv` changes the copy, which the model then holds. */
  readonly environment: ReadonlyMap<string, string>;
  readonly commandLine: Reading["commandLine"];
  /** `-dV`: servers' certificates are not verified unless their line says so. */
  readonly noServerVerify: boolean;
  /** Compiles every rule to check it (`checkRules`), before what concerns more than one line. */
  readonly checkRules?: (reading: Reading) => void;
}

/** A configuration that has been read and waits for the addresses of its host names. */
export interface PendingConfig {
  /** To be resolved, each told its address, before `finish` is called. */
  readonly names: readonly NameToResolve[];
  /** Checks what concerns more than one line, and gives the model. */
  readonly finish: () => LoadedConfig;
}

export interface LoadedConfig {
  /** Absent when there are errors. */
  readonly config: Config | undefined;
  readonly findings: Findings;
  /** Names of the files with errors of their own, in order. */
  readonly filesWithErrors: readonly string[];
}

/** Reads haproxy.cfg: all files in order, as one. Never throws, whatever stands in them. HAProxy configuration manual §2. */
export function readConfig(files: readonly SourceFile[], options: LoadOptions): PendingConfig {
  const findings = new Findings();
  const environment = new Map(options.environment);
  const draft: ConfigDraft = {
    global: emptyGlobal(environment),
    proxies: [],
    userlists: new Map(),
    peers: new Map(),
    resolvers: new Map(),
    mailers: new Map(),
    caches: new Map(),
    rings: new Map(),
    httpErrors: new Map(),
    crtStores: new Map(),
    stickTables: new Map(),
    later: [],
  };
  const reading: Reading = {
    findings,
    host: options.host,
    environment,
    startEnvironment: options.environment,
    draft,
    names: [],
    commandLine: options.commandLine,
    files: files.map(({ name }) => name),
    afterParsing: [],
    proxy: undefined,
  };
  if (options.noServerVerify) draft.global.tls.server.verify = "none";
  const reader = new SectionReader(reading);
  for (const file of files) {
    const { stopped } = preprocess(file, { ...options, environment, findings }, (words) =>
      reader.statement(words),
    );
    reader.endOfFile();
    if (stopped) break;
  }
  draft.global.environment = environment;
  for (const name of [".FILE", ".LINE", ".SECTION"]) environment.delete(name);
  const names = files.map(({ name }) => name);
  return {
    names: reading.names,
    finish: () => {
      options.checkRules?.(reading);
      findings.sortByPlace(names);
      const filesWithErrors = [...new Set(names)].filter((name) =>
        findings.list.some(({ severity, at }) => severity === "error" && at?.file === name),
      );
      const config = checkConfig(reading, { parsedCleanly: findings.errors === 0 });
      return { config: findings.errors === 0 ? config : undefined, findings, filesWithErrors };
    },
  };
}

const PROXY_SECTIONS = ["frontend", "backend", "listen"] as const;

/** Hands statements to the section they stand in. */
class SectionReader {
  readonly #reading: Reading;
  readonly #defaults = new Map<string, ProxyDraft>();
  #lastDefaults: ProxyDraft | undefined;
  /** Reads lines of the section that is open; undefined before the first. */
  #read: ((line: Line, prefix: "no" | "default" | undefined) => void) | undefined;

  constructor(reading: Reading) {
    this.#reading = reading;
  }

  statement(words: readonly Token[]): void {
    const { findings } = this.#reading;
    const head = words[0] as Token;
    if (this.#open(head.text, words)) return;
    const prefix = head.text === "no" || head.text === "default" ? head.text : undefined;
    const line = new Line(
      prefix === undefined || words.length === 1 ? words : words.slice(1),
      findings,
    );
    if (this.#read === undefined) {
      findings.put(
        "error",
        "parsing:",
        "config/out-of-section",
        head.at,
        `unknown keyword '${head.text}' out of section.${didYouMean(head.text, SECTION_NAMES).replace(";", " ").replace("did", "Did")}`.trimEnd(),
      );
      return;
    }
    this.#read(line, words.length === 1 ? undefined : prefix);
  }

  /** A file ends its last section: the next one must name its own. */
  endOfFile(): void {
    this.#read = undefined;
    this.#reading.proxy = undefined;
  }

  /** Whether the line begins a section. */
  #open(name: string, words: readonly Token[]): boolean {
    const reading = this.#reading;
    const line = new Line(words, reading.findings);
    const proxySection = PROXY_SECTIONS.find((section) => section === name);
    if (proxySection !== undefined) {
      reading.environment.set(".SECTION", name);
      const proxy = this.#openProxy(line, proxySection);
      reading.proxy = proxy;
      this.#read = (l, prefix) => readProxyLine(l, proxy, reading, prefix);
      return true;
    }
    if (name === "defaults") {
      const proxy = this.#openDefaults(line);
      reading.proxy = proxy;
      this.#read = (l, prefix) => readProxyLine(l, proxy, reading, prefix);
      return true;
    }
    if (name === "global") {
      reading.proxy = undefined;
      line.atMost(0);
      this.#read = (l, prefix) => readGlobalLine(l, reading, prefix === "no");
      return true;
    }
    const kind = sectionKinds.find((section) => section.name === name);
    if (kind === undefined) return false;
    reading.proxy = undefined;
    const read = kind.open(line, reading);
    this.#read = (l, prefix) => {
      if (prefix !== undefined) l.alertTight(NEGATION_REFUSED);
      else read?.(l);
    };
    return true;
  }

  #openProxy(line: Line, section: (typeof PROXY_SECTIONS)[number]): ProxyDraft {
    const { draft, findings } = this.#reading;
    const name = line.text(1);
    const bad = /[^A-Za-z0-9_:.-]/.exec(name);
    if (name === "") {
      line.alert(`'${section}' expects an <id> argument`);
    } else if (bad !== null) {
      line.alert(`character '${bad[0]}' is not permitted in '${section}' name '${name}'.`);
    }
    let defaults = this.#lastDefaults;
    if (line.text(2) === "from") {
      const wanted = line.text(3);
      defaults = this.#defaults.get(wanted);
      if (wanted === "") line.alert("defaults section name expected after 'from'.");
      else if (defaults === undefined) {
        line.alert(`defaults section '${wanted}' not found for ${section} '${name}'.`);
      }
      line.atMost(3);
    } else if (line.text(2) !== "") {
      line.alert("please use the 'bind' keyword for listening addresses.");
    }
    const proxy =
      defaults === undefined
        ? emptyProxy(section, name, line.at, this.#reading)
        : fromDefaults(defaults, section, name, line.at, this.#reading);
    if (defaults !== undefined) this.#noteUse(defaults, proxy, line);
    const twin = draft.proxies.find((other) => other.name === name);
    if (twin !== undefined && name !== "") {
      findings.put(
        "error",
        "Parsing:",
        "config/duplicate",
        line.at,
        `${nameOf(proxy)} has the same name as ${nameOf(twin)} declared at ${twin.at.file}:${twin.at.line}.`,
      );
    }
    draft.proxies.push(proxy);
    return proxy;
  }

  /** Rules of a defaults section run on one side: a frontend and a backend cannot both have them. */
  #noteUse(defaults: ProxyDraft, proxy: ProxyDraft, line: Line): void {
    if (!Object.values(defaults.rules).some((rules) => rules.length > 0)) return;
    defaults.isFrontend ||= proxy.isFrontend;
    defaults.isBackend ||= proxy.isBackend;
    if (proxy.section === "listen" || (defaults.isFrontend && defaults.isBackend)) {
      line.alertTight(
        `frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules (defaults section at ${defaults.at.file}:${defaults.at.line}).`,
      );
    }
  }

  #openDefaults(line: Line): ProxyDraft {
    const name = line.text(1) === "from" ? "" : line.text(1);
    const from = line.text(1) === "from" ? 1 : 2;
    let parent: ProxyDraft | undefined;
    if (line.text(from) === "from" && line.text(from + 1) !== "") {
      parent = this.#defaults.get(line.text(from + 1));
      if (parent === undefined) {
        line.alert(`defaults section '${line.text(from + 1)}' not found for defaults '${name}'.`);
      }
    } else if (line.text(from) !== "") {
      line.warn(`'${line.text(from)}' after the name of a 'defaults' section has no effect.`);
    }
    const bad = /[^A-Za-z0-9_:.-]/.exec(name);
    if (bad !== null)
      line.alert(`character '${bad[0]}' is not permitted in 'defaults' name '${name}'.`);
    const proxy =
      parent === undefined
        ? emptyProxy("defaults", name, line.at, this.#reading)
        : fromDefaults(parent, "defaults", name, line.at, this.#reading);
    if (name !== "") this.#defaults.set(name, proxy);
    this.#lastDefaults = proxy;
    return proxy;
  }
}

const SECTION_NAMES: readonly string[] = [
  "global",
  "defaults",
  ...PROXY_SECTIONS,
  ...sectionKinds.map(({ name }) => name),
];
