import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { type ConnectionOptions, connect, getCiphers, type TLSSocket } from "node:tls";
import { CertificateFolder } from "../support/certificates.ts";
import { ask, childrenOf, LBPROXY, ProxyFolder, until } from "../support/lbproxy.ts";
import {
  freePort,
  lacksHaproxy,
  type ProgramName,
  type RunningProxy,
  startProxy,
} from "../support/proxy-pair.ts";

// Goal: certificates, lists, authorities and ticket keys mean what they mean to HAProxy, at start and at run time. Method:
// one set of files, made by openssl; both programs run it beside each other; what clients are shown, what rules see
// and what the command socket answers is compared.
const skip =
  lacksHaproxy() || (spawnSync("openssl", ["version"]).error ? "openssl is not installed" : false);

const programs: readonly ProgramName[] = ["haproxy", "lbproxy"];
const running = new Map<ProgramName, RunningProxy>();
let files: CertificateFolder;

const FETCHES = [
  ...["ssl_fc", "ssl_fc_protocol", "ssl_fc_cipher", "ssl_fc_alg_keysize", "ssl_fc_use_keysize"],
  ...["ssl_fc_sni", "ssl_fc_has_sni", "ssl_fc_alpn", "ssl_fc_is_resumed", "ssl_fc_has_crt"],
  ...["ssl_fc_err", "fc_err", "ssl_fc_has_early"],
  ...["ssl_c_used", "ssl_c_verify", "ssl_c_err", "ssl_c_ca_err", "ssl_c_ca_err_depth"],
  ...["ssl_c_s_dn", "ssl_c_s_dn(CN)", "ssl_c_s_dn(,0,rfc2253)", "ssl_c_i_dn", "ssl_c_serial,hex"],
  ...["ssl_c_sha1,hex", "ssl_c_notbefore", "ssl_c_notafter", "ssl_c_key_alg", "ssl_c_sig_alg"],
  ...["ssl_c_version", "ssl_c_der,sha1,hex"],
  ...["ssl_f_s_dn", "ssl_f_serial,hex", "ssl_f_sha1,hex", "ssl_f_key_alg", "ssl_f_der,sha1,hex"],
];

/** Servers that are checked, each as an operator may write it. */
const CHECKS = [
  "{stapled} check ssl verify none",
  "{stapled} check check-ssl verify required ca-file FILE/ca.crt",
  "{stapled} check ssl verify required ca-file FILE/ca.crt verifyhost a.test check-sni a.test",
  "{stapled} check ssl verify required ca-file FILE/b.crt",
  "{strict} check ssl verify none",
  "{strict} check ssl verify none check-sni w.test",
  "{strict} check ssl verify none check-sni other",
  "{plain} check ssl verify none",
  "{plain} check check-ssl verify none",
  "{stapled} check verify none",
  "{stapled} check ssl verify none force-tlsv12",
  "{old} check ssl verify none ssl-min-ver TLSv1.3",
  "{old} check ssl verify none check-alpn http/1.1",
];

before(async () => {
  if (skip !== false) return;
  files = new CertificateFolder();
  files.certificate("a", "ec", "/CN=a.test", ["a.test", "www.a.test"]);
  files.certificate("ar", "rsa", "/CN=a.test", ["a.test", "www.a.test"]);
  files.certificate("w", "ec", "/CN=*.w.test", ["*.w.test", "w.test"]);
  files.certificate("b", "ec", "/CN=b.test");
  files.certificate("client", "ec", "/C=FR/O=Acme, Inc/OU=x/CN=client one");
  files.certificate("revoked", "ec", "/CN=revoked");
  files.revocations("ca.crl", [files.serial("revoked")]);
  files.revocations("none.crl", []);
  files.write("bundle.ecdsa", files.read("a.pem"));
  files.write("bundle.rsa", files.read("ar.pem"));
  files.write("split.crt", files.read("w.crt"));
  files.write("split.crt.key", files.read("w.k"));
  files.write("stapled.pem", files.read("a.pem"));
  files.write("stapled.pem.issuer", files.read("ca.crt"));
  files.ocsp("a", "stapled.pem.ocsp");
  mkdirSync(files.file("folder"));
  files.write("folder/a.pem", files.read("a.pem"));
  files.write("folder/b.pem", files.read("b.pem"));
  files.write(
    "list",
    `${files.file("b.pem")}\n${files.file("a.pem")} !www.a.test\n${files.file("w.pem")} [alpn h2 ssl-min-ver TLSv1.3] *.z.test !no.z.test\n`,
  );
  files.write(
    "keys",
    [1, 2, 3].map((fill) => `${Buffer.alloc(80, fill).toString("base64")}\n`).join(""),
  );
  const started = await Promise.all(
    programs.map((program) => startProxy(program, configuration(program))),
  );
  for (const proxy of started) running.set(proxy.program, proxy);
  await until("both command sockets are there", () =>
    programs.every((program) => existsSync(files.file(`${program}.sock`))),
  );
});

after(async () => {
  await Promise.all([...running.values()].map((proxy) => proxy.stop()));
  if (skip === false) files.remove();
});

function configuration(program: ProgramName): string {
  const file = (name: string) => files.file(name);
  return `
global
  stats socket ${file(`${program}.sock`)} level admin
  nbthread 2
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 2s
frontend names
  bind {list} ssl crt-list ${file("list")}
  bind {bundle} ssl crt ${file("w.pem")} crt ${file("bundle")}
  bind {keys} ssl crt ${file("bundle")}
  bind {strict} ssl crt ${file("split.crt")} crt ${file("folder")} strict-sni
  bind {stapled} ssl crt ${file("stapled.pem")} ca-file ${file("ca.crt")} crl-file ${file("ca.crl")} verify optional crt-ignore-err all ca-ignore-err all tls-ticket-keys ${file("keys")}
  bind {old} ssl crt ${file("ar.pem")} ssl-max-ver TLSv1.2
  bind {demanding} ssl crt ${file("a.pem")} ca-file ${file("ca.crt")} crl-file ${file("ca.crl")} verify required
  http-request return status 200 content-type text/plain lf-string "${FETCHES.map((fetch) => `%[${fetch}]`).join("|")}"
frontend passed
  mode tcp
  bind {passed}
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
  use_backend to_b if { req.ssl_sni -i b.test }
  default_backend to_w
backend to_b
  mode tcp
  server s {list}
backend to_w
  mode tcp
  server s {strict}
frontend plain
  bind {plain}
  http-request redirect scheme https unless { ssl_fc }
frontend again
  bind {again}
  default_backend encrypted
backend encrypted
  http-response set-header x-server "${["ssl_bc", "ssl_bc_protocol", "ssl_bc_cipher", "ssl_bc_alg_keysize", "ssl_s_s_dn", "ssl_s_i_dn(CN)", "ssl_s_sha1,hex", "bc_err"].map((fetch) => `%[${fetch}]`).join("|")}"
  server s {demanding} ssl verify required ca-file ${file("ca.crt")} crt ${file("client.pem")} verifyhost a.test
backend checked
  option httpchk GET /
  timeout check 500ms
  default-server inter 300ms fastinter 300ms downinter 300ms
${CHECKS.map((words, i) => `  server s${i} ${words.replaceAll("FILE/", `${files.path}/`)}`).join("\n")}
backend layer6
  timeout check 500ms
  default-server inter 300ms fastinter 300ms downinter 300ms
  server s0 {list} check check-ssl verify none
  server s1 {plain} check check-ssl verify none
  server s2 {demanding} check ssl verify required ca-file ${file("b.crt")}
`;
}

/** What a client meets: the certificate's name and what was agreed on, or how it was refused. */
interface Met {
  readonly outcome: string;
  readonly socket?: TLSSocket;
  /** Base64. */
  readonly ocsp?: string;
}

function meet(
  port: number,
  options: ConnectionOptions & { requestOCSP?: boolean } = {},
): Promise<Met> {
  return new Promise((resolve) => {
    const socket = connect({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      servername: "",
      ...options,
    });
    let ocsp: string | undefined;
    socket.on(
      "OCSPResponse",
      (response: Buffer | null) => (ocsp = response?.toString("base64") ?? ""),
    );
    socket.once("secureConnect", () => {
      const { subject } = socket.getPeerCertificate();
      resolve({
        outcome: `${subject?.CN} ${socket.getProtocol()} ${socket.getCipher().standardName} ${socket.alpnProtocol || "-"}`,
        socket,
        ...(ocsp === undefined ? {} : { ocsp }),
      });
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      socket.destroy();
      resolve({ outcome: error.code ?? error.message });
    });
  });
}

/** The same with each program; the outcomes, with a name each. */
async function meetBoth(name: string, options: ConnectionOptions = {}): Promise<[string, string]> {
  const outcomes: string[] = [];
  for (const program of programs) {
    const met = await meet(portOf(program, name), options);
    met.socket?.destroy();
    outcomes.push(met.outcome);
  }
  return [outcomes[0] ?? "", outcomes[1] ?? ""];
}

function portOf(program: ProgramName, name: string): number {
  return running.get(program)?.ports[name] ?? 0;
}

/** One request on a new connection; the whole answer. */
async function get(port: number, options: ConnectionOptions = {}): Promise<string> {
  const { socket, outcome } = await meet(port, options);
  if (socket === undefined) return outcome;
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once("close", () => resolve(text));
    socket.write("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  });
}

const command = (program: ProgramName, line: string) => ask(files.file(`${program}.sock`), line);

/** What the checks of every server came to. */
async function statuses(program: ProgramName): Promise<string[]> {
  const [head = "", ...rows] = (await command(program, "show stat")).split("\n");
  const columns = head.slice(2).split(",");
  const at = (name: string) => columns.indexOf(name);
  return rows
    .map((row) => row.split(","))
    .filter(([name, server]) => /^(checked|layer6)$/.test(name ?? "") && /^s\d/.test(server ?? ""))
    .map(
      (row) =>
        `${row[0]}/${row[1]} ${row[at("check_status")]?.replace("* ", "")} ${row[at("check_code")]}`,
    );
}

test("checks over TLS come to haproxy's results, and check-ssl alone does not encrypt the traffic", {
  skip,
}, async () => {
  const settled = (list: readonly string[]) => !list.some((one) => one.includes(" INI"));
  for (const program of programs) {
    await until("every server was checked", async () => settled(await statuses(program)));
  }
  assert.deepEqual(await statuses("lbproxy"), await statuses("haproxy"));
});

test("clients are shown the same certificate for every name and every kind of key", {
  skip,
}, async () => {
  const wrong: string[] = [];
  const names = [
    "a.test",
    "www.a.test",
    "b.test",
    "x.z.test",
    "no.z.test",
    "q.w.test",
    "W.Test",
    "other",
    "",
  ];
  for (const bind of ["list", "bundle", "strict", "stapled", "old"]) {
    for (const servername of names) {
      const [theirs, ours] = await meetBoth(bind, { servername });
      if (theirs !== ours) wrong.push(`${bind} ${servername}: ${theirs}, ${ours}`);
    }
  }
  for (const options of [
    { sigalgs: "RSA+SHA256", maxVersion: "TLSv1.2" },
    { sigalgs: "ECDSA+SHA256" },
    { sigalgs: "RSA+SHA256:rsa_pss_rsae_sha256" },
    { ciphers: "ECDHE-RSA-AES128-GCM-SHA256", maxVersion: "TLSv1.2" },
  ] as const) {
    const [theirs, ours] = await meetBoth("bundle", { servername: "a.test", ...options });
    if (theirs !== ours) wrong.push(`${JSON.stringify(options)}: ${theirs}, ${ours}`);
  }
  assert.deepEqual(wrong, []);
});

test("whoever asks for no name gets a key of the first bundle that he can use", {
  skip,
}, async () => {
  // Differs from haproxy 2.6, which has one default and refuses such clients.
  const met = await meet(portOf("lbproxy", "keys"), {
    sigalgs: "RSA+SHA256",
    maxVersion: "TLSv1.2",
  });
  assert.match(met.outcome, /^a\.test TLSv1\.2/);
  met.socket?.destroy();
});

test("no version and no cipher is served that haproxy does not serve", { skip }, async () => {
  const wrong: string[] = [];
  for (const maxVersion of ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const) {
    const options = { minVersion: "TLSv1", maxVersion, ciphers: "ALL:@SECLEVEL=0" } as const;
    const [theirs, ours] = await meetBoth("bundle", { ...options, servername: "a.test" });
    if (theirs !== ours) wrong.push(`${maxVersion}: ${theirs}, ${ours}`);
  }
  for (const cipher of getCiphers().filter((name) => !name.startsWith("tls_"))) {
    const options = {
      maxVersion: "TLSv1.2",
      ciphers: `${cipher.toUpperCase()}:@SECLEVEL=0`,
    } as const;
    const [theirs, ours] = await meetBoth("bundle", { ...options, servername: "a.test" });
    if (theirs !== ours) wrong.push(`${cipher}: ${theirs}, ${ours}`);
  }
  assert.deepEqual(wrong, []);
});

test("rules see the same of connections and certificates, on both sides", { skip }, async () => {
  const pem = (name: string) => ({ cert: files.read(`${name}.crt`), key: files.read(`${name}.k`) });
  const clients: readonly (readonly [string, ConnectionOptions])[] = [
    ["stapled", {}],
    ["stapled", { servername: "a.test", ...pem("client") }],
    ["stapled", { servername: "a.test", maxVersion: "TLSv1.2", ...pem("client") }],
    ["stapled", pem("revoked")],
    ["list", { servername: "b.test", ALPNProtocols: ["http/1.1"] }],
    ["demanding", pem("client")],
    ["passed", { servername: "B.test" }],
    ["passed", { servername: "a.test" }],
  ];
  for (const [bind, options] of clients) {
    const [theirs, ours] = await Promise.all(
      programs.map((program) => get(portOf(program, bind), options)),
    );
    assert.match(theirs ?? "", /^HTTP\/1\.1 200 /, bind);
    assert.equal(bodyOf(ours), bodyOf(theirs), `${bind} ${options.servername ?? ""}`);
  }
  for (const path of ["again", "plain"]) {
    const [theirs, ours] = await Promise.all(
      programs.map(async (program) => {
        const port = portOf(program, path);
        const answer = await fetch(`http://127.0.0.1:${port}/x?y`, { redirect: "manual" });
        const location = answer.headers.get("location")?.replace(String(port), "PORT");
        return `${answer.status} ${location} ${answer.headers.get("x-server")} ${bodyOf(await answer.text())}`;
      }),
    );
    assert.equal(ours, theirs);
  }
});

function bodyOf(answer: string | undefined): string {
  const end = answer?.indexOf("\r\n\r\n") ?? -1;
  return end < 0 ? (answer ?? "") : (answer ?? "").slice(end);
}

test("a client without the certificate that is demanded, and one whose certificate was revoked, is refused", {
  skip,
}, async () => {
  for (const program of programs) {
    const port = portOf(program, "demanding");
    assert.doesNotMatch(await get(port), /200/, program);
    assert.doesNotMatch(
      await get(port, { cert: files.read("revoked.crt"), key: files.read("revoked.k") }),
      /200/,
      program,
    );
  }
});

test("an OCSP response is stapled, and a newer one from the command socket takes its place", {
  skip,
}, async () => {
  const stapled = async () => {
    const met = await meet(portOf("lbproxy", "stapled"), {
      requestOCSP: true,
      servername: "a.test",
    });
    met.socket?.destroy();
    return met.ocsp;
  };
  assert.equal(await stapled(), files.base64("stapled.pem.ocsp"));
  files.ocsp("a", "fresh.ocsp");
  const fresh = files.base64("fresh.ocsp");
  assert.notEqual(fresh, files.base64("stapled.pem.ocsp"));
  files.ocsp("b", "other.ocsp");
  for (const line of [
    "show ssl ocsp-response",
    `show ssl cert ${files.file("stapled.pem")}`,
    `set ssl ocsp-response ${files.base64("other.ocsp")}`,
    `set ssl ocsp-response ${fresh}`,
  ]) {
    const [theirs, ours] = await Promise.all(programs.map((program) => command(program, line)));
    assert.equal(ours, theirs, line);
  }
  assert.equal(await stapled(), fresh);
});

test("the command socket answers about certificates word for word, and what it changes is in force", {
  skip,
}, async () => {
  const open = await meet(portOf("lbproxy", "stapled"), { servername: "a.test" });
  const lines = commands();
  for (const line of lines) {
    const [theirs = "", ours = ""] = await Promise.all(
      programs.map((program) => command(program, line)),
    );
    assert.equal(placeless(ours), placeless(theirs), line.split("\n", 1)[0]);
  }
  // Both threads show the new one at once; who was connected stays so.
  for (let i = 0; i < 8; i++) {
    const [theirs, ours] = await meetBoth("stapled", { servername: "a.test" });
    assert.equal(ours, theirs);
    assert.match(ours, /^b\.test /);
  }
  assert.equal(open.socket?.destroyed, false);
  open.socket?.destroy();
  for (const servername of ["q.test", "r.test", "x.z.test"]) {
    const [theirs, ours] = await meetBoth("list", { servername });
    assert.equal(ours, theirs, servername);
  }
  // The authority of this server's checks is another one now: the one that signed nothing of what it is shown.
  assert.match(
    await command(
      "lbproxy",
      `set ssl ca-file ${files.file("ca.crt")} <<\n${files.read("client.crt")}`,
    ),
    /created/,
  );
  assert.match(await command("lbproxy", `commit ssl ca-file ${files.file("ca.crt")}`), /Success/);
  await until("the check fails", async () =>
    (await statuses("lbproxy")).includes("checked/s1 L6RSP "),
  );
  assert.match(
    await command(
      "lbproxy",
      `set ssl ca-file ${files.file("ca.crt")} <<\n${files.read("two.crt")}`,
    ),
    /created/,
  );
  assert.match(await command("lbproxy", `commit ssl ca-file ${files.file("ca.crt")}`), /Success/);
  // The revocation list is empty now.
  const revoked = { cert: files.read("revoked.crt"), key: files.read("revoked.k") };
  assert.match(await get(portOf("lbproxy", "demanding"), revoked), /^HTTP\/1\.1 200 /);
});

/** Without what differs between the two: folders and ports of their own, and the dots of servers that HAProxy forgets. */
function placeless(answer: string): string {
  return answer
    .replaceAll(/\/tmp\/proxy-pair-\w+\//g, "")
    .replaceAll(/127\.0\.0\.1:\d+/g, "BIND")
    .replaceAll(/^(Committing \S+?)\.+$/gm, "$1");
}

/** Everything about certificates, right and wrong, in an order that makes sense. */
function commands(): string[] {
  const file = (name: string) => files.file(name);
  const payload = (line: string, name: string) => `${line} <<\n${files.read(name)}`;
  files.write("junk", "junk\n");
  files.write("mixed", files.read("a.crt") + files.read("b.k"));
  files.write("chained", files.read("w.crt") + files.read("ca.crt") + files.read("w.k"));
  files.write("two.crt", files.read("ca.crt") + files.read("b.crt"));
  const [stapled, w, ca, crl, list] = ["stapled.pem", "w.pem", "ca.crt", "ca.crl", "list"].map(
    file,
  ) as [string, string, string, string, string];
  return [
    ...["", ` ${stapled}`, " none", ` *${stapled}`, ` ${file("bundle")}`].map(
      (name) => `show ssl cert${name}`,
    ),
    ...["new", "set", "commit", "abort", "del"].map((verb) => `${verb} ssl cert`),
    ...["new ssl cert x", "new ssl cert x", "show ssl cert x", "set ssl cert x"],
    ...[payload("set ssl cert x", "ar.pem"), "show ssl cert", "show ssl cert *x"],
    ...[payload("set ssl cert x", "a.crt"), "commit ssl cert x"],
    ...[payload("set ssl cert x", "junk"), payload("set ssl cert x", "mixed"), "commit ssl cert x"],
    ...[
      "abort ssl cert x",
      "abort ssl cert x",
      "commit ssl cert x",
      "del ssl cert x",
      "del ssl cert x",
    ],
    ...[`del ssl cert ${stapled}`, payload("set ssl cert none", "a.pem")],
    ...[
      payload(`set ssl cert ${w}`, "chained"),
      `show ssl cert *${w}`,
      `commit ssl cert ${w}`,
      `show ssl cert ${w}`,
    ],
    ...[
      payload(`set ssl cert ${stapled}`, "b.pem"),
      `commit ssl cert ${stapled}`,
      `show ssl cert ${stapled}`,
    ],
    ...[
      payload(`set ssl cert ${file("client.pem")}`, "client.pem"),
      `commit ssl cert ${file("client.pem")}`,
    ],

    ...["new", "set", "commit", "abort", "del"].map((verb) => `${verb} ssl ca-file`),
    ...[
      `show ssl ca-file ${ca}`,
      `show ssl ca-file ${ca}:1`,
      `show ssl ca-file ${ca}:2`,
      "show ssl ca-file none",
    ],
    ...[
      payload(`set ssl ca-file ${ca}`, "two.crt"),
      `show ssl ca-file *${ca}:2`,
      payload(`set ssl ca-file ${ca}`, "junk"),
    ],
    ...[
      payload("set ssl ca-file none", "ca.crt"),
      "commit ssl ca-file none",
      `commit ssl ca-file ${ca}`,
      `commit ssl ca-file ${ca}`,
    ],
    ...[
      `show ssl ca-file ${ca}`,
      `abort ssl ca-file ${ca}`,
      "new ssl ca-file n",
      "new ssl ca-file n",
      "show ssl ca-file n",
    ],
    ...[
      payload("set ssl ca-file n", "ca.crt"),
      "abort ssl ca-file x",
      "abort ssl ca-file n",
      "del ssl ca-file n",
      "del ssl ca-file n",
      `del ssl ca-file ${ca}`,
    ],

    ...["new", "set", "commit", "abort", "del"].map((verb) => `${verb} ssl crl-file`),
    ...["show ssl crl-file", `show ssl crl-file ${crl}`, "show ssl crl-file none"],
    ...[
      payload(`set ssl crl-file ${crl}`, "none.crl"),
      "show ssl crl-file",
      `show ssl crl-file *${crl}`,
      `commit ssl crl-file ${crl}`,
      `show ssl crl-file ${crl}`,
    ],
    ...[
      payload(`set ssl crl-file ${crl}`, "junk"),
      "new ssl crl-file n",
      "show ssl crl-file n",
      "del ssl crl-file n",
      `del ssl crl-file ${crl}`,
    ],

    ...[
      "show ssl crt-list",
      `show ssl crt-list -n ${file("folder")}`,
      "show ssl crt-list none",
      "add ssl crt-list",
      `add ssl crt-list ${list}`,
    ],
    ...[
      `add ssl crt-list none ${w}`,
      `add ssl crt-list ${list} none`,
      `add ssl crt-list ${list} ${w}`,
    ],
    ...[
      `${w} [ssl-min-ver TLSv1.2] q.test !r.test`,
      `${w} [foo] q.test`,
      `${w} [verify required] q.test`,
      `${w} [ca-file none] q.test`,
    ].map((row) => `add ssl crt-list ${list} <<\n${row}\n`),
    ...[
      "",
      list,
      `${list} none`,
      `${list} ${file("b.pem")}`,
      `none ${w}`,
      `${list} ${w}`,
      `${list} ${w}:4`,
      `${list} ${w}:4`,
      `${list} ${w}:x`,
    ].map((rest) => `del ssl crt-list ${rest}`),

    ...[
      "show tls-keys",
      "show tls-keys none",
      `show tls-keys ${file("keys")}`,
      "show tls-keys *",
      "set ssl tls-key",
      "set ssl tls-key a b",
    ],
    ...[
      `set ssl tls-key ${file("keys")} xx`,
      `set ssl tls-key #0 ${Buffer.alloc(48).toString("base64")}`,
      `set ssl tls-key #0 ${Buffer.alloc(80, 9).toString("base64")}`,
      "show tls-keys #0",
    ],
    ...[
      "set ssl ocsp-response",
      "set ssl ocsp-response zz",
      `set ssl ocsp-response ${Buffer.from("junk").toString("base64")}`,
      "show ssl ocsp-response 12",
    ],
  ];
}

const unprivileged = skip || (process.getuid?.() === 0 ? false : "only root can give up rights");

test("keys that root alone can read serve workers of another user, and a reload reads them anew", {
  skip: unprivileged,
}, async () => {
  const folder = new ProxyFolder();
  try {
    const port = await freePort();
    const key = folder.file("site.pem");
    writeFileSync(key, files.read("a.pem"), { mode: 0o600 });
    mkdirSync(folder.file("jail"));
    folder.write(`
global
  user nobody
  group nogroup
  chroot ${folder.file("jail")}
  nbthread 2
defaults
  mode http
  timeout client 5s
frontend f
  bind 127.0.0.1:${port} ssl crt ${key}
  http-request return status 200
`);
    const master = folder.start(["-W", "-db"]);
    const shown = async () => {
      const { outcome, socket } = await meet(port);
      socket?.destroy();
      return outcome.split(" ")[0];
    };
    await until(folder.output(), async () => (await shown()) === "a.test");
    const [worker = 0] = childrenOf(master.pid);
    assert.match(readFileSync(`/proc/${worker}/status`, "utf8"), /^Uid:\t65534\t65534/m);
    writeFileSync(key, files.read("b.pem"), { mode: 0o600 });
    master.signal("SIGUSR2");
    await until(folder.output(), async () => (await shown()) === "b.test");
  } finally {
    await folder.close();
  }
});

test("-c finds what is wrong with certificates, in haproxy's words", { skip }, () => {
  const file = (name: string) => files.file(name);
  files.write("empty", "");
  files.write("unkeyed", files.read("a.crt"));
  files.write("badkey", files.read("a.crt"));
  files.write("badkey.key", "junk\n");
  mkdirSync(file("nothing"));
  files.write("open.list", `${file("a.pem")} [alpn h2] [x]\n`);
  files.write("cut.list", file("a.pem"));
  files.write("gone.list", `${file("gone.pem")}\n`);
  const binds = [
    ...["gone", "empty", "junk", "unkeyed", "badkey", "mixed", "ca.k"].map(
      (name) => `crt ${file(name)}`,
    ),
    ...["open.list", "cut.list", "gone.list", "gone"].map((name) => `crt-list ${file(name)}`),
    ...["ca-file", "crl-file"].map((word) => `crt ${file("a.pem")} ${word} ${file("gone")}`),
    `crt ${file("a.pem")} ca-ignore-err foo`,
    `crt ${file("a.pem")} ssl-min-ver TLSv9`,
    `crt ${file("a.pem")} verify foo`,
    `crt ${file("a.pem")} tls-ticket-keys ${file("junk")}`,
    `crt ${file("a.pem")} tls-ticket-keys ${file("gone")}`,
  ];
  const later = [
    "",
    "strict-sni",
    `crt ${file("nothing")}`,
    `crt ${file("a.pem")} no-tlsv12 no-tlsv13`,
    `crt ${file("a.pem")} ssl-max-ver TLSv1.1`,
    `crt ${file("a.pem")} no-tlsv13 ssl-min-ver TLSv1.2`,
    `crt ${file("a.pem")} verify required`,
    `crt ${file("a.pem")} force-sslv3`,
    `crt ${file("a.pem")} ciphers zz ciphersuites zz curves zz`,
  ];
  for (const lines of [binds, later]) {
    const path = files.write(
      "broken.cfg",
      `defaults\n mode http\n timeout client 1s\nfrontend f\n${lines.map((line, i) => ` bind 127.0.0.1:${2000 + i} ssl ${line}\n`).join("")}`,
    );
    const said = ([program, ...args]: readonly [string, ...string[]]) => {
      const { stderr } = spawnSync(program, [...args, "-c", "-f", path], { encoding: "utf8" });
      // HAProxy says what a whole bind cannot do once for each of its two contexts.
      return [
        ...new Set(
          stderr
            .split("\n")
            .filter((row) => row !== "" && !row.startsWith("[NOTICE]"))
            .map((row) => row.replace(/^\[(\w+)\] *\(\d+\) : config : /, "")),
        ),
      ].sort();
    };
    assert.deepEqual(said([process.execPath, LBPROXY]), said(["haproxy"]));
  }
});
