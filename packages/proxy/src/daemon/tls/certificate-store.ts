import { fail, ok, type Result } from "@ha/base";
import { createTlsClientContext, createTlsServerContext, releaseTlsContext } from "@ha/linux/tls";
import type { ConfigHost } from "../../core/config/host.ts";
import type { Config } from "../../core/config/model.ts";
import { join } from "../../core/config/reading.ts";
import { extraFilesOf } from "../../core/config/tls-files.ts";
import type { TlsClient } from "../../core/config/tls-model.ts";
import { loadAuthorities } from "../../core/tls/authorities.ts";
import {
  type CertificateMaterial,
  certificatePaths,
  type ExtraFiles,
  loadCertificate,
  type NamedCompanions,
} from "../../core/tls/certificate-files.ts";
import { type CertificateSettings, parseCrtList } from "../../core/tls/crt-list.ts";
import { isCertificate, isRevocationList, type PemBlock, pemFile } from "../../core/tls/pem.ts";
import { parseTicketKeys } from "../../core/tls/ticket-keys.ts";
import type { BindContexts } from "./bind-contexts.ts";
import { serverOptions } from "./tls-options.ts";

/** One certificate by its name, as `show ssl cert` lists it. */
export interface StoredCertificate {
  readonly name: string;
  /** Undefined after `new ssl cert`, until it is filled. */
  material: CertificateMaterial | undefined;
}

/** Certificates and revocation lists of one `ca-file` or `crl-file`. */
export interface StoredAuthorities {
  readonly name: string;
  readonly kind: "ca" | "crl";
  /** Undefined after `new ssl …`, until it is filled. */
  blocks: readonly PemBlock[] | undefined;
}

/** Keys of tickets from one file, all that count. */
export interface StoredTicketKeys {
  readonly path: string;
  keys: readonly Uint8Array[];
}

/** One line of a crt-list, or one certificate of a folder. */
export interface ListEntry {
  /** 0 in a folder. */
  readonly line: number;
  readonly certificate: string;
  readonly settings: CertificateSettings;
  readonly words: readonly string[] | undefined;
  readonly filters: readonly string[];
}

/** A crt-list or a folder that `bind` lines name. */
export interface StoredList {
  readonly name: string;
  entries: ListEntry[];
  /** Line of the next entry that is added. */
  next: number;
}

/** A server that speaks TLS, and the number of its context now. */
export interface ServerContext {
  readonly proxy: number;
  readonly server: number;
  readonly tls: TlsClient;
  context: number;
}

/**
 * All certificates, authorities, lists and ticket keys of the process, in the memory of its first thread. Read while
 * the process may read them, before its rights are given up; changed by the runtime API. What is made of them stands in
 * native memory and holds for all threads.
 */
export class CertificateStore {
  readonly host: ConfigHost;
  readonly config: Config;
  readonly certificates = new Map<string, StoredCertificate>();
  readonly authorities = new Map<string, StoredAuthorities>();
  readonly ticketKeys: StoredTicketKeys[] = [];
  readonly lists = new Map<string, StoredList>();
  readonly binds: BindContexts[] = [];
  readonly servers: ServerContext[] = [];
  /** Of `ssl-dh-param-file`; `auto` by `tune.ssl.default-dh-param`. Without either there is no DHE. Observed: haproxy 2.6.12. */
  readonly dhParams: Uint8Array | "auto" | undefined;
  readonly #extra: ExtraFiles;

  constructor(host: ConfigHost, config: Config) {
    this.host = host;
    this.config = config;
    this.#extra = extraFilesOf(host, config.global.tls);
    const { dhParamFile } = config.global.tls;
    const file = dhParamFile === undefined ? undefined : host.readFile(dhParamFile);
    const wantsOwn = config.global.tune.has("tune.ssl.default-dh-param");
    this.dhParams = file?.ok ? file.value : wantsOwn ? "auto" : undefined;
    for (const store of config.crtStores.values()) this.#loadStore(store);
  }

  /** The names of the certificates that a `crt` stands for, all loaded. Fails with HAProxy's words. */
  load(text: string, path: string): Result<readonly string[], string> {
    for (const name of [text, path]) if (this.certificates.has(name)) return ok([name]);
    if (text.startsWith("@")) return fail(`unable to find certificate '${text}' in a crt-store.`);
    const paths = certificatePaths(this.host, path, this.#extra);
    if (!paths.ok) return paths;
    for (const one of paths.value) {
      const loaded = this.#loadFile(one, one, {});
      if (loaded !== undefined) return fail(loaded);
    }
    return paths;
  }

  /** A `ca-file` or `crl-file`, loaded. */
  loadAuthorities(kind: "ca" | "crl", path: string): Result<StoredAuthorities, string> {
    const known = this.authorities.get(path);
    if (known !== undefined) return ok(known);
    const loaded = loadAuthorities(this.host, path);
    if (!loaded.ok) return fail(`'${kind}-file' : unable to load ${path} (${loaded.error})`);
    const stored = { name: path, kind, blocks: loaded.value };
    this.authorities.set(path, stored);
    return ok(stored);
  }

  loadTicketKeys(path: string): Result<StoredTicketKeys, string> {
    const known = this.ticketKeys.find((stored) => stored.path === path);
    if (known !== undefined) return ok(known);
    const file = this.host.readFile(path);
    if (!file.ok) return fail(`'${path}' : unable to load ssl tickets keys file`);
    const keys = parseTicketKeys(file.value, path);
    if (!keys.ok) return keys;
    const stored = { path, keys: keys.value };
    this.ticketKeys.push(stored);
    return ok(stored);
  }

  /** A crt-list, with every certificate in it loaded; or a folder, which `show ssl crt-list` lists as well. */
  loadList(path: string): Result<StoredList, string> {
    const known = this.lists.get(path);
    if (known !== undefined) return ok(known);
    const file = this.host.readFile(path);
    if (!file.ok) return fail(`'crt-list' : cannot open file '${path}' : ${file.error}`);
    const list = parseCrtList(file.value, path, { authority: this.authorityPath });
    if (!list.ok) return fail(`'crt-list' : ${list.error}`);
    const entries: ListEntry[] = [];
    for (const line of list.value.lines) {
      const names = this.load(line.certificate, this.certificatePath(line.certificate));
      if (!names.ok) return fail(`'crt-list' : ${names.error}`);
      for (const certificate of names.value) entries.push({ ...line, certificate });
    }
    const stored = { name: path, entries, next: (list.value.lines.at(-1)?.line ?? 0) + 1 };
    this.lists.set(path, stored);
    return ok(stored);
  }

  /** A folder as a list. */
  listFolder(path: string, names: readonly string[]): StoredList {
    const known = this.lists.get(path);
    if (known !== undefined) return known;
    const entries = names.map((certificate) => ({
      line: 0,
      certificate,
      settings: {},
      words: undefined,
      filters: [],
    }));
    const stored = { name: path, entries, next: 0 };
    this.lists.set(path, stored);
    return stored;
  }

  /** With `crt-base` in front. */
  certificatePath(name: string): string {
    const { crtBase } = this.config.global;
    return crtBase === undefined || /^[/@]/.test(name) ? name : join(crtBase, name);
  }

  /** With `ca-base` in front; the file is loaded. */
  readonly authorityPath = (word: "ca-file" | "crl-file", name: string): Result<string, string> => {
    const { caBase } = this.config.global;
    const path = caBase === undefined || /^[/@]/.test(name) ? name : join(caBase, name);
    const loaded = this.loadAuthorities(word === "ca-file" ? "ca" : "crl", path);
    return loaded.ok ? ok(path) : fail(`'${word}' : unable to load ${path}`);
  };

  /** PEM of the certificates in a file of authorities. */
  caBytes(path: string | undefined): Uint8Array | undefined {
    return this.#bytes(path, isCertificate);
  }

  crlBytes(path: string | undefined): Uint8Array | undefined {
    return this.#bytes(path, isRevocationList);
  }

  #bytes(path: string | undefined, wanted: (block: PemBlock) => boolean): Uint8Array | undefined {
    if (path === undefined) return undefined;
    const blocks = this.authorities.get(path)?.blocks?.filter(wanted) ?? [];
    return blocks.length === 0 ? undefined : pemFile(blocks);
  }

  /** A context for a server's line, by what is stored now. */
  createServerContext(tls: TlsClient): Result<number, string> {
    const name = tls.certificate === undefined ? undefined : this.#serverCertificate(tls);
    const material = name === undefined ? undefined : this.certificates.get(name)?.material;
    const made = createTlsClientContext(
      serverOptions(tls, {
        ca: this.caBytes(tls.caFile),
        crl: this.crlBytes(tls.crlFile),
        certificate:
          material === undefined ? undefined : pemFile([material.certificate, ...material.chain]),
        key: material === undefined ? undefined : pemFile([material.key]),
      }),
    );
    return made.ok ? made : fail(`${made.error.operation}: ${made.error.text}`);
  }

  /** The name under which a server's certificate is stored. */
  #serverCertificate({ certificate }: TlsClient): string | undefined {
    if (certificate === undefined) return undefined;
    return this.certificates.has(certificate.text) ? certificate.text : certificate.path;
  }

  /** Servers that show a certificate of that name. */
  serversWith(name: string): ServerContext[] {
    return this.servers.filter(({ tls }) => this.#serverCertificate(tls) === name);
  }

  /** Whether any bind or server shows it. */
  isUsed(name: string): boolean {
    return (
      this.serversWith(name).length > 0 ||
      this.binds.some((bind) => bind.lines.some(({ certificate }) => certificate === name)) ||
      [...this.lists.values()].some(({ entries }) =>
        entries.some(({ certificate }) => certificate === name),
      )
    );
  }

  /** Whether any bind, line of a list or server verifies by it. */
  usesAuthorities(path: string): boolean {
    return (
      this.servers.some(({ tls }) => tls.caFile === path || tls.crlFile === path) ||
      this.binds.some((bind) => bind.lines.some((line) => bind.filesOf(line).includes(path)))
    );
  }

  #loadFile(name: string, path: string, named: NamedCompanions): string | undefined {
    if (this.certificates.has(name)) return undefined;
    const loaded = loadCertificate(this.host, path, this.#extra, named);
    if (!loaded.ok) return loaded.error;
    this.certificates.set(name, { name, material: loaded.value.material });
    return undefined;
  }

  /** Newest HAProxy configuration manual, crt-store: `@store/alias`, or the file's name. What cannot be loaded is found when it is used. */
  #loadStore(store: Config["crtStores"] extends ReadonlyMap<string, infer S> ? S : never): void {
    const { global } = this.config;
    const under = (base: string | undefined, name: string) =>
      base === undefined || name.startsWith("/") ? name : join(base, name);
    for (const load of store.loads) {
      const path = under(store.crtBase ?? global.crtBase, load.crt);
      const named: NamedCompanions = {
        ...(load.key === undefined
          ? {}
          : { ".key": under(store.keyBase ?? global.keyBase, load.key) }),
        ...(load.ocsp === undefined ? {} : { ".ocsp": load.ocsp }),
        ...(load.issuer === undefined ? {} : { ".issuer": load.issuer }),
        ...(load.sctl === undefined ? {} : { ".sctl": load.sctl }),
      };
      const name =
        load.alias !== undefined || store.name !== ""
          ? `@${store.name}/${load.alias ?? load.crt}`
          : load.crt;
      this.#loadFile(name, path, named);
    }
  }
}

/** A context for one use of a certificate. */
export function createCertificateContext(
  options: Parameters<typeof createTlsServerContext>[0],
): Result<number, string> {
  const made = createTlsServerContext(options);
  return made.ok ? made : fail(`${made.error.operation}: ${made.error.text}`);
}

export function releaseContexts(contexts: readonly number[]): void {
  for (const context of contexts) releaseTlsContext(context);
}
