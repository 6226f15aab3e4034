import type { Regex } from "../condition/regex.ts";
import type { SocketAddress } from "../config/address-model.ts";
import type { Transaction } from "../transaction.ts";
import type { CheckResult, CheckStatus } from "./check-status.ts";

/** What a check does to a server, step by step: compiled once for each backend. */
export interface CheckPlan {
  readonly steps: readonly CheckStep[];
  /** Error texts name the step: `option tcp-check` alone. */
  readonly namesSteps: boolean;
  /** Info of a check that passed by coming to its end; undefined: the last step's own. */
  readonly passed: Pick<CheckResult, "status" | "info">;
  /** `http-check disable-on-404`. */
  readonly disableOn404: boolean;
  /** Answers are HTTP messages, and patterns look at their parts. */
  readonly http: boolean;
}

export type CheckStep = ConnectStep | SendStep | SendHttpStep | ExpectStep | VariableStep;

interface StepBase {
  /** Its place in the configuration, from 1; 0 for one that nobody wrote. */
  readonly number: number;
  readonly comment: string | undefined;
}

/** `connect`. */
export interface ConnectStep extends StepBase {
  readonly type: "connect";
  /** What is not set comes from the server's line. */
  readonly port: number | CheckText | undefined;
  readonly address: SocketAddress | undefined;
  readonly sendProxy: boolean;
  readonly viaSocks4: boolean;
  readonly ssl: boolean;
  readonly sni: string | undefined;
  readonly alpn: readonly string[] | undefined;
  /** The server's own check settings hold (`default`, and connects that nobody wrote). */
  readonly byServer: boolean;
}

/** Bytes to send, as Latin-1 text, made when the step is reached. */
export interface SendStep extends StepBase {
  readonly type: "send";
  readonly text: CheckText;
}

export interface SendHttpStep extends StepBase {
  readonly type: "send-http";
  readonly method: string;
  readonly uri: CheckText;
  /** `HTTP/1.0`, `HTTP/1.1`. */
  readonly version: string;
  readonly headers: readonly { readonly name: string; readonly value: CheckText }[];
  readonly body: CheckText | undefined;
  /** `http-check send-state`. */
  readonly sendsState: boolean;
}

/** Texts with expressions are evaluated for the server that is checked. */
export type CheckText = string | ((scope: CheckScope) => string);

/** `expect`. */
export interface ExpectStep extends StepBase {
  readonly type: "expect";
  readonly match: Match;
  /** `!`. */
  readonly inverse: boolean;
  /** Bytes to wait for before deciding; -1: decide as soon as it matches or no more can come. */
  readonly minReceive: number;
  readonly okStatus: CheckStatus | undefined;
  readonly errorStatus: CheckStatus | undefined;
  readonly timeoutStatus: CheckStatus | undefined;
  readonly onSuccess: ((scope: CheckScope) => string) | undefined;
  readonly onError: ((scope: CheckScope) => string) | undefined;
  readonly statusCode: ((scope: CheckScope) => number) | undefined;
}

export interface VariableStep extends StepBase {
  readonly type: "variable";
  run(scope: CheckScope): void;
}

/** What an answer is compared with. */
export type Match =
  | { readonly type: "string"; readonly text: CheckText; readonly format: boolean }
  | { readonly type: "binary"; readonly text: CheckText; readonly format: boolean }
  | { readonly type: "regex"; readonly regex: Regex }
  /** Over the answer's bytes in hexadecimal. */
  | { readonly type: "binary-regex"; readonly regex: Regex }
  | {
      readonly type: "status";
      readonly ranges: readonly { readonly low: number; readonly high: number }[];
    }
  | { readonly type: "status-regex"; readonly regex: Regex }
  | {
      readonly type: "header";
      readonly name: TextMatch;
      readonly value: TextMatch | undefined;
      /** Values are taken whole, not split at commas. */
      readonly full: boolean;
    }
  /** A protocol's own reader. */
  | { readonly type: "custom"; read(answer: string, isLast: boolean): CustomVerdict };

export interface TextMatch {
  readonly how: "str" | "beg" | "end" | "sub" | "reg";
  readonly text: CheckText;
  readonly regex: Regex | undefined;
}

/** `wait`: not enough bytes. `pass` with a result ends the check. */
export type CustomVerdict =
  | { readonly type: "wait" }
  | {
      readonly type: "pass" | "fail";
      readonly result: Pick<CheckResult, "status" | "code" | "info"> | undefined;
    };

/**
 * The server that is checked, for expressions in the steps. Implemented by the daemon over a transaction of its
 * own; the answer it shows is what has been received since the last send.
 */
export interface CheckScope {
  /** Latin-1. */
  answer: string;
  /** With the answer shown to its fetches (`res.payload`, `status`, `res.hdr`). */
  transaction(): Transaction;
  /** `X-Haproxy-Server-State`'s value. */
  stateHeader(): string;
}
