import type { Position } from "@ha/base";
import type { Config, Global, LaterUse } from "./model.ts";
import type { Backend, Frontend, ProxyOptions, RuleLine, Ruleset } from "./proxy-model.ts";
import type { Server } from "./server-model.ts";
import type { ServerWords } from "./server-word.ts";

/** The same value while it is being read. */
export type Mutable<T> = { -readonly [K in keyof T]: MutableField<T[K]> };
type MutableField<T> =
  T extends ReadonlyMap<infer K, infer V>
    ? Map<K, V>
    : T extends ReadonlySet<infer V>
      ? Set<V>
      : T extends readonly (infer E)[]
        ? E[]
        : T;

export type GlobalDraft = Mutable<Omit<Global, "stats" | "tls" | "unixBind" | "defaultPath">> & {
  stats: Mutable<Global["stats"]>;
  tls: {
    bind: Mutable<Global["tls"]["bind"]>;
    server: Mutable<Global["tls"]["server"]>;
    dhParamFile: string | undefined;
    loadExtraFiles: Set<string>;
    replaceExtension: boolean;
    issuersChainPath: string | undefined;
    skipSelfIssuedCa: boolean;
  };
  unixBind: Mutable<Global["unixBind"]>;
  defaultPath: Mutable<Global["defaultPath"]>;
};

/** A server while its line is read: what is nested in the model is changed in place. */
export type ServerDraft = Mutable<Server>;

type ProxyFields = Omit<Frontend & Backend, "rules" | "options" | "timeouts" | "stats" | "servers">;

/** A frontend, backend, listen or defaults section while it is read. */
export interface ProxyDraft extends Mutable<ProxyFields> {
  section: "defaults" | "frontend" | "backend" | "listen";
  isFrontend: boolean;
  isBackend: boolean;
  options: { -readonly [K in keyof ProxyOptions]: K extends "on" ? Set<string> : ProxyOptions[K] };
  timeouts: Mutable<Frontend["timeouts"]>;
  stats: Mutable<NonNullable<Frontend["stats"]>> | undefined;
  rules: Record<Ruleset, RuleLine[]>;
  servers: ServerDraft[];
  /** `default-server` words so far: applied to every server after. */
  defaults: ServerWords;
  /** `log global` stands: the global targets are put in front at the end. */
  logGlobal: boolean;
  /** What the file said about the log format, for warnings of overriding: the option's name. */
  logFormatSource:
    | { readonly name: string; readonly at: Position; readonly own: boolean }
    | undefined;
  /** Timeouts that this very section set, for "overwriting". */
  ownTimeouts: Set<string>;
  /** Names of `errorfiles` sections to take pages from, with the statuses wanted (empty: all). */
  errorSections: {
    readonly at: Position;
    readonly name: string;
    readonly statuses: readonly number[];
  }[];
  /** Where rules of a kind stood first, for the warnings about their order. */
  firstRuleAt: Map<string, Position>;
  /** The last unconditional final action of a ruleset: what follows is dead. */
  finalAt: Map<string, Position>;
  balanceAt: Position | undefined;
  checkRulesAt: Map<string, Position>;
  explicitId: boolean;
  /** `stats` and `option forwardfor` stand in the section itself, not only in its defaults. */
  ownStats: boolean;
  ownForwarding: boolean;
  /** Whether any proxy used this defaults section. */
  defaultsName: string;
}

export interface ConfigDraft extends Omit<Mutable<Config>, "global" | "frontends" | "backends"> {
  global: GlobalDraft;
  proxies: ProxyDraft[];
  later: LaterUse[];
}
