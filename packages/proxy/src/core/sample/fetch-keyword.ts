import type { Token } from "../config/token.ts";
import type { Transaction } from "../transaction.ts";
import {
  AT_CHECK,
  AT_CONFIG,
  AT_CONNECTION,
  AT_LOG,
  AT_REQUEST,
  AT_REQUEST_CONTENT,
  AT_RESPONSE,
  AT_RESPONSE_CONTENT,
  AT_SERVER_CHOICE,
  AT_SESSION,
  type CompileContext,
} from "./compile-context.ts";
import type { DeclaredType, Sample } from "./sample.ts";

/** Fills the sample. False: there is none (the sample's content is then undefined). */
export type Fetch = (transaction: Transaction, sample: Sample) => boolean;

/** Changes the sample in place. False: no sample. */
export type Convert = (sample: Sample, transaction: Transaction) => boolean;

/** One argument of a fetch or converter, between its parentheses. */
export interface Argument {
  readonly text: string;
  /** The word that it stands in; the column points at the word. */
  readonly token: Token;
}

/** Where the data of a fetch comes from; `LAYERS` says where that is available. */
export type Layer = keyof typeof LAYERS;

const CLIENT =
  AT_CONNECTION |
  AT_SESSION |
  AT_REQUEST_CONTENT |
  AT_REQUEST |
  AT_SERVER_CHOICE |
  AT_RESPONSE_CONTENT |
  AT_RESPONSE |
  AT_LOG;
const REQUEST = AT_REQUEST_CONTENT | AT_REQUEST | AT_SERVER_CHOICE;
const SERVER = AT_RESPONSE_CONTENT | AT_RESPONSE | AT_LOG;

/** Each layer: where it is there, and its name in messages. */
export const LAYERS = {
  internal: { at: CLIENT | AT_CHECK | AT_CONFIG, name: "internal state" },
  client: { at: CLIENT, name: "client address" },
  session: { at: CLIENT & ~AT_CONNECTION, name: "client handshake" },
  backend: {
    at: (CLIENT & ~(AT_CONNECTION | AT_SESSION)) | AT_CHECK,
    name: "chosen backend",
  },
  "request content": { at: REQUEST, name: "request buffer contents" },
  "request head": { at: REQUEST, name: "HTTP request headers" },
  "request body": { at: REQUEST, name: "HTTP request body" },
  /** What is kept of the request: method, version, captures. */
  "request kept": { at: REQUEST | SERVER, name: "HTTP request meta-data" },
  server: { at: SERVER | AT_CHECK, name: "server connection" },
  "response content": {
    at: AT_RESPONSE_CONTENT | AT_RESPONSE | AT_CHECK,
    name: "response buffer contents",
  },
  "response head": { at: AT_RESPONSE | AT_CHECK, name: "HTTP response headers" },
  "response body": { at: AT_RESPONSE | AT_CHECK, name: "HTTP response body" },
  "response kept": { at: AT_RESPONSE | AT_LOG | AT_CHECK, name: "HTTP response meta-data" },
} as const;

/** One entry makes a fetch known to expressions, ACLs, the docs and `-c`. */
export interface FetchKeyword {
  readonly name: string;
  /** Deprecated and short spellings. */
  readonly aliases?: readonly string[];
  /** With arguments, as the manual has it: `req.hdr([<name>[,<occ>]])`. */
  readonly syntax: string;
  readonly doc: string;
  readonly source: string;
  readonly layer: Layer;
  readonly type: DeclaredType;
  /** Fewest and most arguments; default none. */
  readonly arity?: readonly [number, number];
  /** Reports and returns undefined when the arguments are wrong. */
  readonly compile: (
    args: readonly Argument[],
    context: CompileContext,
    token: Token,
  ) => Fetch | undefined;
}

/** One entry makes a converter known. */
export interface ConverterKeyword {
  readonly name: string;
  readonly syntax: string;
  readonly doc: string;
  readonly source: string;
  /** What its input is cast to first; ANY for no cast. */
  readonly input: DeclaredType;
  /** ANY: as the input. */
  readonly output: DeclaredType;
  readonly arity?: readonly [number, number];
  readonly compile: (
    args: readonly Argument[],
    context: CompileContext,
    token: Token,
  ) => Convert | undefined;
}
