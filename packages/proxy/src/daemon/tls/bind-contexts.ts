import { fail, ok, type Position, type Result } from "@ha/base";
import { TlsContextSet } from "@ha/linux/tls";
import type { TlsListener } from "../../core/config/tls-model.ts";
import { parseCertificate } from "../../core/sample/certificate.ts";
import { sameBytes } from "../../core/tls/certificate-files.ts";
import { servedNames } from "../../core/tls/certificate-names.ts";
import type { CertificateSettings } from "../../core/tls/crt-list.ts";
import { type PemBlock, pemFile } from "../../core/tls/pem.ts";
import {
  type CertificateStore,
  createCertificateContext,
  type ListEntry,
  releaseContexts,
  type StoredList,
} from "./certificate-store.ts";
import { bindOptions } from "./tls-options.ts";

/** One certificate of a `bind`, under one set of names. */
export interface BoundLine {
  readonly certificate: string;
  readonly settings: CertificateSettings;
  readonly filters: readonly string[];
  /** The line of the list that it comes from; undefined for a plain `crt`. */
  readonly entry: ListEntry | undefined;
  /** Of the first `crt`: for clients that ask for no name, or one that nobody has. */
  readonly isDefault: boolean;
  context: number;
}

/** The certificates of one `bind` line, and the set of contexts that its clients choose from. */
export class BindContexts {
  readonly set = new TlsContextSet();
  readonly tls: TlsListener;
  /** The proxy's name and the line: how messages name it. */
  readonly proxy: string;
  readonly text: string;
  readonly at: Position;
  lines: BoundLine[] = [];
  /** Lists and folders that it shows: what is added to one appears here. */
  readonly lists = new Set<StoredList>();
  readonly #store: CertificateStore;

  constructor(
    store: CertificateStore,
    tls: TlsListener,
    place: { readonly proxy: string; readonly text: string; readonly at: Position },
  ) {
    this.#store = store;
    this.tls = tls;
    this.proxy = place.proxy;
    this.text = place.text;
    this.at = place.at;
  }

  /** Loads and binds everything that the line names. Fails with HAProxy's words. */
  open(): Result<undefined, string> {
    const { tls } = this;
    const store = this.#store;
    for (const [kind, path] of [
      ["ca", tls.caFile],
      ["ca", tls.caVerifyFile],
      ["crl", tls.crlFile],
    ] as const) {
      const loaded = path === undefined ? undefined : store.loadAuthorities(kind, path);
      if (loaded !== undefined && !loaded.ok) return loaded;
    }
    if (tls.ticketKeysFile !== undefined) {
      const keys = store.loadTicketKeys(tls.ticketKeysFile);
      if (!keys.ok) return keys;
    }
    // The order of the line decides which certificate is the first. Lists and files are kept apart: places tell.
    const uses = [
      ...tls.defaultCertificates.map((use) => ({ use, list: false })),
      ...[
        ...tls.certificates.map((use) => ({ use, list: false })),
        ...tls.certificateLists.map((use) => ({ use, list: true })),
      ].sort((a, b) => a.use.order - b.use.order),
    ];
    for (const { use, list } of uses) {
      const isDefault = this.lines.length === 0;
      const added = list
        ? this.#addList(use.path, isDefault)
        : this.#addCertificate(use.text, use.path, isDefault);
      if (!added.ok) return added;
    }
    this.apply();
    return ok(undefined);
  }

  #addCertificate(text: string, path: string, isDefault: boolean): Result<undefined, string> {
    const store = this.#store;
    const names = store.load(text, path);
    if (!names.ok) return names;
    const folder =
      store.host.kindOf(path) === "folder" ? store.listFolder(path, names.value) : undefined;
    if (folder !== undefined) this.lists.add(folder);
    for (const [i, certificate] of names.value.entries()) {
      const entry = folder?.entries.find((one) => one.certificate === certificate);
      // All keys of a bundle answer for it; of a folder, the first certificate does.
      const first = isDefault && (i === 0 || folder === undefined);
      const added = this.add({ certificate, settings: {}, filters: [] }, entry, first);
      if (!added.ok) return added;
    }
    return ok(undefined);
  }

  #addList(path: string, isDefault: boolean): Result<undefined, string> {
    const list = this.#store.loadList(path);
    if (!list.ok) return list;
    this.lists.add(list.value);
    const [first] = list.value.entries;
    for (const entry of list.value.entries) {
      const added = this.add(entry, entry, isDefault && entry.line === first?.line);
      if (!added.ok) return added;
    }
    return ok(undefined);
  }

  /** Makes a context and keeps it; `apply` lets clients see it. */
  add(
    line: Pick<BoundLine, "certificate" | "settings" | "filters">,
    entry: ListEntry | undefined,
    isDefault: boolean,
  ): Result<undefined, string> {
    const made = this.create(line);
    if (!made.ok) return made;
    const { certificate, settings, filters } = line;
    this.lines.push({ certificate, settings, filters, entry, isDefault, context: made.value });
    return ok(undefined);
  }

  /** A new context for a line, by what is stored now. */
  create({
    certificate,
    settings,
  }: Pick<BoundLine, "certificate" | "settings">): Result<number, string> {
    const store = this.#store;
    const material = store.certificates.get(certificate)?.material;
    if (material === undefined) return fail(`certificate '${certificate}' is empty!`);
    const tls: TlsListener = { ...this.tls, ...settings };
    if (tls.verify !== "none" && tls.caFile === undefined && tls.caVerifyFile === undefined) {
      return fail(
        `Proxy '${this.proxy}': verify is enabled but no CA file specified for bind '${this.text}' at [${this.at.file}:${this.at.line}].`,
      );
    }
    const names = store.caBytes(tls.caFile);
    const more = store.caBytes(tls.caVerifyFile);
    const keys = store.ticketKeys.find(({ path }) => path === tls.ticketKeysFile);
    const dhParams =
      material.dhParams === undefined ? store.dhParams : pemFile([material.dhParams]);
    return createCertificateContext({
      ...bindOptions(
        store.config,
        tls,
        {
          ca: joined(names, more),
          caNames: names ?? new Uint8Array(0),
          crl: store.crlBytes(tls.crlFile),
          ticketKeys: keys?.keys,
        },
        { ignoreCaErrors: tls.caIgnoreErrors, ignoreCertificateErrors: tls.crtIgnoreErrors },
      ),
      pem: pemFile([material.certificate, ...this.#chain(material.chain)]),
      key: pemFile([material.key]),
      ocsp: material.ocsp,
      dhParams,
    });
  }

  /** `ssl-skip-self-issued-ca`: who signs himself is trusted without being shown, or not at all. */
  #chain(chain: readonly PemBlock[]): readonly PemBlock[] {
    if (!this.#store.config.global.tls.skipSelfIssuedCa) return chain;
    return chain.filter(({ der }) => {
      const facts = der === undefined ? undefined : parseCertificate(der);
      return facts === undefined || !sameBytes(facts.subjectDer, facts.issuerDer);
    });
  }

  /** Files of authorities that a line's clients are checked by. */
  filesOf({ settings }: Pick<BoundLine, "settings">): string[] {
    const { caFile, caVerifyFile, crlFile } = { ...this.tls, ...settings };
    return [caFile, caVerifyFile, crlFile].filter((path) => path !== undefined);
  }

  /** Lets new clients choose from what the lines are now. */
  apply(): void {
    const certificates = this.lines.flatMap(({ certificate, filters, context }) => {
      const material = this.#store.certificates.get(certificate)?.material;
      return material === undefined ? [] : [{ context, ...servedNames(filters, material.facts) }];
    });
    this.set.replace({
      certificates,
      defaults: this.lines.filter(({ isDefault }) => isDefault).map(({ context }) => context),
      strictSni: this.tls.strictSni,
    });
  }

  /**
   * Makes new contexts for some lines, all or none. The old ones go when they have been let go of; clients that use them
   * go on. Gives a function that puts the new ones into force, with their number.
   */
  prepare(
    touched: (line: BoundLine) => boolean,
  ): Result<{ readonly count: number; apply(): void; undo(): void }, string> {
    const fresh: { readonly line: BoundLine; readonly context: number }[] = [];
    const undo = () => releaseContexts(fresh.map(({ context }) => context));
    for (const line of this.lines) {
      if (!touched(line)) continue;
      const made = this.create(line);
      if (!made.ok) {
        undo();
        return made;
      }
      fresh.push({ line, context: made.value });
    }
    return ok({
      count: fresh.length,
      undo,
      apply: () => {
        const old = fresh.map(({ line, context }) => {
          const before = line.context;
          line.context = context;
          return before;
        });
        if (fresh.length > 0) this.apply();
        releaseContexts(old);
      },
    });
  }

  /** Takes the lines of an entry away. */
  remove(entry: ListEntry): void {
    const gone = this.lines.filter((line) => line.entry === entry);
    this.lines = this.lines.filter((line) => line.entry !== entry);
    if (gone.length === 0) return;
    this.apply();
    releaseContexts(gone.map(({ context }) => context));
  }
}

function joined(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
