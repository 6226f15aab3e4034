/** Words of the C library for what connections fail with: HAProxy's logs have them. */
const MESSAGES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  ECONNABORTED: "Software caused connection abort",
  EHOSTUNREACH: "No route to host",
  EHOSTDOWN: "Host is down",
  ENETUNREACH: "Network is unreachable",
  ENETDOWN: "Network is down",
  ETIMEDOUT: "Connection timed out",
  EPIPE: "Broken pipe",
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EPERM: "Operation not permitted",
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  EMFILE: "Too many open files",
  EAGAIN: "Resource temporarily unavailable",
};

/** `Connection refused`, of an error of a socket. Its code where the words are not known. */
export function systemMessage(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return code === undefined ? error.message : (MESSAGES[code] ?? code);
}

export const TLS_MESSAGES = { failed: "SSL handshake failure" } as const;
