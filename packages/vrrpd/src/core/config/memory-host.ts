import type { ConfigHost, HostInterface } from "./host.ts";

/**
 * A host that is a table: files as given, nothing else asked. Every interface, user and script that is named exists.
 * For tests, for `--offline`, and wherever a configuration is looked at away from its host.
 */
export function memoryHost(
  files: Readonly<Record<string, string>>,
  overrides: Partial<ConfigHost> = {},
): ConfigHost {
  return {
    readFile: (path) => (Object.hasOwn(files, path) ? files[path] : undefined),
    glob: (pattern, folder) => {
      const path = pattern.startsWith("/") ? pattern : `${folder}/${pattern}`;
      return Object.hasOwn(files, path)
        ? { files: [path], unmatched: [], folderMissing: false }
        : { files: [], unmatched: [pattern], folderMissing: false };
    },
    folderOf: (file) => file.replace(/\/[^/]*$/s, ""),
    hostName: "localhost",
    cpus: Number.MAX_SAFE_INTEGER,
    seed: 1,
    environment: () => undefined,
    checksWorld: false,
    findInterface: (name) => anyInterface(name),
    findUser: (name) => {
      if (name === "root") return { name, uid: 0, gid: 0 };
      // The one user whose absence means something: then scripts run as we do.
      return name === "keepalived_script" ? undefined : { name, uid: 1000, gid: 1000 };
    },
    findGroup: (name) => (name === "root" ? 0 : 1000),
    ownUser: { name: "root", uid: 0, gid: 0, supplementary: false },
    findScript: (file) => ({ path: file }),
    routingNumber: () => undefined,
    resolves: () => true,
    fileProblem: () => undefined,
    fileMode: () => undefined,
    ...overrides,
  };
}

function anyInterface(name: string): HostInterface {
  return { name, loopback: name === "lo", mtu: 1500 };
}
