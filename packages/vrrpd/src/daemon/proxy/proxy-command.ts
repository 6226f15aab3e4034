import { createHash } from "node:crypto";
import { accessSync, constants, realpathSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { hasHealthLine, type ProxyProgram } from "../../core/config/proxy-model.ts";

/** The words to run a proxy with; a text instead: why it cannot be run. */
export function proxyCommand(proxy: ProxyProgram): readonly [string, ...string[]] | string {
  const program = proxy.program === undefined ? findLbproxy() : findProgram(proxy.program);
  if (program === undefined) {
    return proxy.program === undefined
      ? "lbproxy is not installed: it is neither in PATH nor beside vrrpd (program names another place)"
      : `${proxy.program} cannot be found`;
  }
  // In the foreground, whatever the file says: we are its daemon.
  const mode = hasHealthLine(proxy) ? ["-W", "-db"] : ["-Ws"];
  const args = proxy.args ?? [...mode, ...proxy.config.flatMap((file) => ["-f", file])];
  // Started by our own Node: there may be none in PATH.
  return realpathSync(program).endsWith(".js")
    ? [process.execPath, program, ...args]
    : [program, ...args];
}

/** Digest of the files' contents: whether they are what a proxy was started with. Folders stand for their `*.cfg`. */
export async function configDigest({ config }: ProxyProgram): Promise<string> {
  const hash = createHash("sha256");
  for (const path of config) {
    for (const file of await filesOf(path)) {
      hash.update(`${file}\0`);
      hash.update(await readFile(file).catch(() => "unreadable"));
    }
  }
  return hash.digest("hex");
}

async function filesOf(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = await readdir(path);
    return names
      .filter((name) => name.endsWith(".cfg"))
      .sort()
      .map((name) => join(path, name));
  } catch {
    return [path];
  }
}

function findLbproxy(): string | undefined {
  const installed = findProgram("lbproxy");
  if (installed !== undefined) return installed;
  // Beside our own: packages/vrrpd/bin/vrrpd.js and packages/proxy/bin/lbproxy.js.
  const own = realpathSync(process.argv[1] ?? "");
  return findProgram(join(dirname(own), "../../proxy/bin/lbproxy.js"));
}

function findProgram(name: string): string | undefined {
  const folders = name.includes("/")
    ? [""]
    : [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders
    .filter((folder) => folder !== "" || name.includes("/"))
    .map((folder) => (folder === "" ? name : join(folder, name)))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
