import type { Backend } from "../config/proxy-model.ts";
import type { CompileContext } from "../sample/compile-context.ts";
import type { Servers } from "../server/servers.ts";
import { NONE, type Transaction } from "../transaction.ts";
import { compileAnyOf, compileUseServer } from "./choose-backend.ts";
import { compileCookie } from "./cookie-persistence.ts";
import { compileRdpPersistence } from "./rdp-persistence.ts";
import { compileStick } from "./stick-rules.ts";

/** All that chooses a server before balancing does: cookie, then `use-server`, then stick tables. */
export interface Persistence {
  /** Sets `wantedServer` (NONE: free choice), `forcePersist`, `ignorePersist`. False without room for a changed cookie: 500. */
  readonly request: ((transaction: Transaction) => boolean) | undefined;
  /** After the response's rules. False without room: 500. */
  readonly response: ((transaction: Transaction) => boolean) | undefined;
}

export function compilePersistence(
  backend: Backend,
  servers: Servers,
  context: CompileContext,
): Persistence {
  const { rules } = backend;
  const force = compileAnyOf(rules["force-persist"], "force-persist", context);
  const ignore = compileAnyOf(rules["ignore-persist"], "ignore-persist", context);
  const names = new Map(backend.servers.map(({ name }, at) => [name, at]));
  const persistsAlways = backend.options.on.has("persist");
  const chosen = compileUseServer(
    rules["use-server"],
    names,
    context,
    (transaction, server) =>
      persistsAlways || transaction.forcePersist || Atomics.load(servers.usable, server) !== 0,
  );
  const cookie = compileCookie(backend, servers, context);
  const stick = compileStick(backend, servers, context);
  const rdp =
    backend.persistRdpCookie === undefined
      ? undefined
      : compileRdpPersistence(backend, backend.persistRdpCookie, servers);
  const isIdle = [force, ignore, chosen, cookie, rdp, stick].every((part) => part === undefined);
  return {
    request: isIdle
      ? undefined
      : (transaction) => {
          transaction.wantedServer = NONE;
          transaction.forcePersist = force?.(transaction) ?? false;
          transaction.ignorePersist = ignore?.(transaction) ?? false;
          if (cookie !== undefined && transaction.http && !cookie.request(transaction))
            return false;
          if (transaction.wantedServer === NONE && rdp !== undefined && !transaction.ignorePersist)
            transaction.wantedServer = rdp(transaction);
          if (transaction.wantedServer === NONE && chosen !== undefined) {
            transaction.wantedServer = chosen(transaction);
          }
          stick?.request(transaction);
          return true;
        },
    response:
      cookie === undefined && stick === undefined
        ? undefined
        : (transaction) => {
            stick?.response(transaction);
            return cookie === undefined || !transaction.hasResponse || cookie.response(transaction);
          },
  };
}
