import { Diagnostics, formatDiagnostic, seededRandom } from "@ha/base";
import type { Userlist } from "../../config/section-model.ts";
import type { Token } from "../../config/token.ts";
import { parseRequestHead, parseResponseHead } from "../../http/h1.ts";
import { compileLogFormat, HTTP_TEXT, type LogFormatOptions } from "../../log/log-format.ts";
import { PatternStore } from "../../map/pattern-store.ts";
import type { ProxyState } from "../../server/proxy-state.ts";
import type { StickTable } from "../../server/stick-table.ts";
import { type BufferPool, type TlsFacts, Transaction } from "../../transaction.ts";
import { AT_REQUEST, type CompileContext } from "../compile-context.ts";
import { encodeBytes, latin1 } from "../sample.ts";
import { VariableNames } from "../variable.ts";
import type { World, WorldPorts } from "../world.ts";

/** What tests may set of a world; all else is fixed, and time stands still. */
export interface TestWorldOptions {
  readonly proxies?: readonly ProxyState[];
  readonly tables?: ReadonlyMap<string, StickTable>;
  readonly userlists?: ReadonlyMap<string, Userlist>;
  readonly files?: Readonly<Record<string, string>>;
  readonly ports?: Partial<WorldPorts>;
}

export function createTestWorld(options: TestWorldOptions = {}): World {
  const { proxies = [], tables = new Map(), userlists = new Map(), files = {} } = options;
  return {
    proxies,
    tables,
    userlists,
    patterns: new PatternStore(),
    variables: new VariableNames(),
    uniqueIds: [],
    captureLengths: [],
    work: new Uint8Array(65_536),
    ports: {
      wallMicros: () => 1_700_000_000_000_000,
      random: seededRandom(1),
      digests: {
        hash: () => undefined,
        hmac: () => undefined,
        verify: () => false,
        decryptGcm: () => undefined,
      },
      environment: () => undefined,
      readFile: (path) => {
        const text = files[path];
        return text === undefined ? undefined : encodeBytes(text);
      },
      zoneAt: () => ({ offset: 0, name: "UTC" }),
      hostname: "test",
      pid: 4242,
      thread: 1,
      isStopping: () => false,
      debug: () => undefined,
      ...options.ports,
    },
  };
}

/** A context in a section `f` that is frontend and backend at once. */
export function testContext(
  world: World,
  at = AT_REQUEST,
  place = "http-request",
): CompileContext & { readonly diagnostics: Diagnostics } {
  return {
    world,
    diagnostics: new Diagnostics(),
    proxy: {
      name: "f",
      index: 0,
      mode: "http",
      isFrontend: true,
      isBackend: true,
      acls: new Map(),
      captures: { request: [], response: [] },
      files: { resolve: (path) => path },
    },
    at,
    iterates: false,
    place,
  };
}

/** Words of a line, parted by blanks; positions count from column 1. */
export function words(line: string): Token[] {
  const tokens: Token[] = [];
  for (const match of line.matchAll(/\S+/g)) {
    tokens.push({ text: match[0], at: { file: "test.cfg", line: 1, column: match.index + 1 } });
  }
  return tokens;
}

export function token(text: string): Token {
  return { text, at: { file: "test.cfg", line: 1, column: 1 } };
}

/** What was reported, as an operator reads it. */
export function findings(context: { readonly diagnostics: Diagnostics }): string[] {
  return context.diagnostics.list.map(formatDiagnostic);
}

const SLAB_SIZE = 1 << 20;

/** A plain array in pieces of 16 KB. */
function testPool(): BufferPool {
  const bytes = new Uint8Array(SLAB_SIZE);
  const size = 16_384;
  // The first two pieces hold the messages.
  const free = Array.from({ length: SLAB_SIZE / size - 2 }, (_, i) => (i + 2) * size);
  return {
    bytes,
    size,
    take: () => free.pop() ?? -1,
    give: (offset) => {
      free.push(offset);
    },
  };
}

/** A transaction that holds the request (head and body, CRLF line ends), from 192.0.2.1:1234. Throws on a bad one. */
export function testTransaction(request: string, response?: string): Transaction {
  const transaction = new Transaction(testPool(), 101);
  const { bytes } = transaction;
  const source = encodeBytes(request);
  bytes.set(source, 0);
  transaction.http = true;
  const end = parseRequestHead(bytes, 0, source.length, transaction.request.head, 101);
  if (end < 0) throw new Error(`bad test request: ${end}`);
  transaction.request.bodyStart = end;
  transaction.request.bodyEnd = source.length;
  transaction.request.bodyComplete = true;
  transaction.lineEnd = request.indexOf("\r\n");
  if (response !== undefined) {
    const answer = encodeBytes(response);
    bytes.set(answer, 16_384);
    const bodyStart = parseResponseHead(
      bytes,
      16_384,
      16_384 + answer.length,
      transaction.response.head,
      101,
    );
    if (bodyStart < 0) throw new Error(`bad test response: ${bodyStart}`);
    transaction.response.bodyStart = bodyStart;
    transaction.response.bodyEnd = 16_384 + answer.length;
    transaction.hasResponse = true;
  }
  const { session } = transaction;
  session.source.family = session.destination.family = 4;
  session.source.address.set([192, 0, 2, 1]);
  session.source.port = 1234;
  session.destination.address.set([192, 0, 2, 100]);
  session.destination.port = 80;
  transaction.frontend = 0;
  return transaction;
}

/** The text of a log-format string over the transaction. Throws what was reported when it does not compile. */
export function format(
  text: string,
  transaction: Transaction,
  context: CompileContext & { readonly diagnostics: Diagnostics },
  options: LogFormatOptions = HTTP_TEXT,
): string {
  const template = compileLogFormat(token(text), context, options);
  if (template === undefined) throw new Error(findings(context).join("\n"));
  const out = new Uint8Array(65_536);
  return latin1(out, 0, template.write(transaction, out, 0, out.length));
}

/** What TLS says of a connection, as told, and otherwise of an ordinary TLS 1.3 session. */
export function testTls(told: Partial<TlsFacts> = {}): TlsFacts {
  const none = new Uint8Array(0);
  return {
    version: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    cipherBits: 128,
    cipherBitsUsed: 128,
    alpn: "",
    sni: "",
    resumed: false,
    sessionId: none,
    sessionKey: none,
    clientRandom: none,
    serverRandom: none,
    finished: none,
    peerFinished: none,
    peerCertificate: undefined,
    peerChain: undefined,
    ownCertificate: undefined,
    verifyResult: 0,
    certificateError: 0,
    caError: 0,
    caErrorDepth: 0,
    error: 0,
    errorText: "",
    hello: {
      version: 0x0303,
      ciphers: none,
      cipherNames: "",
      extensions: none,
      curves: none,
      formats: none,
    },
    ...told,
  };
}
