import { constants } from "node:os";

/**
 * The system refused an operation. `operation` is the system call or request in words (`bind`, `add address
 * 192.0.2.1/32 to eth0`), `code` its name for the error (`EADDRINUSE`, or `ETIMEDOUT` where we gave up waiting).
 */
export class SystemError extends Error {
  readonly operation: string;
  readonly code: string;

  constructor(operation: string, code: string, options?: { detail?: string; cause?: unknown }) {
    const detail = options?.detail === undefined ? "" : `: ${options.detail}`;
    super(
      `${operation}: ${code}${detail}`,
      options?.cause === undefined ? {} : { cause: options.cause },
    );
    this.name = "SystemError";
    this.operation = operation;
    this.code = code;
  }
}

/** The name of an error number (`EPERM` for 1); `E<number>` where the C library has no name that Node knows. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `E${errno}`;
}

/** The number of an error name; 0 for a name that is none. */
export function errnoNumber(name: string): number {
  return numbers.get(name) ?? 0;
}

/** Makes a `SystemError` of the negative error number that our native doors return. */
export function systemError(operation: string, negativeErrno: number): SystemError {
  return new SystemError(operation, errnoName(-negativeErrno));
}

/** What the message of an exception from Node or a library says, as a `SystemError`. */
export function wrapError(operation: string, error: unknown): SystemError {
  if (error instanceof SystemError) return error;
  if (error instanceof Error) {
    const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
    return new SystemError(operation, code ?? "EUNKNOWN", { detail: error.message, cause: error });
  }
  return new SystemError(operation, "EUNKNOWN", { detail: String(error), cause: error });
}

const numbers = new Map<string, number>(Object.entries(constants.errno));
// EAGAIN and EWOULDBLOCK (and the ENOTSUP pair) share a number: the first, usual name wins.
const names = new Map<number, string>();
for (const [name, number] of numbers) if (!names.has(number)) names.set(number, name);
// Node leaves these out, and netlink, bpf(2) and the process connector return them.
for (const [name, number] of [
  ["ENOTUNIQ", 76],
  ["EREMCHG", 78],
  ["ESHUTDOWN", 108],
  ["EREMOTEIO", 121],
  ["EMEDIUMTYPE", 124],
  ["EKEYREJECTED", 129],
  ["ENODATA", 61],
  ["ENONET", 64],
] as const) {
  if (!names.has(number)) names.set(number, name);
  if (!numbers.has(name)) numbers.set(name, number);
}
