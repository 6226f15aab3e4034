import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certification authority in a folder of its own, made by `openssl`. */
export class CertificateFolder {
  readonly path = mkdtempSync(join(tmpdir(), "certificates-"));

  constructor() {
    this.#key("ca", "ec");
    this.#openssl(
      "req",
      "-x509",
      "-new",
      "-key",
      "ca.k",
      "-subj",
      "/C=FR/O=Test/CN=Test CA",
      "-days",
      "30",
      "-out",
      "ca.crt",
    );
  }

  file(name: string): string {
    return join(this.path, name);
  }

  read(name: string): string {
    return readFileSync(this.file(name), "utf8");
  }

  base64(name: string): string {
    return readFileSync(this.file(name), "base64");
  }

  write(name: string, text: string): string {
    writeFileSync(this.file(name), text);
    return this.file(name);
  }

  /** A certificate signed by the authority: `NAME.crt`, `NAME.k`, and both in `NAME.pem`. */
  certificate(
    name: string,
    kind: "ec" | "rsa",
    subject: string,
    names: readonly string[] = [],
  ): void {
    this.#key(name, kind);
    this.#openssl("req", "-new", "-key", `${name}.k`, "-subj", subject, "-out", `${name}.csr`);
    const extension =
      names.length > 0
        ? `subjectAltName=${names.map((one) => `DNS:${one}`).join(",")}`
        : "basicConstraints=CA:FALSE";
    this.write(`${name}.ext`, `${extension}\n`);
    this.#openssl(
      ...[
        "x509",
        "-req",
        "-in",
        `${name}.csr`,
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.k",
        "-CAcreateserial",
      ],
      ...["-days", "30", "-extfile", `${name}.ext`, "-out", `${name}.crt`],
    );
    this.write(`${name}.pem`, this.read(`${name}.crt`) + this.read(`${name}.k`));
  }

  /** A revocation list of the authority, with the serial numbers given. */
  revocations(name: string, serials: readonly string[]): void {
    this.write(
      "crl.index",
      serials.map((one) => `R\t351231235959Z\t260101000000Z\t${one}\tunknown\t/CN=x\n`).join(""),
    );
    this.write("crl.number", "01\n");
    this.write(
      "crl.cnf",
      "[ca]\ndefault_ca=d\n[d]\ndatabase=crl.index\ncrlnumber=crl.number\ndefault_md=sha256\ndefault_crl_days=30\n",
    );
    this.#openssl(
      "ca",
      "-config",
      "crl.cnf",
      "-gencrl",
      "-keyfile",
      "ca.k",
      "-cert",
      "ca.crt",
      "-out",
      name,
    );
  }

  /** An OCSP response that calls a certificate good. */
  ocsp(certificate: string, out: string): void {
    const serial = this.#openssl("x509", "-in", `${certificate}.crt`, "-noout", "-serial")
      .trim()
      .slice("serial=".length);
    this.write("ocsp.index", `V\t351231235959Z\t\t${serial}\tunknown\t/CN=x\n`);
    this.#openssl(
      "ocsp",
      "-issuer",
      "ca.crt",
      "-cert",
      `${certificate}.crt`,
      "-reqout",
      "ocsp.req",
    );
    this.#openssl(
      ...["ocsp", "-index", "ocsp.index", "-rsigner", "ca.crt", "-rkey", "ca.k", "-CA", "ca.crt"],
      ...["-reqin", "ocsp.req", "-respout", out, "-ndays", "10"],
    );
  }

  serial(certificate: string): string {
    return this.#openssl("x509", "-in", `${certificate}.crt`, "-noout", "-serial")
      .trim()
      .slice("serial=".length);
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }

  #key(name: string, kind: "ec" | "rsa"): void {
    if (kind === "rsa") this.#openssl("genrsa", "-out", `${name}.k`, "2048");
    else this.#openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${name}.k`);
  }

  #openssl(...args: string[]): string {
    return execFileSync("openssl", args, {
      cwd: this.path,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  }
}
