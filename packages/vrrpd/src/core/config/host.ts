import type { ScriptUser } from "./model.ts";

/**
 * What reading a configuration needs to know of the host. The daemon's implementation looks at Linux; the offline one
 * says yes to everything (`vrrpd -t --offline`); tests have tables. All of it is synchronous: it is asked while the
 * configuration is read, before anything runs or in a process of its own.
 */
export interface ConfigHost {
  /** Text of a file as UTF-8; undefined when it cannot be read. */
  readFile(path: string): string | undefined;
  /** Files that match a pattern of glob(7) with `{a,b}`, relative to a folder. */
  glob(pattern: string, folder: string): FoundFiles;
  /** Absolute folder of a file. */
  folderOf(file: string): string;
  /** How many processors there are. */
  readonly cpus: number;
  /** Seeds `${_RANDOM}` unless `random_seed` does. */
  readonly seed: number;
  /** Whole node name, as of uname(2). */
  readonly hostName: string;
  environment(name: string): string | undefined;
  /** Undefined when there is none of that name. */
  findInterface(name: string): HostInterface | undefined;
  /** False: every interface, user and script that is asked for is taken to exist. */
  readonly checksWorld: boolean;
  findUser(name: string): HostUser | undefined;
  /** Group id by name or number. */
  findGroup(name: string): number | undefined;
  /** Whom the daemon runs as. */
  readonly ownUser: ScriptUser;
  /** Looks a program up as execvp(3) does, and says what would stop it from running. */
  findScript(file: string, user: ScriptUser): HostScript;
  /** Numbers of names in rt_tables, rt_protos, rt_realms, rt_scopes, group. */
  routingNumber(table: RoutingNames, name: string): number | undefined;
  /** Whether a host name has an address; true where that cannot be asked. */
  resolves(name: string): boolean;
  /** What stops a file from being read, or the folder it is in from being one; undefined: nothing. */
  fileProblem(path: string, mode: "read" | "folder"): string | undefined;
  /** Mode bits and owner, for key files. */
  fileMode(path: string): { readonly mode: number; readonly uid: number } | undefined;
}

export interface FoundFiles {
  /** Sorted, as paths that `readFile` takes. */
  readonly files: readonly string[];
  /** Alternatives of the pattern that no file matches. */
  readonly unmatched: readonly string[];
  /** The folder in which a wildcard would be looked for is not there. */
  readonly folderMissing: boolean;
}

export type RoutingNames = "tables" | "protocols" | "realms" | "scopes" | "groups" | "dsfield";

export interface HostInterface {
  readonly name: string;
  readonly loopback: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** Whether its MAC is one of a virtual router; undefined when that cannot be told. */
  readonly virtualMac?: boolean;
}

export interface HostUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface HostScript {
  /** What would be executed. */
  readonly path?: string;
  /** Not there, not a file, not executable: it cannot run. */
  readonly problem?: "missing" | "not-executable" | "not-a-file";
  /** Path element that somebody other than root could change. */
  readonly unsafe?: { readonly path: string; readonly mode: number; readonly why: string };
}
