import type { Micros, Position } from "@ha/base";
import type { ScriptUser } from "./model.ts";

/** `proxy NAME { … }`: a program that vrrpd keeps running. Keys are its keywords; every default is resolved. */
export interface ProxyProgram {
  readonly name: string;
  readonly at: Position;
  /** Files that it reads; empty when only `args` says what it does. */
  readonly config: readonly string[];
  /** Undefined: lbproxy, wherever that is. */
  readonly program?: string;
  /** Undefined: made of `config`. */
  readonly args?: readonly string[];
  readonly process_name?: string;
  readonly user?: ScriptUser;
  readonly limit_nofile?: number;
  /** Bytes; -1 is no limit. */
  readonly limit_core?: number;
  readonly start_timeout: Micros;
  /** 0: never. */
  readonly heartbeat_timeout: Micros;
  readonly restart_delay: Micros;
  readonly restart_delay_max: Micros;
  readonly restart_limit: { readonly deaths: number; readonly within: Micros };
  /** 0: it counts as down at once. */
  readonly restart_before_failover: Micros;
  readonly stats_socket?: string;
  readonly down_without_servers: "any" | "none" | readonly string[];
  readonly reload: "on_change" | "always" | "never";
  readonly drain: boolean;
  readonly drain_timeout: Micros;
  readonly stop_timeout: Micros;
}

/** Whether it is lbproxy, which has a health line; any other program only lives or dies. */
export function hasHealthLine({ program }: Pick<ProxyProgram, "program">): boolean {
  return program === undefined || /(^|\/)lbproxy(\.js)?$/.test(program);
}
