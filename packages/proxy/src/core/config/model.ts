import type { Micros, Position } from "@ha/base";
import type { SocketAddress } from "./address-model.ts";
import type { Bind } from "./bind-model.ts";
import type { Backend, Frontend } from "./proxy-model.ts";
import type {
  CacheSection,
  CrtStore,
  HttpErrors,
  LogTarget,
  Mailers,
  PeersSection,
  Resolvers,
  RingSection,
  StickTable,
  Userlist,
} from "./section-model.ts";
import type { TlsVersion } from "./tls-model.ts";

/**
 * A whole haproxy.cfg, checked: references exist, defaults are applied, host names that had to be resolved at
 * start are. What the data plane is built from.
 */
export interface Config {
  readonly global: Global;
  /** In the order of the files. A `listen` stands in both lists as one and the same object. */
  readonly frontends: readonly Frontend[];
  readonly backends: readonly Backend[];
  readonly userlists: ReadonlyMap<string, Userlist>;
  readonly peers: ReadonlyMap<string, PeersSection>;
  readonly resolvers: ReadonlyMap<string, Resolvers>;
  readonly mailers: ReadonlyMap<string, Mailers>;
  readonly caches: ReadonlyMap<string, CacheSection>;
  readonly rings: ReadonlyMap<string, RingSection>;
  readonly httpErrors: ReadonlyMap<string, HttpErrors>;
  readonly crtStores: ReadonlyMap<string, CrtStore>;
  /** By the name that rules use: the proxy's, or `peers/table`. */
  readonly stickTables: ReadonlyMap<string, StickTable>;
  /** What the file asks for that `-c` checks but a start must refuse, because it does not work yet. */
  readonly later: readonly LaterUse[];
}

/** A use of something that is parsed and checked but not served yet. */
export interface LaterUse {
  readonly at: Position;
  /** In plain words: "TLS on a bind line", "the cache". */
  readonly feature: string;
}

/** `global`. HAProxy configuration manual §3. */
export interface Global {
  readonly daemon: boolean;
  readonly masterWorker: boolean;
  readonly user: string | undefined;
  readonly group: string | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly chroot: string | undefined;
  readonly pidfile: string | undefined;
  /** Undefined: derived from the limit of open files. */
  readonly maxconn: number | undefined;
  readonly ulimitN: number | undefined;
  readonly fdHardLimit: number | undefined;
  /** Undefined: one per usable CPU. */
  readonly nbthread: number | undefined;
  readonly maxconnrate: number;
  readonly maxsessrate: number;
  readonly maxsslconn: number;
  readonly maxsslrate: number;
  readonly maxpipes: number;
  readonly maxcomprate: number;
  readonly maxzlibmem: number;
  readonly node: string | undefined;
  readonly description: string | undefined;
  /** Known to the check of `peers` sections alone: they are not served yet. */
  readonly localpeer: string | undefined;
  readonly logTargets: readonly LogTarget[];
  /** Undefined: "haproxy". */
  readonly logTag: string | undefined;
  /** `log-send-hostname`: undefined is off, "" the own host's name. */
  readonly logSendHostname: string | undefined;
  readonly stats: {
    readonly sockets: readonly Bind[];
    /** Default 10 s. */
    readonly timeout: Micros;
    /** Default 10. */
    readonly maxconn: number;
    readonly file: string | undefined;
  };
  readonly serverStateBase: string | undefined;
  readonly serverStateFile: string | undefined;
  readonly hardStopAfter: Micros | undefined;
  readonly grace: Micros | undefined;
  /** 0–50, in percent. */
  readonly spreadChecks: number;
  readonly maxSpreadChecks: Micros | undefined;
  readonly externalCheck: boolean;
  readonly insecureForkWanted: boolean;
  /** Most threads where `nbthread` does not stand. */
  readonly threadHardLimit: number | undefined;
  /** Reloads that an old worker may survive before it is ended. */
  readonly maxReloads: number | undefined;
  readonly rejectPrivilegedPorts: boolean;
  /** As `-q` and `-dW`. */
  readonly quiet: boolean;
  readonly zeroWarning: boolean;
  readonly strictLimits: boolean;
  readonly caBase: string | undefined;
  readonly crtBase: string | undefined;
  readonly keyBase: string | undefined;
  readonly tls: {
    readonly bind: TlsDefaults;
    readonly server: TlsDefaults & { readonly verify: "none" | "required" };
    readonly dhParamFile: string | undefined;
    readonly loadExtraFiles: ReadonlySet<string>;
    /** `ssl-load-extra-del-ext`. */
    readonly replaceExtension: boolean;
    readonly issuersChainPath: string | undefined;
    readonly skipSelfIssuedCa: boolean;
  };
  readonly unixBind: {
    readonly prefix: string;
    readonly mode: number | undefined;
    readonly uid: number | undefined;
    readonly gid: number | undefined;
  };
  /** `tune.*` in their base unit (bytes, a count, microseconds, or on/off as 1/0), by full name; absent means default. */
  readonly tune: ReadonlyMap<string, number | string>;
  /** `h1-case-adjust FROM TO` and those of the file. */
  readonly headerCase: ReadonlyMap<string, string>;
  /** `set-var proc.x expr` and `set-var-fmt`: name and expression, to be compiled and run at start. */
  readonly processVariables: readonly {
    readonly at: Position;
    readonly name: string;
    readonly expression: string;
    readonly format: boolean;
  }[];
  readonly noReusePort: boolean;
  /** Environment after `setenv`, `presetenv`, `unsetenv` and `resetenv`: what children get. */
  readonly environment: ReadonlyMap<string, string>;
  readonly defaultPath: {
    readonly mode: "current" | "config" | "parent" | "origin";
    readonly origin: string | undefined;
  };
  readonly busyPolling: boolean;
  readonly httpErrCodes: readonly number[] | undefined;
  readonly httpFailCodes: readonly number[] | undefined;
}

export interface TlsDefaults {
  readonly ciphers: string | undefined;
  readonly ciphersuites: string | undefined;
  readonly curves: string | undefined;
  readonly sigalgs: string | undefined;
  readonly clientSigalgs: string | undefined;
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
  /** `no-tlsv12` and the like. */
  readonly refusedVersions: ReadonlySet<TlsVersion>;
  readonly tickets: boolean;
  readonly preferClientCiphers: boolean;
  readonly strictSni: boolean;
}

export type { SocketAddress };
