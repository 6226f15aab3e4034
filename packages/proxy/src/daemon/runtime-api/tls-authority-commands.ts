import { encodeText } from "../../core/sample/sample.ts";
import { authoritiesOf } from "../../core/tls/authorities.ts";
import { certificateText, revocationListText } from "../../core/tls/certificate-text.ts";
import { isCertificate, isRevocationList, type PemBlock, pemFile } from "../../core/tls/pem.ts";
import { replaceCheckAuthorities } from "../check/check-socket.ts";
import type { CertificateStore } from "../tls/certificate-store.ts";
import { commitTls } from "../tls/commit-tls.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

/** What differs between authorities and revocation lists, in haproxy 2.6.12's words. */
interface Kind {
  readonly kind: "ca" | "crl";
  /** `CA`, as `CA file 'x'`. */
  readonly title: string;
  readonly word: "ca-file" | "crl-file";
  /** What the commit command calls itself when its name is missing. */
  readonly commitWord: string;
  readonly payload: string;
  readonly wants: (block: PemBlock) => boolean;
}

const KINDS: readonly Kind[] = [
  {
    kind: "ca",
    title: "CA",
    word: "ca-file",
    commitWord: "ca-file",
    payload: "CAs",
    wants: isCertificate,
  },
  {
    kind: "crl",
    title: "CRL",
    word: "crl-file",
    // As haproxy 2.6.12 has it.
    commitWord: "ca-file",
    payload: "CRLs",
    wants: isRevocationList,
  },
];

interface Pending {
  readonly name: string;
  blocks: readonly PemBlock[];
}

/** At most one transaction a kind and process. HAProxy management guide §9.3, set ssl ca-file. */
const pending = {
  ca: new WeakMap<CertificateStore, Pending>(),
  crl: new WeakMap<CertificateStore, Pending>(),
};

/** `new`, `set`, `commit`, `abort`, `del` and `show` of `ssl ca-file` and `ssl crl-file`. */
export const tlsAuthorityCommands: readonly Command[] = KINDS.flatMap((kind) => {
  const { word, title } = kind;
  const called = title === "CA" ? "CA" : "CRL";
  return [
    {
      words: ["show", "ssl", word],
      usage: `show ssl ${word} [<${title.toLowerCase()}file>[:<index>]]`,
      doc: `display the SSL ${called} files used in memory, or the details of one, or of one of its parts`,
      level: "operator" as const,
      run: ([name]: readonly string[], { process: { certificates } }: CommandContext) =>
        name === undefined ? list(kind, certificates) : show(kind, certificates, name),
    },
    {
      words: ["new", "ssl", word],
      usage: `new ssl ${word} <${title.toLowerCase()}file>`,
      doc: `create a new ${called} file to be used in a crt-list`,
      level: "admin" as const,
      run: ([name]: readonly string[], { process: { certificates } }: CommandContext) => {
        if (name === undefined) return refuse(`'new ssl ${word}' expects a filename\n`);
        if (stored(kind, certificates, name) !== undefined) {
          return refuse(`${called} file '${name}' already exists!\n`);
        }
        certificates.authorities.set(name, { name, kind: kind.kind, blocks: undefined });
        return `New ${called} file created '${name}'!\n`;
      },
    },
    {
      words: ["set", "ssl", word],
      usage: `set ssl ${word} <${title.toLowerCase()}file> <payload>`,
      doc: `replace a ${called} file`,
      level: "admin" as const,
      run: ([name]: readonly string[], { payload, process: { certificates } }: CommandContext) =>
        name === undefined || payload === undefined
          ? refuse(`'set ssl ${word} expects a filename and ${kind.payload} as a payload\n`)
          : set(kind, certificates, name, payload),
    },
    {
      words: ["commit", "ssl", word],
      usage: `commit ssl ${word} <${title.toLowerCase()}file>`,
      doc: `commit a ${called} file`,
      level: "admin" as const,
      run: ([name]: readonly string[], context: CommandContext) =>
        name === undefined
          ? refuse(`'commit ssl ${kind.commitWord} expects a filename\n`)
          : commit(kind, name, context),
    },
    {
      words: ["abort", "ssl", word],
      usage: `abort ssl ${word} <${title.toLowerCase()}file>`,
      doc: `abort a transaction for a ${called} file`,
      level: "admin" as const,
      run: ([name]: readonly string[], { process: { certificates } }: CommandContext) => {
        if (name === undefined) return refuse(`'abort ssl ${word}' expects a filename\n`);
        const open = pending[kind.kind].get(certificates);
        if (open === undefined) return refuse("No ongoing transaction!\n");
        if (open.name !== name) {
          return refuse(
            `The ongoing transaction is about '${open.name}' but you are trying to abort a transaction for '${name}'\n`,
          );
        }
        pending[kind.kind].delete(certificates);
        return `Transaction aborted for certificate '${name}'!\n`;
      },
    },
    {
      words: ["del", "ssl", word],
      usage: `del ssl ${word} <${title.toLowerCase()}file>`,
      doc: `delete an unused ${called} file`,
      level: "admin" as const,
      run: ([name]: readonly string[], { process: { certificates } }: CommandContext) => {
        if (name === undefined) return refuse(`'del ssl ${word}' expects a ${called} file name\n`);
        const cannot = (why: string) =>
          refuse(`Can't remove the ${called} file: ${called} file '${name}' ${why}!\n\n`);
        if (stored(kind, certificates, name) === undefined) return cannot("doesn't exist");
        if (certificates.usesAuthorities(name)) return cannot("in use, can't be deleted");
        certificates.authorities.delete(name);
        return `${called} file '${name}' deleted!\n`;
      },
    },
  ];
});

function stored({ kind }: Kind, store: CertificateStore, name: string) {
  const found = store.authorities.get(name);
  return found?.kind === kind ? found : undefined;
}

function list(kind: Kind, store: CertificateStore): string {
  const open = pending[kind.kind].get(store);
  const line = (name: string, blocks: readonly PemBlock[] | undefined) =>
    kind.kind === "ca"
      ? `${name} - ${blocks?.filter(isCertificate).length ?? 0} certificate(s)\n`
      : `${name}\n`;
  const transaction =
    open === undefined ? "" : `# transaction\n${line(`*${open.name}`, open.blocks)}`;
  const rows = [...store.authorities.values()]
    .filter((one) => one.kind === kind.kind)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, blocks }) => line(name, blocks));
  return `${transaction}# filename\n${rows.join("")}`;
}

function show(kind: Kind, store: CertificateStore, wanted: string): string | Refusal {
  const unknown = refuse(`Can't display the ${kind.title} file : Not found!\n`);
  const isPending = wanted.startsWith("*");
  const indexed = /^\*?(.*?)(?::(\d+))?$/.exec(wanted);
  const given = isPending ? wanted.slice(1) : wanted;
  const open = pending[kind.kind].get(store);
  const has = (name: string) =>
    isPending ? open?.name === name : stored(kind, store, name) !== undefined;
  // A name may itself end in a colon and a number.
  const whole = has(given);
  const name = whole ? given : (indexed?.[1] ?? given);
  if (!has(name)) return unknown;
  const index = whole ? undefined : Number(indexed?.[2]);
  const blocks = isPending ? open?.blocks : stored(kind, store, name)?.blocks;
  const shown = `${isPending ? "*" : ""}${name}`;
  if (blocks === undefined) {
    return kind.kind === "ca" ? "" : `Filename: ${shown}\nStatus: Empty\n`;
  }
  const status = !isPending && store.usesAuthorities(name) ? "Used" : "Unused";
  const parts = blocks.filter(kind.wants).map((block, i) => {
    if (block.der === undefined || (index !== undefined && index !== i + 1)) return "";
    return kind.kind === "ca"
      ? ` \nCertificate #${i + 1}:\n${certificateText(block.der, (bytes) => store.host.digest("sha1", bytes))}`
      : ` \nCertificate Revocation List #${i + 1}:\n${revocationListText(block.der) ?? ""}`;
  });
  if (index !== undefined && parts[index - 1] === undefined) return "";
  return `Filename: ${shown}\nStatus: ${status}\n${parts.join("")}`;
}

function set(kind: Kind, store: CertificateStore, name: string, payload: string): string | Refusal {
  const cannot = (why: string) => refuse(`${why}\nCan't update ${name}!\n`);
  const open = pending[kind.kind].get(store);
  if (open !== undefined && open.name !== name) {
    return cannot(
      `The ongoing transaction is about '${open.name}' but you are trying to set '${name}'`,
    );
  }
  if (open === undefined && stored(kind, store, name) === undefined) {
    return cannot(
      `Can't replace a ${kind.title} file which is not referenced by the configuration!`,
    );
  }
  const blocks = authoritiesOf(encodeText(payload));
  if (blocks.length === 0) return cannot("Invalid payload");
  pending[kind.kind].set(store, { name, blocks });
  return `transaction ${open === undefined ? "created" : "updated"} for ${kind.title} ${name}!\n`;
}

async function commit(
  kind: Kind,
  name: string,
  context: CommandContext,
): Promise<string | Refusal> {
  const store = context.process.certificates;
  const cannot = (why: string) => refuse(`${why}\nCan't commit ${name}!\n`);
  const open = pending[kind.kind].get(store);
  if (open === undefined) return cannot("No ongoing transaction! !");
  if (open.name !== name) {
    return cannot(
      `The ongoing transaction is about '${open.name}' but you are trying to set '${name}'`,
    );
  }
  const file = stored(kind, store, name) ?? { name, kind: kind.kind, blocks: undefined };
  const before = file.blocks;
  file.blocks = open.blocks;
  store.authorities.set(name, file);
  const users = new Set(
    store.binds.flatMap((bind) => bind.lines.filter((line) => bind.filesOf(line).includes(name))),
  );
  const done = await commitTls(
    context.process,
    (line) => users.has(line),
    store.servers.filter(({ tls }) => tls.caFile === name || tls.crlFile === name),
  );
  if (!done.ok) {
    file.blocks = before;
    return refuse(`Committing ${name}\n${done.error}\nFailed!\n`);
  }
  pending[kind.kind].delete(store);
  replaceCheckAuthorities(name, pemFile(open.blocks));
  return `Committing ${name}${".".repeat(done.value)}\nSuccess!\n`;
}
