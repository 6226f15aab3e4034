import type { TlsEngine, TlsSession } from "@ha/linux/tls";
import type { Backend } from "../../core/config/proxy-model.ts";
import { placed } from "../../core/rule/compile-rules.ts";
import { castChecked } from "../../core/sample/cast.ts";
import { AT_SERVER_CHOICE, type CompileContext } from "../../core/sample/compile-context.ts";
import { compileExpression } from "../../core/sample/expression.ts";
import { createSample, latin1, STR } from "../../core/sample/sample.ts";
import type { Transaction } from "../../core/transaction.ts";

/** TLS towards one server of a backend. */
export interface ServerTls {
  /** The name to ask the server for; undefined for none. Connections with one name carry no request that asks for another. */
  nameOf(transaction: Transaction): string | undefined;
  /** A session for a connection that is being made. Undefined when there is no memory for one. */
  open(engine: TlsEngine, name: string | undefined): TlsSession | undefined;
}

/**
 * By server; undefined where it is spoken to in clear text. `contextOf` gives the client context of a server's number. HAProxy
 * configuration manual §5.2, sni, verifyhost.
 */
export function compileServerTls(
  backend: Backend,
  context: CompileContext,
  contextOf: (server: number) => number | undefined,
): (ServerTls | undefined)[] {
  return backend.servers.map(({ tls, name }, number) => {
    const client = tls === undefined ? undefined : contextOf(number);
    if (tls === undefined || client === undefined) return undefined;
    const { sni, verifyHost, reuseSessions } = tls;
    const expression =
      sni === undefined
        ? undefined
        : compileExpression(sni, placed(context, AT_SERVER_CHOICE, `sni of server '${name}'`));
    const sample = createSample();
    return {
      nameOf: (transaction) => {
        if (expression === undefined || !expression.evaluate(transaction, sample)) return undefined;
        if (!castChecked(sample, STR, transaction)) return undefined;
        const size = sample.end - sample.start;
        return size < 1 || size > 255 ? undefined : latin1(sample.bytes, sample.start, sample.end);
      },
      open: (engine, asked) =>
        engine.connect(contextOf(number) ?? client, {
          sni: asked,
          // Without a name to check there is none. Observed: haproxy 2.6.12.
          verifyHost: tls.verify === "required" ? (verifyHost ?? asked) : undefined,
          reuse: reuseSessions,
        }),
    };
  });
}
