import {
  checkRules,
  formatFinding,
  type LoadedConfig,
  memoryConfigHost,
  readConfig,
  resolveInMemory,
} from "@ha/proxy/core";

/** A self-signed certificate and its key, made for this test and used nowhere else. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBgDCCASWgAwIBAgIUImDXHsZk674cjCBnd2s642z5OCgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2l0ZS50ZXN0MCAXDTI2MTEyNTAxMjYwMloYDzIxMjYxMTAx
MDEyNjAyWjAUMRIwEAYDVQQDDAlzaXRlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARgJU7lJ/0oXpu3xRkW7gkekDxuGGwL55Vl9k1ciE/ObokCF/lQfyXN
LJbwBMQcKQFxSjiKkyGjCj8EH5iiEly8o1MwUTAdBgNVHQ4EFgQU3YMu34TKpq4Y
wTBJNMkrHLSwCeswHwYDVR0jBBgwFoAU3YMu34TKpq4YwTBJNMkrHLSwCeswDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA7xAoB3wDig9vL5fTOIuK
pi+D1QBXpkZP9PB7/5Ro+lECIQCQPaYTHyBHKiG+G8MeNoLngifugU/WH3wMwoui
N14cdA==
-----END CERTIFICATE-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIJDFcXbNlNo+LShCmfALZvWTZnzXy9MttVGutUIXLgKGoAoGCCqGSM49
AwEHoUQDQgAEYCVO5Sf9KF6bt8UZFu4JHpA8bhhsC+eVZfZNXIhPzm6JAhf5UH8l
zSyW8ATEHCkBcUo4ipMhowo/BB+YohJcvA==
-----END EC PRIVATE KEY-----
`;
const FILES = {
  "/etc/passwd": "root:x:0:0\n",
  "/etc/ssl/site.pem": CERTIFICATE,
  "/case.txt": "x-a X-A\n",
};

/** Reads a configuration against a machine made of tables. */
export function loadText(name: string, text: string): LoadedConfig {
  const pending = readConfig([{ name, text }], {
    host: memoryConfigHost(FILES),
    environment: new Map([["HOME", "/root"]]),
    commandLine: { maxconn: undefined, ignoreUnresolved: false },
    noServerVerify: false,
    diagnosticMode: false,
    version: "3.5-dev5",
    features: new Map([
      ["OPENSSL", true],
      ["THREAD", true],
      ["LUA", false],
    ]),
    enabled: new Set(["POLL"]),
    sslLibrary: "OpenSSL 3.0.17",
    checkRules,
  });
  resolveInMemory(pending.names);
  return pending.finish();
}

/** `[ALERT] …` a finding, as lines. */
export function findingsOf(loaded: LoadedConfig): string[] {
  const level = { error: "[ALERT]", warning: "[WARNING]", note: "[NOTICE]" } as const;
  return loaded.findings.list.flatMap((finding) =>
    `${level[finding.severity]} ${formatFinding(finding)}`.split("\n"),
  );
}
