import { spawnSync } from "node:child_process";
import { createHash, createPrivateKey, getHashes, X509Certificate } from "node:crypto";
import { lookup } from "node:dns/promises";
import { fstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { createSecureContext } from "node:tls";
import { getSystemErrorMap } from "node:util";
import { fail, ok, parseAddress } from "@ha/base";
import type { ConfigHost, NameToResolve } from "../core/config/host.ts";
import { bytesOf } from "./config-text.ts";

/** The machine as a configuration is read against it. Files are read anew each time: a reload must see changes. */
export function createConfigHost(): ConfigHost {
  return {
    hostname: hostname(),
    readFile: (path) => {
      try {
        return ok(new Uint8Array(readFileSync(bytesOf(path))));
      } catch (error) {
        return fail(reasonOf(error));
      }
    },
    kindOf: (path) => {
      try {
        const status = statSync(bytesOf(path));
        return status.isDirectory() ? "folder" : "file";
      } catch {
        return undefined;
      }
    },
    listFolder: (path) => {
      try {
        return readdirSync(bytesOf(path), { encoding: "latin1" }).sort();
      } catch {
        return [];
      }
    },
    userId: (name) => idOf("passwd", name),
    groupId: (name) => idOf("group", name),
    isOpenDescriptor: (fd) => {
      try {
        fstatSync(fd);
        return true;
      } catch {
        return false;
      }
    },
    isDigest: (name) => getHashes().includes(name.toLowerCase()) || getHashes().includes(name),
    takesTlsList,
    checkKey,
    digest: (name, bytes) => new Uint8Array(createHash(name).update(bytes).digest()),
    now: () => Date.now() / 1000,
  };
}

/** In the system's words: `No such file or directory`. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && "errno" in error && typeof error.errno === "number") {
    return errorText(error.errno);
  }
  return error instanceof Error ? error.message : String(error);
}

/** Node's words are lower case ("no such file or directory"); those of the C library begin with a capital. */
function errorText(errno: number): string {
  const text = getSystemErrorMap().get(errno)?.[1] ?? `error ${-errno}`;
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** A user's or group's number: from the file, else by the system's name service. */
function idOf(database: "passwd" | "group", name: string): number | undefined {
  if (name === "" || /[:\n]/.test(name)) return undefined;
  return idIn(readText(`/etc/${database}`), name) ?? idIn(askNameService(database, name), name);
}

function idIn(table: string, name: string): number | undefined {
  for (const row of table.split("\n")) {
    const [found, , id] = row.split(":");
    if (found === name && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  return undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function askNameService(database: string, name: string): string {
  if (name.startsWith("-")) return "";
  const { stdout } = spawnSync("getent", [database, name], { encoding: "latin1", timeout: 5_000 });
  return stdout ?? "";
}

/** Resolves all names at once, as the system does (`getaddrinfo`), and tells each its address. */
export async function resolveNames(names: readonly NameToResolve[]): Promise<void> {
  const answers = new Map<string, Promise<string | undefined>>();
  for (const { host, family } of names) {
    const key = `${family ?? 0} ${host}`;
    if (!answers.has(key)) answers.set(key, resolve(host, family));
  }
  for (const { host, family, resolved } of names) {
    const text = await answers.get(`${family ?? 0} ${host}`);
    resolved(text === undefined ? undefined : parseAddress(text));
  }
}

async function resolve(host: string, family: 4 | 6 | undefined): Promise<string | undefined> {
  try {
    const { address } = await lookup(host, { family: family ?? 0 });
    return address;
  } catch {
    return undefined;
  }
}

function takesTlsList(
  kind: "ciphers" | "ciphersuites" | "curves" | "sigalgs",
  list: string,
): boolean {
  // HAProxy parts suites by colons too, and Node tells them from ciphers by their prefix.
  try {
    if (kind === "curves") createSecureContext({ ecdhCurve: list });
    else if (kind === "sigalgs") createSecureContext({ sigalgs: list });
    else
      createSecureContext({
        ciphers: list,
        maxVersion: kind === "ciphers" ? "TLSv1.2" : "TLSv1.3",
      });
    return true;
  } catch {
    return false;
  }
}

function checkKey(
  certificate: Uint8Array,
  key: Uint8Array,
): "certificate" | "key" | "mismatch" | undefined {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate);
  } catch {
    return "certificate";
  }
  try {
    return parsed.checkPrivateKey(createPrivateKey(Buffer.from(key))) ? undefined : "mismatch";
  } catch {
    return "key";
  }
}
