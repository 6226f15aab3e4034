import type { ProxyDraft } from "./draft.ts";
import type { KeywordEntry, KeywordStatus } from "./keyword.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";

/** One keyword of frontend, backend, listen and defaults. */
export interface ProxyKeyword extends KeywordEntry {
  /** Which side it is about; on the other it is ignored with a warning. */
  readonly side: "frontend" | "backend" | "both";
  /** Whether it may stand in `defaults`: never, always, or where the section has a name. */
  readonly inDefaults: "yes" | "no" | "named";
  /** After "ignored because … has no … capability.". */
  readonly instead?: string;
  /** Ignored on the other side, and checked all the same, as HAProxy does with these. */
  readonly readAnyway?: boolean;
  readonly read: (line: Line, proxy: ProxyDraft, reading: Reading) => void;
}

interface Words {
  readonly doc: string;
  readonly side?: ProxyKeyword["side"];
  readonly inDefaults?: ProxyKeyword["inDefaults"];
  readonly status?: KeywordStatus;
  readonly default?: string;
  readonly instead?: string;
  readonly readAnyway?: boolean;
  readonly source?: string;
}

export function keyword(
  name: string,
  syntax: string,
  { side = "both", inDefaults = "yes", status = "works", source = "§4.2", ...rest }: Words,
  read: ProxyKeyword["read"],
): ProxyKeyword {
  return { name, syntax, side, inDefaults, status, source, ...rest, read };
}

export function removed(name: string, message: string): ProxyKeyword {
  return keyword(name, name, { doc: message, status: "removed" }, (line) =>
    line.alert(message, undefined, "config/removed"),
  );
}

/** `frontend 'f'`, `backend 'b'`, `proxy 'l'` for a listen, `defaults section …`. */
export function nameOf(proxy: ProxyDraft): string {
  switch (proxy.section) {
    case "listen":
      return `proxy '${proxy.name}'`;
    case "defaults":
      return proxy.name === "" ? "defaults" : `defaults '${proxy.name}'`;
    default:
      return `${proxy.section} '${proxy.name}'`;
  }
}

/** Whether a keyword about `side` counts here; warns when it does not. */
export function counts(
  line: Line,
  proxy: ProxyDraft,
  side: ProxyKeyword["side"],
  what: string,
  instead?: string,
): boolean {
  const here =
    proxy.section === "defaults" ||
    side === "both" ||
    (side === "frontend" ? proxy.isFrontend : proxy.isBackend);
  if (!here) {
    line.warn(
      `'${what}' ignored because ${nameOf(proxy)} has no ${side} capability.${instead === undefined ? "" : ` ${instead}`}`,
      undefined,
      "config/no-capability",
    );
  }
  return here;
}
