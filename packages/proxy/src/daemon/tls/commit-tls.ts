import { fail, ok, type Result } from "@ha/base";
import { decodeBase64 } from "../../core/sample/converters/base64.ts";
import { encodeText } from "../../core/sample/sample.ts";
import type { ProcessControl } from "../runtime-api/command.ts";
import type { BoundLine } from "./bind-contexts.ts";
import { releaseContexts, type ServerContext } from "./certificate-store.ts";

/**
 * Makes the contexts of lines and servers anew from what is stored now, and puts them into force for new connections
 * of all threads; all or none. Gives how many there were; fails with what OpenSSL said.
 */
export async function commitTls(
  { certificates: store, fleet }: Pick<ProcessControl, "certificates" | "fleet">,
  touched: (line: BoundLine) => boolean,
  servers: readonly ServerContext[],
): Promise<Result<number, string>> {
  const prepared: { readonly count: number; apply(): void; undo(): void }[] = [];
  const fresh: { readonly at: ServerContext; readonly context: number }[] = [];
  const undo = (why: string) => {
    for (const one of prepared) one.undo();
    releaseContexts(fresh.map(({ context }) => context));
    return fail(why);
  };
  for (const bind of store.binds) {
    const made = bind.prepare(touched);
    if (!made.ok) return undo(made.error);
    prepared.push(made.value);
  }
  for (const at of servers) {
    const made = store.createServerContext(at.tls);
    if (!made.ok) return undo(made.error);
    fresh.push({ at, context: made.value });
  }
  for (const one of prepared) one.apply();
  const old = fresh.map(({ at, context }) => {
    const before = at.context;
    at.context = context;
    return before;
  });
  await Promise.all(
    fresh.map(({ at: { proxy, server }, context }) =>
      fleet.ask({ kind: "server-tls", proxy, server, context }),
    ),
  );
  // Only now no thread begins a connection with them.
  releaseContexts(old);
  return ok(prepared.reduce((sum, { count }) => sum + count, 0) + fresh.length);
}

/** Base64 as it comes by a payload: line ends do not count. */
export function base64Bytes(text: string): Uint8Array | undefined {
  const bytes = encodeText(text.replace(/\s+/g, ""));
  return bytes.length === 0 ? undefined : decodeBase64(bytes, 0, bytes.length, false);
}
