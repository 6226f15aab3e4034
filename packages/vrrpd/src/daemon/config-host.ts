import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { availableParallelism, hostname, networkInterfaces } from "node:os";
import { basename, dirname, isAbsolute, resolve } from "node:path";
import type { ConfigHost, HostInterface, HostScript, HostUser } from "../core/config/host.ts";
import { memoryHost } from "../core/config/memory-host.ts";
import type { ScriptUser } from "../core/config/model.ts";
import { IPROUTE_ETC, IPROUTE_USR, routingNumbers } from "../core/config/routing-names.ts";
import { fileStatus, realPath } from "./file-status.ts";
import { findFiles } from "./find-files.ts";

/** The host we run on, as reading a configuration sees it. All answers are kept, so each question is asked once. */
export function linuxConfigHost(): ConfigHost {
  return {
    readFile,
    glob: findFiles,
    folderOf: (file) => dirname(resolve(file)),
    hostName: hostname(),
    cpus: availableParallelism(),
    seed: (process.pid << 16) ^ Math.floor(performance.timeOrigin + performance.now()),
    environment: (name) => process.env[name],
    checksWorld: true,
    findInterface: interfaceFinder(),
    findUser: once((name) => findUser(name)),
    findGroup: once((name) => findGroup(name)),
    ownUser: ownUser(),
    findScript,
    routingNumber: routingNumbers(readFile, [...IPROUTE_USR, IPROUTE_ETC]),
    resolves: once(resolves),
    fileProblem,
    fileMode: (path) => {
      const found = fileStatus(path);
      return found === undefined ? undefined : { mode: found.mode & 0o7777, uid: found.uid };
    },
  };
}

/** The same without asking for interfaces, users or scripts: `--offline`. Files are read as ever. */
export function offlineConfigHost(): ConfigHost {
  const { readFile, glob, folderOf, hostName, seed, environment } = linuxConfigHost();
  return memoryHost({}, { readFile, glob, folderOf, hostName, seed, environment });
}

function readFile(path: string): string | undefined {
  try {
    const found = fileStatus(path);
    // A folder cannot be read, and a device might never end.
    return found?.isFile() === true || found?.isFIFO() === true
      ? readFileSync(path, "utf8")
      : undefined;
  } catch {
    return undefined;
  }
}

/** Names come from /proc, which shows the network namespace we are in; /sys may show another. */
function interfaceFinder(): (name: string) => HostInterface | undefined {
  let names: Set<string> | undefined;
  let addresses: ReturnType<typeof networkInterfaces> | undefined;
  return once((name) => {
    names ??= new Set(
      (readFile("/proc/net/dev") ?? "").split("\n").flatMap((line) => {
        const found = /^\s*([^\s:]+(?::[^\s:]+)*):\s/.exec(line)?.[1];
        return found === undefined ? [] : [found];
      }),
    );
    if (!names.has(name)) return undefined;
    addresses ??= networkInterfaces();
    const [first] = addresses[name] ?? [];
    return {
      name,
      loopback: name === "lo" || first?.internal === true,
      mtu: Number(readFile(`/proc/sys/net/ipv6/conf/${name}/mtu`) ?? 1500) || 1500,
      ...(first === undefined ? {} : { virtualMac: first.mac.startsWith("00:00:5e:00:") }),
    };
  });
}

function once<T>(find: (name: string) => T): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    if (!known.has(name)) known.set(name, find(name));
    return known.get(name) as T;
  };
}

/** Asks the name service in a process of its own, since Node resolves names only while its loop runs. */
function resolves(name: string): boolean {
  if (isIP(name) !== 0) return true;
  if (name.startsWith("-")) return false;
  try {
    execFileSync("getent", ["ahosts", name], { stdio: "ignore", timeout: 3000 });
    return true;
  } catch (error) {
    // Without getent, or when nobody answers in time, nothing is known against the name.
    return !(error instanceof Error && "status" in error && error.status === 2);
  }
}

/** /etc/passwd first; only a name that is not there asks the name service, which takes a process. */
function findUser(name: string): HostUser | undefined {
  const [found, , uid, gid] = entryOf("passwd", name) ?? [];
  return found === undefined ? undefined : { name: found, uid: Number(uid), gid: Number(gid) };
}

function findGroup(name: string): number | undefined {
  const [, , gid] = entryOf("group", name) ?? [];
  return gid === undefined ? undefined : Number(gid);
}

function entryOf(database: "passwd" | "group", name: string): string[] | undefined {
  if (name === "" || name.startsWith("-")) return undefined;
  const lines = (readFile(`/etc/${database}`) ?? "").split("\n");
  const line = lines.find((candidate) => candidate.startsWith(`${name}:`));
  if (line !== undefined) return line.split(":");
  if (!usesNameService(database)) return undefined;
  try {
    return execFileSync("getent", [database, name], { encoding: "utf8", timeout: 2000 })
      .trim()
      .split(":");
  } catch {
    return undefined;
  }
}

function usesNameService(database: string): boolean {
  const line = (readFile("/etc/nsswitch.conf") ?? "")
    .split("\n")
    .find((candidate) => candidate.startsWith(`${database}:`));
  const sources = line?.split(/\s+/).slice(1) ?? [];
  return sources.some((source) => !["files", "compat", "systemd", "db"].includes(source));
}

function ownUser(): ScriptUser {
  const uid = process.getuid?.() ?? 0;
  return {
    name: uid === 0 ? "root" : String(uid),
    uid,
    gid: process.getgid?.() ?? 0,
    supplementary: false,
  };
}

/** As execvp(3) looks for it; then as keepalived looks at each folder on the way. */
function findScript(file: string, user: ScriptUser): HostScript {
  const candidates = file.includes("/")
    ? [resolve("/", file)]
    : (process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin")
        .split(":")
        .filter((folder) => folder !== "")
        .map((folder) => `${folder}/${file}`);
  for (const candidate of candidates) {
    const found = fileStatus(candidate);
    if (found === undefined) continue;
    if (!found.isFile()) {
      if (file.includes("/")) return { problem: "not-a-file" };
      continue;
    }
    const path = `${realPath(dirname(candidate))}/${basename(candidate)}`;
    const unsafe = findUnsafe(realPath(candidate));
    const runs = canExecute(found, user);
    if (!runs && !file.includes("/")) continue;
    return {
      path,
      ...(runs ? {} : { problem: "not-executable" as const }),
      ...(unsafe === undefined ? {} : { unsafe }),
    };
  }
  return { problem: "missing" };
}

function canExecute(
  { mode, uid, gid }: { mode: number; uid: number; gid: number },
  user: ScriptUser,
): boolean {
  if (user.uid === 0) return (mode & 0o111) !== 0;
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0;
  return ((mode >> shift) & 1) !== 0;
}

/** The first element of a path that somebody other than root could change. */
function findUnsafe(path: string): HostScript["unsafe"] {
  const parts = path.split("/").slice(1);
  for (let i = 0; i <= parts.length; i++) {
    const element = `/${parts.slice(0, i).join("/")}`;
    const found = fileStatus(element);
    if (found === undefined) continue;
    const { uid, gid } = found;
    const mode = found.mode & 0o7777;
    const sticky = found.isDirectory() && (mode & 0o1000) !== 0;
    const octal = mode.toString(8).padStart(4, "0");
    if (uid !== 0) return { path: element, mode, why: `belongs to user ${uid}, not to root` };
    if ((mode & 0o002) !== 0 && !sticky) {
      return { path: element, mode, why: `can be changed by everyone (mode ${octal})` };
    }
    if ((mode & 0o020) !== 0 && gid !== 0 && !sticky) {
      return { path: element, mode, why: `can be changed by group ${gid} (mode ${octal})` };
    }
  }
  return undefined;
}

function fileProblem(path: string, what: "read" | "folder"): string | undefined {
  const target = what === "folder" ? dirname(isAbsolute(path) ? path : resolve(path)) : path;
  const found = fileStatus(target);
  if (found === undefined) return "is not there";
  if (what === "folder") return found.isDirectory() ? undefined : "is not a folder";
  return found.isFile() ? undefined : "is not a file";
}
