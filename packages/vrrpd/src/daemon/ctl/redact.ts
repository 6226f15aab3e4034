/** What follows these words in keepalived.conf and haproxy.cfg is a secret, or may be. */
const SECRETS: readonly RegExp[] = [
  // keepalived.conf: authentication, auth_hmac keys, and what YAML makes of them.
  /^(\s*(?:@\S+\s+)?(?:auth_pass|password|pass|key|auth_key)\b[:\s]+).+$/i,
  // haproxy.cfg: users, stats auth, passwords of checks, credentials in headers.
  /^(\s*user\s+\S+\s+(?:insecure-)?password\s+)\S+/i,
  /^(\s*stats\s+auth\s+[^:\s]+:)\S+/i,
  /((?:insecure-)?password\s+)\S+/i,
  /(\b(?:authorization|proxy-authorization|x-api-key|cookie)\b["':]?\s*).+$/i,
  /(\bssl-key-password\s+).+$/i,
  // Addresses with credentials: smtp://user:secret@host.
  /(\w+:\/\/[^\s:/@]+:)[^\s@]+(?=@)/g,
];

/** A configuration or log without its secrets. Definitions (`$NAME=…`) whose name speaks of one are blanked as well. */
export function redact(text: string): string {
  return text
    .split("\n")
    .map((line) => {
      const definition = /^(\s*\$?\w*(?:pass|secret|key|token)\w*\s*=\s*).+$/i.exec(line);
      if (definition !== null) return `${definition[1]}${BLANK}`;
      return SECRETS.reduce((rest, secret) => rest.replace(secret, `$1${BLANK}`), line);
    })
    .join("\n");
}

const BLANK = "********";
