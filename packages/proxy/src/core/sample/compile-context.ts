import type { Diagnostics } from "@ha/base";
import type { NamedAcls } from "../condition/acl.ts";
import type { Token } from "../config/token.ts";
import type { World } from "./world.ts";

/**
 * Where an expression runs: bits, so that a fetch can say everywhere it makes sense. HAProxy configuration manual
 * §7.3: a fetch whose data is not there at that point is an error in an expression, and a warning in an ACL.
 */
export const AT_CONNECTION = 1;
export const AT_SESSION = 2;
export const AT_REQUEST_CONTENT = 4;
export const AT_REQUEST = 8;
/** `balance`, `use-server`, `source`, `sni`: the request is whole and a server is sought. */
export const AT_SERVER_CHOICE = 16;
export const AT_RESPONSE_CONTENT = 32;
export const AT_RESPONSE = 64;
export const AT_LOG = 128;
export const AT_CHECK = 256;
/** The global section: `set-var`. */
export const AT_CONFIG = 512;

/** The section whose lines are being compiled. */
export interface ProxyScope {
  readonly name: string;
  /** Its number in `World.proxies`. */
  readonly index: number;
  readonly mode: string;
  readonly isFrontend: boolean;
  readonly isBackend: boolean;
  /** Named ACLs of the section. */
  readonly acls: NamedAcls;
  /** Length of each capture slot; `http-request capture … len` adds to it. */
  readonly captures: { readonly request: number[]; readonly response: number[] };
  /** Header name of each `capture … header` slot, by slot; for `%hr`. */
  readonly files: FileBase;
}

/** Resolves paths of the configuration as `default-path` says. */
export interface FileBase {
  resolve(path: string): string;
}

/** What compiling needs and reports to. One for each ruleset of a proxy (`at` differs). */
export interface CompileContext {
  readonly world: World;
  readonly diagnostics: Diagnostics;
  /** Undefined in the global section and in checks without proxy. */
  readonly proxy: ProxyScope | undefined;
  /** One of the `AT_` bits. */
  readonly at: number;
  /** True within ACLs, where a fetch with several occurrences gives them in turn; else it gives the last. */
  readonly iterates: boolean;
  /** State of the ruleset being compiled: what earlier rules of it set for later ones. */
  readonly ruleset?: RulesetState;
  /** The whole message of an `http-errors` section's page for a status. */
  readonly errorPage?: (section: string, status: number) => Uint8Array | undefined;
  /** Takes note of what is checked now but refused at a start, because it does not work yet. */
  readonly later?: (feature: string, token: Token) => void;
  /** As messages name the place: `http-request`, `log-format`. */
  readonly place: string;
}

export interface RulesetState {
  /** `strict-mode`: a rewriting without room ends the transaction with a 500. On by default. */
  strict: boolean;
}

/** Notes a use of something that does not work yet; without a taker it is an error. Always undefined. */
export function notYet(context: CompileContext, feature: string, token: Token): undefined {
  if (context.later !== undefined) context.later(feature, token);
  else refuse(context, token, `${feature} is not supported yet`);
  return undefined;
}

/** Reports an error at the word (or at nothing, for what is missing). Always undefined, to return it. */
export function refuse(
  context: CompileContext,
  token: Token | undefined,
  message: string,
  hint?: string,
): undefined {
  context.diagnostics.error("config/rule", token?.at, message, hint);
  return undefined;
}

export function warn(context: CompileContext, token: Token | undefined, message: string): void {
  context.diagnostics.warning("config/rule", token?.at, message);
}
