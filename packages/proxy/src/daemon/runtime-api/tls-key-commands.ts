import { parseCertificate } from "../../core/sample/certificate.ts";
import { encodeBase64 } from "../../core/sample/converters/base64.ts";
import { latin1 } from "../../core/sample/sample.ts";
import { hex } from "../../core/tls/hex.ts";
import {
  certificateId,
  idKey,
  type OcspCertificateId,
  ocspText,
  ocspTimeFault,
  parseOcspResponse,
} from "../../core/tls/ocsp-response.ts";
import { TICKET_KEYS } from "../../core/tls/ticket-keys.ts";
import type {
  CertificateStore,
  StoredCertificate,
  StoredTicketKeys,
} from "../tls/certificate-store.ts";
import { base64Bytes, commitTls } from "../tls/commit-tls.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

/** Keys of tickets, and OCSP responses. Answers as observed: haproxy 2.6.12. */
export const tlsKeyCommands: readonly Command[] = [
  {
    words: ["show", "tls-keys"],
    usage: "show tls-keys [id|*]",
    doc: "show tls keys references or dump tls ticket keys when id specified",
    level: "admin",
    run: ([id], { process: { certificates } }) => showKeys(certificates, id),
  },
  {
    words: ["set", "ssl", "tls-key"],
    usage: "set ssl tls-key [id|file] <key>",
    doc: "set the next TLS key for the <id> or <file> listener to <key>",
    level: "admin",
    run: ([id, key], context) => setKey(id, key, context),
  },
  {
    words: ["show", "ssl", "ocsp-response"],
    usage: "show ssl ocsp-response [id]",
    doc: "display the IDs of the OCSP responses used in memory, or the details of a single OCSP response",
    level: "operator",
    run: ([id], { process: { certificates } }) => showResponses(certificates, id),
  },
  {
    words: ["show", "ssl", "providers"],
    usage: "show ssl providers",
    doc: "show loaded SSL providers",
    level: "operator",
    // `ssl-provider` has no effect here: there is the library's own one alone.
    run: () => "Loaded providers : \n\t- default\n",
  },
  {
    words: ["set", "ssl", "ocsp-response"],
    usage: "set ssl ocsp-response <resp|payload>",
    doc: "update a certificate's OCSP Response from a base64-encode DER",
    level: "admin",
    run: ([text], context) => setResponse(text ?? context.payload, context),
  },
];

function keysOf({ ticketKeys }: CertificateStore, id: string): StoredTicketKeys | undefined {
  const number = /^#(\d+)$/.exec(id);
  return number === null
    ? ticketKeys.find(({ path }) => path === id)
    : ticketKeys[Number(number[1])];
}

function showKeys(store: CertificateStore, id: string | undefined): string | Refusal {
  const { ticketKeys } = store;
  if (id === undefined) {
    return `# id (file)\n${ticketKeys.map(({ path }, i) => `${i} (${path})\n`).join("")}`;
  }
  const one = id === "*" ? undefined : keysOf(store, id);
  if (id !== "*" && one === undefined) {
    return refuse("'show tls-keys' unable to locate referenced filename\n");
  }
  const rows = ticketKeys.map((file, i) =>
    one !== undefined && file !== one
      ? ""
      : `# ${i} (${file.path})\n${file.keys.map((key, at) => `${i}.${at} ${base64(key)}\n`).join("")}`,
  );
  return `# id secret\n${rows.join("")}`;
}

function base64(bytes: Uint8Array): string {
  const out = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  return latin1(out, 0, encodeBase64(bytes, 0, bytes.length, false, out, 0));
}

async function setKey(
  id: string | undefined,
  text: string | undefined,
  context: CommandContext,
): Promise<string | Refusal> {
  const cannot = (why: string) => refuse(`'set ssl tls-key' ${why}.\n`);
  if (id === undefined || text === undefined) {
    return cannot("expects a filename and the new TLS key in base64 encoding");
  }
  const store = context.process.certificates;
  const file = keysOf(store, id);
  if (file === undefined) {
    return refuse("'set ssl tls-key' unable to locate referenced filename\n");
  }
  const key = base64Bytes(text);
  if (key === undefined) return cannot("received invalid base64 encoded TLS key");
  if (key.length !== file.keys[0]?.length) return cannot("received a key of wrong size");
  const before = file.keys;
  file.keys = [...file.keys, key].slice(-TICKET_KEYS);
  const users = new Set(
    store.binds.filter(({ tls }) => tls.ticketKeysFile === file.path).flatMap(({ lines }) => lines),
  );
  const done = await commitTls(context.process, (line) => users.has(line), []);
  if (!done.ok) {
    file.keys = before;
    return cannot(`failed: ${done.error}`);
  }
  return "TLS ticket key updated!\n";
}

/** Certificates that have a response, with the identity that it is for. */
function* responders(
  store: CertificateStore,
): Iterable<{ readonly stored: StoredCertificate; readonly id: OcspCertificateId }> {
  for (const stored of store.certificates.values()) {
    const { material } = stored;
    const issuer =
      material?.issuer?.der === undefined ? undefined : parseCertificate(material.issuer.der);
    if (material?.ocsp === undefined || issuer === undefined) continue;
    yield { stored, id: certificateId({ facts: material.facts, issuer, host: store.host }) };
  }
}

function showResponses(store: CertificateStore, wanted: string | undefined): string | Refusal {
  const known = new Map<
    string,
    { readonly stored: StoredCertificate; readonly id: OcspCertificateId }
  >();
  for (const one of responders(store)) known.set(idKey(one.id), one);
  if (wanted === undefined) {
    const upper = (bytes: Uint8Array) => hex(bytes).toUpperCase();
    const rows = [...known].map(
      ([key, { id }]) =>
        `Certificate ID key : ${key}\n Certificate ID:\n   Issuer Name Hash: ${upper(id.nameHash)}\n   Issuer Key Hash: ${upper(id.keyHash)}\n   Serial Number: ${upper(id.serial)}\n`,
    );
    return rows.length === 0 ? "" : `# Certificate IDs\n${rows.join("")}`;
  }
  const ocsp = known.get(wanted)?.stored.material?.ocsp;
  const response = ocsp === undefined ? undefined : parseOcspResponse(ocsp);
  return response === undefined || typeof response === "string"
    ? refuse("Certificate ID does not match any certificate.\n")
    : ocspText(response);
}

async function setResponse(
  text: string | undefined,
  context: CommandContext,
): Promise<string | Refusal> {
  if (text === undefined || text === "") {
    return refuse("'set ssl ocsp-response' expects response in base64 encoding.\n");
  }
  const der = base64Bytes(text);
  if (der === undefined) {
    return refuse("'set ssl ocsp-response' received invalid base64 encoded response.\n");
  }
  const store = context.process.certificates;
  const response = parseOcspResponse(der);
  const fault = typeof response === "string" ? response : ocspTimeFault(response, store.host.now());
  if (typeof response === "string" || fault !== undefined) return refuse(`${fault}\n`);
  const key = idKey(response.id);
  const users = [...responders(store)].filter(({ id }) => idKey(id) === key);
  if (users.length === 0) {
    return refuse(
      "OCSP single response: Certificate ID does not match any certificate or issuer.\n",
    );
  }
  const names = new Set<string>();
  for (const { stored } of users) {
    if (stored.material === undefined) continue;
    stored.material = { ...stored.material, ocsp: der };
    names.add(stored.name);
  }
  const done = await commitTls(context.process, (line) => names.has(line.certificate), []);
  return done.ok ? "OCSP Response updated!\n" : refuse(`${done.error}\n`);
}
