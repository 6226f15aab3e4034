import { PASS } from "../condition/condition.ts";
import type { ProxyOptions } from "../config/proxy-model.ts";
import { CONTINUE, type Rule } from "../rule/rule.ts";
import { HEAD_CHANGED } from "./head.ts";

const FORBIDDEN = { type: "respond", status: 403, by: "deny" } as const;

/** 1 for letters, digits and hyphens. */
const PLAIN = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/**
 * `option http-restrict-req-hdr-names`: what becomes of a request with header names of anything but letters, digits
 * and hyphens, which applications behind CGI read as others. The first of a proxy's request rules. HAProxy
 * configuration manual §4.2; observed: haproxy 2.6.12 (403, before `http-request` rules).
 */
export function restrictedNames(
  mode: ProxyOptions["restrictRequestHeaderNames"],
  at: Rule["at"],
): Rule | undefined {
  if (mode === "preserve") return undefined;
  return {
    at,
    condition: () => PASS,
    action: ({ bytes, request: { head } }) => {
      for (let field = 0; field < head.fields; field++) {
        const start = head.nameStart[field] as number;
        const end = head.nameEnd[field] as number;
        let i = start;
        while (i < end && PLAIN[bytes[i] as number] === 1) i++;
        if (i === end) continue;
        if (mode === "reject") return FORBIDDEN;
        head.nameEnd[field] = start;
        head.flags |= HEAD_CHANGED;
      }
      return CONTINUE;
    },
  };
}
