import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An authority of a test's own, made by the openssl program, and what it signs. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), "tls-test-"));
  readonly certificate: Uint8Array;
  #serial = 0;

  constructor() {
    this.#openssl(
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=authority".split(
        " ",
      ),
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
    );
    this.certificate = this.read("ca.pem");
  }

  /** Certificate and key in PEM, for the first name and all others. */
  issue(
    names: readonly string[],
    options: { readonly rsa?: boolean; readonly days?: number } = {},
  ): { readonly pem: Uint8Array; readonly path: string; readonly serial: number } {
    const serial = ++this.#serial;
    const name = `leaf${serial}`;
    const key = options.rsa
      ? ["-newkey", "rsa:2048"]
      : ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    writeFileSync(
      join(this.folder, `${name}.ext`),
      `subjectAltName=${names.map((one) => (/^[\d.]+$/.test(one) ? `IP:${one}` : `DNS:${one}`)).join(",")}\n`,
    );
    this.#openssl(
      "req",
      ...key,
      ..."-nodes -subj".split(" "),
      `/CN=${names[0]}`,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
    );
    this.#openssl(
      ..."x509 -req -CA ca.pem -CAkey ca.key".split(" "),
      "-in",
      `${name}.csr`,
      "-out",
      `${name}.crt`,
      "-days",
      String(options.days ?? 30),
      "-set_serial",
      String(serial),
      "-extfile",
      `${name}.ext`,
    );
    const path = join(this.folder, `${name}.pem`);
    writeFileSync(path, Buffer.concat([this.read(`${name}.crt`), this.read(`${name}.key`)]));
    return { pem: readFileSync(path), path, serial };
  }

  read(name: string): Uint8Array {
    return readFileSync(join(this.folder, name));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #openssl(...words: string[]): void {
    execFileSync("openssl", words, { cwd: this.folder, stdio: "pipe" });
  }
}
