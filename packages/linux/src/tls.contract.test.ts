import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, describe, it } from "node:test";
import { TestAuthority } from "./testing/tls-certificates.ts";
import { type TlsEnd, TlsPair } from "./testing/tls-pair.ts";
import {
  configureTlsSessionCache,
  createTlsClientContext,
  createTlsServerContext,
  releaseTlsContext,
  type TlsClientOptions,
  TlsContextSet,
  type TlsServerOptions,
  tlsCacheCounters,
  tlsHeld,
  tlsLibraryVersion,
} from "./tls-context.ts";
import { TLS_ENDED, TLS_FAILED, type TlsConnectOptions } from "./tls-engine.ts";

let authority: TestAuthority;
let leaf: Uint8Array;
let pair: TlsPair;
const contexts: number[] = [];
const sets: TlsContextSet[] = [];
const ends: TlsEnd[] = [];

before(() => {
  authority = new TestAuthority();
  leaf = authority.issue(["a.example"]).pem;
  pair = new TlsPair();
  configureTlsSessionCache(100, 300);
});

after(() => authority.remove());

beforeEach(() => {
  for (const { session } of ends.splice(0)) session.free();
  for (const context of contexts.splice(0)) releaseTlsContext(context);
  for (const set of sets.splice(0)) set.release();
  pair.piece = 65_536;
});

const CONTEXT = new TextEncoder().encode("test");

function serverContext(options: Partial<TlsServerOptions> = {}): number {
  const made = createTlsServerContext({ pem: leaf, sessionContext: CONTEXT, ...options });
  assert.ok(made.ok, made.ok ? "" : `${made.error.operation}: ${made.error.text}`);
  contexts.push(made.value);
  return made.value;
}

function clientContext(options: Partial<TlsClientOptions> = {}): number {
  const made = createTlsClientContext({ verify: "none", ...options });
  assert.ok(made.ok, made.ok ? "" : `${made.error.operation}: ${made.error.text}`);
  contexts.push(made.value);
  return made.value;
}

function setOf(...defaults: number[]): TlsContextSet {
  const set = new TlsContextSet();
  sets.push(set);
  set.replace({ certificates: [], defaults });
  return set;
}

function connect(set: TlsContextSet, client: number, options: TlsConnectOptions = {}) {
  const there = pair.end(pair.engine.connect(client, options));
  const here = pair.end(pair.engine.accept(set.id));
  ends.push(there, here);
  pair.settle(there, here);
  return { client: there, server: here };
}

function text(end: TlsEnd): string {
  return String.fromCharCode(...end.received);
}

describe("TLS sessions over a slab", () => {
  it("shake hands, and carry bytes both ways", () => {
    assert.match(tlsLibraryVersion(), /^OpenSSL 3\./);
    const { client, server } = connect(setOf(serverContext()), clientContext());
    assert.ok(TlsPair.isSecured(client) && TlsPair.isSecured(server));
    pair.deliver(server, pair.seal(client, new TextEncoder().encode("hello")));
    pair.deliver(
      client,
      pair.seal(server, new TextEncoder().encode("wor"), new TextEncoder().encode("ld")),
    );
    assert.equal(text(server), "hello");
    assert.equal(text(client), "world");
    assert.equal(server.session.version, "TLSv1.3");
    assert.equal(server.session.cipher, client.session.cipher);
    assert.deepEqual(server.session.clientRandom, client.session.clientRandom);
    assert.equal(server.session.clientRandom.length, 32);
  });

  it("take bytes in pieces of one as in large ones", () => {
    pair.piece = 1;
    const { client, server } = connect(setOf(serverContext()), clientContext());
    pair.deliver(server, pair.seal(client, new TextEncoder().encode("split to dust")));
    assert.equal(text(server), "split to dust");
  });

  it("put small parts together in one record, and cut long ones", () => {
    const { client, server } = connect(setOf(serverContext()), clientContext());
    const small = pair.seal(client, new Uint8Array(100).fill(1), new Uint8Array(200).fill(2));
    assert.equal(small.length, 300 + 22, "one record: 5 header, 1 type, 16 tag");
    pair.deliver(server, small);
    const long = randomBytes(40_000);
    pair.deliver(server, pair.seal(client, long));
    assert.deepEqual(server.received.slice(300), [...long]);
    assert.equal(client.session.taken, 40_000);
  });

  it("seal only what there is room for", () => {
    const { client } = connect(setOf(serverContext()), clientContext());
    pair.engine.starts[0] = 131_072;
    pair.engine.ends[0] = 131_072 + 50_000;
    const size = client.session.seal(1, 65_536, 65_536 + 20_000);
    assert.ok(size <= 20_000 && client.session.taken < 50_000 && client.session.taken > 16_384);
    assert.equal(client.session.seal(1, 65_536, 65_536 + 100), 0);
    assert.equal(client.session.taken, 0);
  });

  it("tell an orderly end from both sides, and still send after the peer's", () => {
    const { client, server } = connect(setOf(serverContext()), clientContext());
    assert.equal(client.session.shutdown(), true);
    pair.deliver(server, pair.output(client));
    assert.ok(server.state & TLS_ENDED);
    pair.deliver(client, pair.seal(server, new TextEncoder().encode("late")));
    assert.equal(text(client), "late");
  });

  it("resume by ticket, and by the process's cache without tickets, in TLS 1.2 and 1.3", () => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const withTickets = setOf(serverContext({ maxVersion: version }));
      const client = clientContext({ maxVersion: version });
      assert.equal(connect(withTickets, client).server.session.isResumed, false);
      const again = connect(withTickets, client);
      assert.equal(again.server.session.isResumed, true, version);
      assert.equal(again.client.session.isResumed, true, version);
    }
    const cached = setOf(serverContext({ tickets: false, maxVersion: "TLSv1.2" }));
    const client = clientContext({ maxVersion: "TLSv1.2" });
    const before = tlsCacheCounters();
    assert.equal(connect(cached, client).server.session.isResumed, false);
    assert.equal(connect(cached, client).server.session.isResumed, true);
    const now = tlsCacheCounters();
    assert.equal(now.stores, before.stores + 1);
    assert.ok(now.lookups > before.lookups && now.entries > 0);
  });

  it("resume no session of a bind whose rules for certificates are others", () => {
    const client = clientContext();
    connect(setOf(serverContext()), client);
    const other = setOf(serverContext({ sessionContext: new TextEncoder().encode("other") }));
    const { server } = connect(other, client);
    assert.ok(TlsPair.isSecured(server));
    assert.equal(server.session.isResumed, false);
  });

  it("open tickets of older keys of a file, and make new ones with the last but one", () => {
    const keys = [80, 80, 80].map((size) => new Uint8Array(randomBytes(size)));
    const client = clientContext();
    const first = serverContext({ ticketKeys: keys.slice(0, 2) });
    connect(setOf(first), client);
    const rotated = setOf(serverContext({ ticketKeys: keys }));
    assert.equal(connect(rotated, client).server.session.isResumed, true);
    const strange = [new Uint8Array(randomBytes(80))];
    assert.equal(
      connect(setOf(serverContext({ ticketKeys: strange })), client).server.session.isResumed,
      false,
    );
    const short = [new Uint8Array(randomBytes(48))];
    const small = setOf(serverContext({ ticketKeys: short }));
    connect(small, client);
    assert.equal(connect(small, client).server.session.isResumed, true);
  });

  it("choose a protocol by the server's order, and none when there is none in common", () => {
    const set = setOf(serverContext({ alpn: ["h2", "http/1.1"] }));
    const { client, server } = connect(set, clientContext({ alpn: ["http/1.1", "h2"] }));
    assert.equal(server.session.alpn, "h2");
    assert.equal(client.session.alpn, "h2");
    const none = connect(set, clientContext(), { alpn: ["acme"] });
    assert.ok(TlsPair.isSecured(none.server));
    assert.equal(none.server.session.alpn, "");
  });

  it("fail with the reason when nothing is in common, and send the alert", () => {
    const { client, server } = connect(
      setOf(serverContext({ minVersion: "TLSv1.3" })),
      clientContext({ maxVersion: "TLSv1.2" }),
    );
    assert.ok(server.state & TLS_FAILED && client.state & TLS_FAILED);
    assert.match(server.session.errorText, /unsupported protocol|version/);
    assert.match(client.session.errorText, /alert protocol version/);
  });

  it("refuse what is no TLS, without throwing", () => {
    const set = setOf(serverContext());
    for (const nonsense of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", "\0".repeat(100)]) {
      const server = pair.end(pair.engine.accept(set.id));
      ends.push(server);
      pair.deliver(server, new TextEncoder().encode(nonsense));
      assert.equal(TlsPair.isSecured(server), false);
    }
  });

  it("hold nothing once freed", () => {
    const before = tlsHeld();
    const { client, server } = connect(setOf(serverContext()), clientContext());
    assert.equal(tlsHeld().sessions, before.sessions + 2);
    client.session.free();
    server.session.free();
    client.session.free();
    assert.equal(tlsHeld().sessions, before.sessions);
    assert.equal(client.session.version, "");
    for (const context of contexts.splice(0)) releaseTlsContext(context);
    for (const set of sets.splice(0)) set.release();
    assert.ok(tlsHeld().contexts < before.contexts + 2);
  });
});

describe("certificates of TLS", () => {
  const issue = (names: string[], rsa = false) =>
    serverContext({ pem: authority.issue(names, { rsa }).pem });
  const named = (end: TlsEnd): string => {
    const der = end.session.peerCertificate;
    return der === undefined
      ? ""
      : (/[a-z]+\.[a-z.]+/.exec(Buffer.from(der).toString("latin1"))?.[0] ?? "");
  };

  it("are chosen by name: exact, then wildcard less what is excluded, then the default", () => {
    const [exact, wild, other] = [
      issue(["www.x.test"]),
      issue(["wild.x.test"]),
      issue(["default.x.test"]),
    ];
    const set = setOf();
    set.replace({
      certificates: [
        { context: exact, names: ["www.x.test"], excluded: [] },
        { context: wild, names: ["*.x.test"], excluded: ["no.x.test"] },
      ],
      defaults: [other],
    });
    const client = clientContext();
    const ask = (sni?: string) => named(connect(set, client, { sni, reuse: false }).client);
    assert.equal(ask("www.x.test"), "www.x.test");
    assert.equal(ask("WWW.X.test"), "www.x.test");
    assert.equal(ask("any.x.test"), "wild.x.test");
    assert.equal(ask("no.x.test"), "default.x.test");
    assert.equal(ask("a.b.x.test"), "default.x.test");
    assert.equal(ask(undefined), "default.x.test");
    set.replace({
      certificates: [{ context: exact, names: ["www.x.test"], excluded: [] }],
      defaults: [exact],
      strictSni: true,
    });
    assert.equal(ask("www.x.test"), "www.x.test");
    const refused = connect(set, client, { sni: "any.x.test", reuse: false });
    assert.ok(refused.server.state & TLS_FAILED);
    assert.match(refused.client.session.errorText, /unrecognized name/);
  });

  it("of two kinds under one name: ECDSA for who takes it, else RSA", () => {
    const [ecdsa, rsa] = [issue(["two.test"]), issue(["two.test"], true)];
    const set = setOf();
    set.replace({
      certificates: [
        { context: rsa, names: ["two.test"], excluded: [] },
        { context: ecdsa, names: ["two.test"], excluded: [] },
      ],
      defaults: [rsa],
    });
    assert.equal(connect(set, clientContext(), { sni: "two.test" }).server.session.context, ecdsa);
    const old = clientContext({ sigalgs: "RSA-PSS+SHA256:RSA+SHA256" });
    assert.equal(connect(set, old, { sni: "two.test" }).server.session.context, rsa);
  });

  it("of clients are asked for, checked, and told with OpenSSL's numbers", () => {
    const ca = authority.certificate;
    const own = authority.issue(["client.test"]).pem;
    const expired = authority.issue(["late.test"], { days: -1 }).pem;
    const required = setOf(serverContext({ verify: "required", ca }));
    const good = connect(required, clientContext({ pem: own }));
    assert.ok(TlsPair.isSecured(good.server));
    assert.equal(good.server.session.verifyResult, 0);
    assert.ok((good.server.session.peerCertificate?.length ?? 0) > 100);
    const none = connect(required, clientContext());
    assert.ok(none.server.state & TLS_FAILED);
    const late = connect(required, clientContext({ pem: expired }));
    assert.ok(late.server.state & TLS_FAILED);
    assert.equal(late.server.session.certificateError, 10);
    const lenient = setOf(serverContext({ verify: "required", ca, ignoreCertificateErrors: [10] }));
    const let_in = connect(lenient, clientContext({ pem: expired }));
    assert.ok(TlsPair.isSecured(let_in.server));
    assert.equal(let_in.server.session.verifyResult, 10);
    const optional = setOf(serverContext({ verify: "optional", ca }));
    const anonymous = connect(optional, clientContext());
    assert.ok(TlsPair.isSecured(anonymous.server));
    assert.equal(anonymous.server.session.peerCertificate, undefined);
  });

  it("of servers are checked against authority and name", () => {
    const set = setOf(issue(["right.test", "10.0.0.1"]));
    const strict = clientContext({ verify: "required", ca: authority.certificate });
    const reuse = false;
    assert.ok(TlsPair.isSecured(connect(set, strict, { verifyHost: "right.test", reuse }).client));
    assert.ok(TlsPair.isSecured(connect(set, strict, { verifyHost: "10.0.0.1", reuse }).client));
    assert.ok(connect(set, strict, { verifyHost: "wrong.test", reuse }).client.state & TLS_FAILED);
    const stranger = new TestAuthority();
    const other = clientContext({ verify: "required", ca: stranger.certificate });
    stranger.remove();
    const { client } = connect(set, other, { reuse });
    assert.ok(client.state & TLS_FAILED);
    assert.notEqual(client.session.verifyResult, 0);
  });

  it("that cannot be read are refused with the step and OpenSSL's words", () => {
    const bad = createTlsServerContext({ pem: CONTEXT, sessionContext: CONTEXT });
    assert.ok(!bad.ok && bad.error.operation === "read the certificate");
    const [mine, other] = [authority.issue(["m.test"]), authority.issue(["o.test"])];
    const crossed = createTlsServerContext({
      pem: mine.pem,
      key: other.pem,
      sessionContext: CONTEXT,
    });
    assert.ok(!crossed.ok);
    assert.equal(crossed.error.operation, "read the key");
    assert.match(crossed.error.text, /mismatch/);
    const ciphers = createTlsServerContext({
      pem: leaf,
      ciphers: "NO-SUCH",
      sessionContext: CONTEXT,
    });
    assert.ok(!ciphers.ok && ciphers.error.operation === "set the ciphers");
  });

  it("keep what a client hello offered, when asked to", () => {
    const set = setOf(serverContext({ captureHello: 512 }));
    const { hello } = connect(set, clientContext()).server.session;
    assert.equal(hello.version, 0x0303);
    assert.match(hello.cipherNames, /TLS_AES_256_GCM_SHA384/);
    assert.ok(hello.ciphers.length > 4 && hello.extensions.length > 4 && hello.curves.length > 2);
  });
});
