import { fail, ok, type Result } from "@ha/base";
import { parseCertificate } from "../../core/sample/certificate.ts";
import { encodeText } from "../../core/sample/sample.ts";
import {
  type CertificateMaterial,
  isIssuer,
  isTimestampList,
} from "../../core/tls/certificate-files.ts";
import { certificateText } from "../../core/tls/certificate-text.ts";
import {
  certificateId,
  idKey,
  ocspFault,
  ocspText,
  parseOcspResponse,
} from "../../core/tls/ocsp-response.ts";
import { isCertificate, isPrivateKey, pemBlocks, pemFile } from "../../core/tls/pem.ts";
import { replaceCheckCertificate } from "../check/check-socket.ts";
import type { CertificateStore } from "../tls/certificate-store.ts";
import { base64Bytes, commitTls } from "../tls/commit-tls.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

/** What a transaction has so far: parts may be missing until it is committed. */
type Parts = Partial<CertificateMaterial>;

interface Pending {
  readonly name: string;
  parts: Parts;
}

/** At most one transaction a process. HAProxy management guide §9.3, set ssl cert. */
const pending = new WeakMap<CertificateStore, Pending>();

/** `new`, `set`, `commit`, `abort`, `del` and `show ssl cert`. Answers as observed: haproxy 2.6.12. */
export const tlsCertificateCommands: readonly Command[] = [
  {
    words: ["show", "ssl", "cert"],
    usage: "show ssl cert [<certfile>]",
    doc: "display the SSL certificates used in memory, or the details of a file",
    level: "operator",
    run: ([name], { process: { certificates } }) =>
      name === undefined ? list(certificates) : show(certificates, name),
  },
  {
    words: ["new", "ssl", "cert"],
    usage: "new ssl cert <certfile>",
    doc: "create a new certificate file to be used in a crt-list or a directory",
    level: "admin",
    run: ([name], { process: { certificates } }) => {
      if (name === undefined) return refuse("'new ssl cert' expects a filename\n");
      if (certificates.certificates.has(name)) {
        return refuse(`Certificate '${name}' already exists!\n`);
      }
      certificates.certificates.set(name, { name, material: undefined });
      return `New empty certificate store '${name}'!\n`;
    },
  },
  {
    words: ["set", "ssl", "cert"],
    usage: "set ssl cert <certfile> <payload>",
    doc: "replace a certificate file",
    level: "admin",
    run: ([name], { payload, process: { certificates } }) =>
      name === undefined || payload === undefined
        ? refuse("'set ssl cert expects a filename and a certificate as a payload\n")
        : set(certificates, name, payload),
  },
  {
    words: ["commit", "ssl", "cert"],
    usage: "commit ssl cert <certfile>",
    doc: "commit a certificate file",
    level: "admin",
    run: ([name], context) =>
      name === undefined ? refuse("'commit ssl cert expects a filename\n") : commit(name, context),
  },
  {
    words: ["abort", "ssl", "cert"],
    usage: "abort ssl cert <certfile>",
    doc: "abort a transaction for a certificate file",
    level: "admin",
    run: ([name], { process: { certificates } }) => {
      if (name === undefined) return refuse("'abort ssl cert' expects a filename\n");
      const open = pending.get(certificates);
      if (open === undefined) return refuse("No ongoing transaction!\n");
      if (open.name !== name) {
        return refuse(
          `The ongoing transaction is about '${open.name}' but you are trying to abort a transaction for '${name}'\n`,
        );
      }
      pending.delete(certificates);
      return `Transaction aborted for certificate '${name}'!\n`;
    },
  },
  {
    words: ["del", "ssl", "cert"],
    usage: "del ssl cert <certfile>",
    doc: "delete an unused certificate file",
    level: "admin",
    run: ([name], { process: { certificates } }) => {
      if (name === undefined) return refuse("'del ssl cert' expects a certificate name\n");
      const cannot = (why: string) =>
        refuse(`Can't remove the certificate: certificate '${name}' ${why}!\n\n`);
      if (!certificates.certificates.has(name)) return cannot("doesn't exist");
      if (certificates.isUsed(name)) return cannot("in use, can't be deleted");
      certificates.certificates.delete(name);
      return `Certificate '${name}' deleted!\n`;
    },
  },
];

function list(store: CertificateStore): string {
  const open = pending.get(store);
  const transaction = open === undefined ? "" : `# transaction\n*${open.name}\n`;
  const names = [...store.certificates.keys()].sort();
  return `${transaction}# filename\n${names.map((name) => `${name}\n`).join("")}`;
}

function show(store: CertificateStore, wanted: string): string | Refusal {
  const unknown = refuse(
    "Can't display the certificate: Not found or the certificate is a bundle!\n",
  );
  const isPending = wanted.startsWith("*");
  const given = isPending ? wanted.slice(1) : wanted;
  const partsOf = (name: string): Parts | undefined => {
    if (!isPending) {
      const stored = store.certificates.get(name);
      return stored === undefined ? undefined : (stored.material ?? {});
    }
    const open = pending.get(store);
    return open?.name === name ? open.parts : undefined;
  };
  const parts = partsOf(given);
  if (parts === undefined) {
    const stem = given.endsWith(".ocsp") ? partsOf(given.slice(0, -".ocsp".length)) : undefined;
    return stem === undefined ? unknown : responseText(stem.ocsp);
  }
  const status =
    parts.certificate === undefined
      ? "Empty"
      : !isPending && store.isUsed(given)
        ? "Used"
        : "Unused";
  const { certificate, chain = [], facts, issuer, ocsp } = parts;
  const signer = issuer?.der === undefined ? undefined : parseCertificate(issuer.der);
  const key =
    ocsp === undefined || facts === undefined || signer === undefined
      ? ""
      : idKey(certificateId({ facts, issuer: signer, host: store.host }));
  const text =
    certificate?.der === undefined
      ? ""
      : certificateText(
          certificate.der,
          (bytes) => store.host.digest("sha1", bytes),
          chain.flatMap(({ der }) => (der === undefined ? [] : [der])),
        );
  return `Filename: ${wanted}\nStatus: ${status}\n${text}OCSP Response Key: ${key}\n`;
}

function responseText(der: Uint8Array | undefined): string {
  const response = der === undefined ? undefined : parseOcspResponse(der);
  return response === undefined || typeof response === "string" ? "" : ocspText(response);
}

type Extension = ".key" | ".ocsp" | ".sctl" | ".issuer";
const EXTENSIONS: readonly Extension[] = [".key", ".ocsp", ".sctl", ".issuer"];

function set(store: CertificateStore, given: string, payload: string): string | Refusal {
  const cannot = (why: string) => refuse(`${why}\nCan't update ${given}!\n`);
  const open = pending.get(store);
  const isKnown = (name: string) => store.certificates.has(name) || open?.name === name;
  const extension = isKnown(given) ? undefined : EXTENSIONS.find((one) => given.endsWith(one));
  let name = extension === undefined ? given : given.slice(0, -extension.length);
  if (
    extension !== undefined &&
    store.config.global.tls.replaceExtension &&
    isKnown(`${name}.crt`)
  ) {
    name = `${name}.crt`;
  }
  if (open !== undefined && open.name !== name) {
    return cannot(
      `The ongoing transaction is about '${open.name}' but you are trying to set '${name}'`,
    );
  }
  const stored = store.certificates.get(name);
  if (open === undefined && stored === undefined) {
    return cannot("Can't replace a certificate which is not referenced by the configuration!");
  }
  const before: Parts = open?.parts ?? stored?.material ?? {};
  const parts = partsFrom(name, extension, payload, before);
  if (!parts.ok) return cannot(`${parts.error}Can't load the payload`);
  if (open === undefined) pending.set(store, { name, parts: parts.value });
  else open.parts = parts.value;
  return `Transaction ${open === undefined ? "created" : "updated"} for certificate ${name}!\n`;
}

/** The parts with one of them, or all, read anew from a payload. */
function partsFrom(
  name: string,
  extension: Extension | undefined,
  payload: string,
  before: Parts,
): Result<Parts, string> {
  switch (extension) {
    case undefined: {
      const blocks = pemBlocks(encodeText(payload));
      const [certificate, ...chain] = blocks.filter(isCertificate);
      const facts = certificate?.der === undefined ? undefined : parseCertificate(certificate.der);
      if (certificate === undefined || facts === undefined) {
        return fail(`unable to load certificate from file '${name}'.\n`);
      }
      const key = blocks.find(isPrivateKey);
      const issuer = chain.find((block) => isIssuer(block, facts));
      const dhParams = blocks.find(({ label }) => label === "DH PARAMETERS");
      return ok({
        certificate,
        facts,
        chain,
        ...(key === undefined ? {} : { key }),
        ...(issuer === undefined ? {} : { issuer }),
        ...(dhParams === undefined ? {} : { dhParams }),
      });
    }
    case ".key": {
      const key = pemBlocks(encodeText(payload)).find(isPrivateKey);
      return key === undefined
        ? fail(`unable to load private key from file '${name}'.\n`)
        : ok({ ...before, key });
    }
    case ".issuer": {
      const issuer = pemBlocks(encodeText(payload)).find(isCertificate);
      return issuer === undefined
        ? fail(`unable to load issuer from file '${name}'.\n`)
        : ok({ ...before, issuer });
    }
    case ".sctl": {
      const sctl = base64Bytes(payload);
      return sctl === undefined || !isTimestampList(sctl) ? fail("") : ok({ ...before, sctl });
    }
    case ".ocsp": {
      const ocsp = base64Bytes(payload);
      if (ocsp === undefined) return fail("");
      const parsed = parseOcspResponse(ocsp);
      return typeof parsed === "string" ? fail(`${parsed}\n`) : ok({ ...before, ocsp });
    }
  }
}

async function commit(name: string, context: CommandContext): Promise<string | Refusal> {
  const store = context.process.certificates;
  const open = pending.get(store);
  const cannot = (why: string) => refuse(`${why}\nCan't commit ${name}!\n`);
  if (open === undefined) return cannot("No ongoing transaction! !");
  if (open.name !== name) {
    return cannot(
      `The ongoing transaction is about '${open.name}' but you are trying to set '${name}'`,
    );
  }
  const { certificate, facts, chain = [], key, issuer, dhParams, ocsp, sctl } = open.parts;
  if (certificate === undefined || facts === undefined || key === undefined) {
    return cannot("The transaction must contain at least a certificate and a private key!");
  }
  if (store.host.checkKey(pemFile([certificate]), pemFile([key])) !== undefined) {
    return cannot(`inconsistencies between private key and certificate loaded '${name}'.`);
  }
  const signer = issuer?.der === undefined ? undefined : parseCertificate(issuer.der);
  if (ocsp !== undefined) {
    if (signer === undefined) return cannot("The OCSP response has no issuer to be checked with!");
    const fault = ocspFault(ocsp, { facts, issuer: signer, host: store.host });
    if (fault !== undefined) return cannot(fault);
  }
  const stored = store.certificates.get(name) ?? { name, material: undefined };
  const before = stored.material;
  stored.material = { certificate, facts, chain, key, issuer, dhParams, ocsp, sctl };
  store.certificates.set(name, stored);
  const done = await commitTls(
    context.process,
    (line) => line.certificate === name,
    store.serversWith(name),
  );
  if (!done.ok) {
    stored.material = before;
    return refuse(`Committing ${name}\n${done.error}\nFailed!\n`);
  }
  pending.delete(store);
  const bytes = { chain: pemFile([certificate, ...chain]), key: pemFile([key]) };
  replaceCheckCertificate(name, bytes);
  return `Committing ${name}${".".repeat(done.value)}\nSuccess!\n`;
}
