import { fail, ok, parseAddress } from "@ha/base";
import { encodeText } from "../sample/sample.ts";
import type { ConfigHost, NameToResolve } from "./host.ts";

/** A machine made of tables, for tests: files by path, `root` with the number 0, and `localhost`. */
export function memoryConfigHost(files: Readonly<Record<string, string>> = {}): ConfigHost {
  return {
    hostname: "host",
    readFile: (path) => {
      const text = Object.hasOwn(files, path) ? files[path] : undefined;
      return text === undefined ? fail("No such file or directory") : ok(encodeText(text));
    },
    kindOf: (path) => {
      if (Object.hasOwn(files, path)) return "file";
      return Object.keys(files).some((name) => name.startsWith(`${path}/`)) ? "folder" : undefined;
    },
    listFolder: (path) =>
      Object.keys(files)
        .filter((name) => name.startsWith(`${path}/`))
        .map((name) => name.slice(path.length + 1))
        .sort(),
    userId: (name) => (name === "root" ? 0 : undefined),
    groupId: (name) => (name === "root" ? 0 : undefined),
    isOpenDescriptor: (fd) => fd <= 2,
    takesTlsList: (_kind, list) => list !== "zz",
    isDigest: (name) => /^(sha\d+|md5)$/.test(name),
    checkKey: () => undefined,
    digest: (_name, bytes) => bytes.slice(0, 20),
    now: () => 0,
  };
}

/** Gives every name its address: `localhost` has one, no other name does. */
export function resolveInMemory(names: readonly NameToResolve[]): void {
  for (const { host, resolved } of names) {
    resolved(host === "localhost" ? parseAddress("127.0.0.1") : undefined);
  }
}
