import { readFileSync } from "node:fs";
import { fail, ok, type Result } from "@ha/base";
import {
  configureTlsSessionCache,
  createTlsClientContext,
  createTlsServerContext,
  TlsContextSet,
} from "@ha/linux/tls";
import type { Config } from "../../core/config/model.ts";
import { numberProxies } from "../runtime-build.ts";
import { bindOptions, serverOptions } from "./tls-options.ts";
import { NO_TLS, placeKey, type TlsShare } from "./tls-share.ts";

/**
 * Reads every certificate and makes the contexts of all binds and servers, before rights are given up. Fails with what is wrong of
 * all of them.
 */
export function openTls(config: Config): Result<TlsShare, readonly string[]> {
  const proxies = numberProxies(config);
  const uses = proxies.some(
    ({ frontend, backend }) =>
      frontend?.binds.some(({ tls }) => tls !== undefined) ||
      backend?.servers.some(({ tls }) => tls !== undefined),
  );
  if (!uses) return ok(NO_TLS);
  const { tune } = config.global;
  const entries = tune.get("tune.ssl.cachesize");
  const lifetime = tune.get("tune.ssl.lifetime");
  configureTlsSessionCache(
    typeof entries === "number" ? entries : 20_000,
    typeof lifetime === "number" ? lifetime / 1_000_000 : 300,
  );
  const binds = new Map<string, number>();
  const servers = new Map<string, number>();
  const wrong: string[] = [];
  proxies.forEach(({ frontend, backend }, proxy) => {
    frontend?.binds.forEach(({ tls }, place) => {
      if (tls === undefined) return;
      const set = new TlsContextSet();
      const files = {
        ca: read(tls.caFile),
        caNames: undefined,
        crl: read(tls.crlFile),
        ticketKeys: undefined,
      };
      const defaults: number[] = [];
      for (const { path } of tls.certificates) {
        const made = createTlsServerContext({
          ...bindOptions(config, tls, files, {}),
          pem: readFileSync(path),
        });
        if (made.ok) defaults.push(made.value);
        else wrong.push(`${path}: ${made.error.operation}: ${made.error.text}`);
      }
      set.replace({ certificates: [], defaults, strictSni: tls.strictSni });
      binds.set(placeKey(proxy, place), set.id);
    });
    backend?.servers.forEach(({ tls }, place) => {
      if (tls === undefined) return;
      const made = createTlsClientContext(
        serverOptions(tls, {
          ca: read(tls.caFile),
          crl: read(tls.crlFile),
          certificate: read(tls.certificate?.path),
          key: undefined,
        }),
      );
      if (made.ok) servers.set(placeKey(proxy, place), made.value);
      else wrong.push(`server: ${made.error.operation}: ${made.error.text}`);
    });
  });
  return wrong.length > 0 ? fail(wrong) : ok({ binds, servers });
}

function read(path: string | undefined): Uint8Array | undefined {
  return path === undefined ? undefined : readFileSync(path);
}
