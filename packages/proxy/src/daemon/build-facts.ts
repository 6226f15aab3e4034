import { version as kernelVersion, machine, release, type as systemName } from "node:os";
import { COMPATIBLE_VERSION, PROGRAM_VERSION } from "../core/config/version.ts";

/**
 * What `feature()` and `-vv` say this program can do, in HAProxy's names of build options. True only for what works
 * here, whoever does it (regular expressions are not PCRE's, but take its common syntax).
 */
export const FEATURES: ReadonlyMap<string, boolean> = new Map([
  ["51DEGREES", false],
  ["ACCEPT4", true],
  ["BACKTRACE", false],
  ["CPU_AFFINITY", false],
  ["CRYPT_H", true],
  ["DEVICEATLAS", false],
  ["DL", false],
  ["ECH", false],
  ["ENGINE", false],
  ["EPOLL", true],
  ["EVPORTS", false],
  ["GETADDRINFO", true],
  ["KQUEUE", false],
  ["KTLS", false],
  ["LIBATOMIC", false],
  ["LIBCRYPT", true],
  ["LINUX_CAP", false],
  ["LINUX_SPLICE", false],
  ["LINUX_TPROXY", true],
  ["LUA", false],
  ["MATH", true],
  ["MEMORY_PROFILING", false],
  ["NETFILTER", true],
  ["NS", false],
  ["OPENSSL", true],
  ["OPENSSL_AWSLC", false],
  ["OPENSSL_WOLFSSL", false],
  ["OT", false],
  ["PCRE", false],
  ["PCRE2", true],
  ["PCRE2_JIT", true],
  ["PCRE_JIT", false],
  ["POLL", true],
  ["PRCTL", true],
  ["PROMEX", true],
  ["PTHREAD_EMULATION", false],
  ["QUIC", false],
  ["QUIC_OPENSSL_COMPAT", false],
  ["RT", true],
  ["SLZ", true],
  ["SSL", true],
  ["SYSTEMD", true],
  ["TFO", true],
  ["THREAD", true],
  ["THREAD_DUMP", false],
  ["TPROXY", true],
  ["TRACE", false],
  ["WURFL", false],
  ["ZLIB", false],
  ["HAVE_TCP_MD5SIG", false],
  ["HAVE_WORKING_TCP_MD5SIG", false],
]);

/** `enabled()`: switches of `-d`. */
export const ENABLED: ReadonlySet<string> = new Set(["EPOLL", "POLL", "GETADDRINFO", "REUSEPORT"]);

/** As `openssl version` writes it. */
export function sslLibrary(): string {
  return `OpenSSL ${process.versions.openssl}`;
}

/** `-v`. The first line is what scripts read: HAProxy's version, then who says so. */
export function versionText(): string {
  return [
    `HAProxy version ${COMPATIBLE_VERSION} - lbproxy ${PROGRAM_VERSION}, compatible level: HAProxy 3.5`,
    "Status: lbproxy reads haproxy.cfg; it is not HAProxy.",
    `Running on: ${systemName()} ${release()} ${kernelVersion()} ${machine()}`,
    "",
  ].join("\n");
}

/** `-vv`. */
export function buildText(): string {
  const features = [...FEATURES].map(([name, on]) => `${on ? "+" : "-"}${name}`).join(" ");
  return [
    versionText().trimEnd(),
    "Build options :",
    "  TARGET  = linux-glibc",
    `  NODE    = ${process.versions.node} (V8 ${process.versions.v8})`,
    "  CFLAGS  = none: TypeScript, with plain C on Node-API for sockets and TLS",
    "",
    `Feature list : ${features}`,
    "",
    "Default settings :",
    "  bufsize = 16384, maxrewrite = 1024, maxpollevents = 200",
    "",
    "Built with multi-threading support (MAX_TGROUPS=1, MAX_THREADS=64, default=2).",
    `Built with OpenSSL version : ${sslLibrary()}`,
    `Running on OpenSSL version : ${sslLibrary()}`,
    "OpenSSL library supports TLS extensions : yes",
    "OpenSSL library supports SNI : yes",
    "OpenSSL library supports : TLSv1.2 TLSv1.3",
    "Built with the Prometheus exporter as a service",
    "Built with transparent proxy support using: IP_TRANSPARENT IPV6_TRANSPARENT IP_FREEBIND",
    "Encrypted password support via crypt(3): yes",
    "",
    "Available multiplexer protocols :",
    "(protocols marked as <default> cannot be specified using 'proto' keyword)",
    "  <default> : mode=HTTP  side=FE|BE  mux=H1",
    "         h1 : mode=HTTP  side=FE|BE  mux=H1",
    "  <default> : mode=TCP   side=FE|BE  mux=PASS",
    "       none : mode=TCP   side=FE|BE  mux=PASS",
    "",
    "Available services : prometheus-exporter",
    "Available filters : none",
    "",
  ].join("\n");
}
