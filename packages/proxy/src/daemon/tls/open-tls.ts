import { fail, ok, type Result } from "@ha/base";
import { configureTlsSessionCache } from "@ha/linux/tls";
import type { ConfigHost } from "../../core/config/host.ts";
import type { Config } from "../../core/config/model.ts";
import type { TlsListener } from "../../core/config/tls-model.ts";
import { numberProxies } from "../runtime-build.ts";
import { BindContexts } from "./bind-contexts.ts";
import { CertificateStore } from "./certificate-store.ts";
import { placeKey, type TlsShare } from "./tls-share.ts";

/** What the first thread made of all certificates. */
export interface OpenedTls {
  readonly share: TlsShare;
  readonly store: CertificateStore;
}

/**
 * Reads every certificate and makes the contexts of all binds and servers, before rights are given up. Fails with what is wrong of
 * all of them.
 */
export function openTls(config: Config, host: ConfigHost): Result<OpenedTls, readonly string[]> {
  const proxies = numberProxies(config);
  const store = new CertificateStore(host, config);
  const binds = new Map<string, number>();
  const servers = new Map<string, number>();
  const uses = proxies.some(
    ({ frontend, backend }) =>
      frontend?.binds.some(({ tls }) => tls !== undefined) ||
      backend?.servers.some(({ tls }) => tls !== undefined),
  );
  if (!uses) return ok({ share: { binds, servers }, store });
  const { tune } = config.global;
  const entries = tune.get("tune.ssl.cachesize");
  const lifetime = tune.get("tune.ssl.lifetime");
  configureTlsSessionCache(
    typeof entries === "number" ? entries : 20_000,
    typeof lifetime === "number" ? lifetime / 1_000_000 : 300,
  );
  const wrong: string[] = [];
  proxies.forEach(({ proxy, frontend, backend }, index) => {
    // Addresses of one line share its settings, and so its contexts.
    const known = new Map<TlsListener, BindContexts>();
    frontend?.binds.forEach(({ tls, text, at }, place) => {
      if (tls === undefined) return;
      let bind = known.get(tls);
      if (bind === undefined) {
        bind = new BindContexts(store, tls, { proxy: proxy.name, text, at });
        const opened = bind.open();
        if (!opened.ok) wrong.push(`bind '${text}' at [${at.file}:${at.line}]: ${opened.error}`);
        known.set(tls, bind);
        store.binds.push(bind);
      }
      binds.set(placeKey(index, place), bind.set.id);
    });
    backend?.servers.forEach(({ tls, name, at }, server) => {
      if (tls === undefined) return;
      const made = openServer(store, tls);
      if (made.ok) {
        servers.set(placeKey(index, server), made.value);
        store.servers.push({ proxy: index, server, tls, context: made.value });
      } else {
        wrong.push(`[${at.file}:${at.line}] : 'server ${proxy.name}/${name}' : ${made.error}`);
      }
    });
  });
  return wrong.length > 0 ? fail(wrong) : ok({ share: { binds, servers }, store });
}

function openServer(
  store: CertificateStore,
  tls: Parameters<CertificateStore["createServerContext"]>[0],
): Result<number, string> {
  const { certificate, caFile, crlFile } = tls;
  if (certificate !== undefined) {
    const names = store.load(certificate.text, certificate.path);
    if (!names.ok) return names;
  }
  for (const [kind, path] of [
    ["ca", caFile],
    ["crl", crlFile],
  ] as const) {
    const loaded = path === undefined ? undefined : store.loadAuthorities(kind, path);
    if (loaded !== undefined && !loaded.ok) return loaded;
  }
  return store.createServerContext(tls);
}
