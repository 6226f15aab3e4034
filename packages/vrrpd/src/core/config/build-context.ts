import type { Diagnostics, Position, Token } from "@ha/base";
import type { LineContext } from "./address-line.ts";
import type { ConfigHost } from "./host.ts";
import type { Globals, ScriptUser } from "./model.ts";

/** What all parts of the build share. */
export interface BuildContext {
  readonly host: ConfigHost;
  readonly diagnostics: Diagnostics;
  readonly globals: Globals;
  /** Set when `script_user` is written but does not exist: scripts without user are then dropped. */
  readonly scriptUserBroken: boolean;
  /** Where the first script stands that runs without enable_script_security, and whether one of them is unsafe. */
  readonly security: { at?: Position; unsafe?: string };
  /** Which instance uses a name of a macvlan or ipvlan. */
  readonly vmacNames: Map<string, string>;
}

/** A missing interface refuses a start, unless interfaces may come and go. keepalived.conf(5), dynamic_interfaces */
export function needInterface(
  context: BuildContext,
  name: string,
  at: Position,
  what: string,
): boolean {
  const { host, globals, diagnostics } = context;
  if (!host.checksWorld || globals.dynamic_interfaces !== "off") return true;
  if (host.findInterface(name) !== undefined) return true;
  diagnostics.error(
    "config/missing-interface",
    at,
    `there is no interface ${name.slice(0, 40)} for this ${what}`,
    "if it appears later, write dynamic_interfaces in global_defs",
  );
  return false;
}

export function lineContext(context: BuildContext, fixed: boolean): LineContext {
  return {
    host: context.host,
    diagnostics: context.diagnostics,
    needInterface: (name, at, what) => {
      needInterface(context, name, at, what);
    },
    fixed,
  };
}

/** Who a user and group are; says what is not there. A `:` before the group asks for the user's other groups too. */
export function findScriptUser(
  host: ConfigHost,
  user: Token,
  group: Token | undefined,
  supplementary: boolean,
): ScriptUser | { readonly problem: string; readonly at: Position } {
  const found = host.findUser(user.text);
  if (found === undefined) return { problem: `there is no user '${user.text}'`, at: user.at };
  const all = supplementary || group?.text.startsWith(":") === true;
  const groupName = group?.text.replace(/^:/, "") ?? "";
  const gid = groupName === "" ? found.gid : host.findGroup(groupName);
  if (gid === undefined) {
    return { problem: `there is no group '${groupName}'`, at: group?.at ?? user.at };
  }
  return { name: found.name, uid: found.uid, gid, supplementary: all };
}
