import { closeDescriptor } from "@ha/linux/ring";
import type { Bind } from "../core/config/bind-model.ts";
import type { Config } from "../core/config/model.ts";
import { type BoundSocket, bindAll } from "./bind-sockets.ts";
import { bindKey } from "./socket-key.ts";
import type { StartReport } from "./start-report.ts";

interface HeldSocket {
  readonly key: string | undefined;
  readonly fd: number;
}

/**
 * The listening sockets of a master: bound once, handed to every worker, and closed only when no worker that
 * lives has them. While it holds them clients wait in the backlog, whatever happens to workers.
 */
export class HeldSockets {
  #held: readonly HeldSocket[];
  readonly #retry: () => boolean;

  /**
   * @param taken Sockets of an older process, by `descriptorKey`.
   * @param retry See `SocketSource.retry`.
   */
  constructor(
    taken: readonly { readonly key: string; readonly fd: number }[] = [],
    retry: () => boolean = () => false,
  ) {
    this.#held = taken;
    this.#retry = retry;
  }

  /**
   * A socket for every bind of the configuration: the one that is held, else a new one. Undefined after saying which
   * could not be bound; nothing has changed then.
   */
  prepare(
    config: Config,
    maxconn: number,
    report: StartReport,
  ): readonly BoundSocket[] | undefined {
    const free = [...this.#held];
    const fresh: HeldSocket[] = [];
    const sockets = bindAll(config, maxconn, report, {
      reuse: (bind) => takeFrom(free, bind),
      bound: (bind, fd) => fresh.push({ key: bindKey(bind), fd }),
      retry: this.#retry,
    });
    if (sockets === undefined) {
      for (const { key, fd } of fresh) if (key !== undefined) closeDescriptor(fd);
      return undefined;
    }
    const known = new Set(this.#held.map(({ fd }) => fd));
    this.#held = [...this.#held, ...fresh.filter(({ fd }) => !known.has(fd))];
    return sockets;
  }

  /** Closes what no worker uses any more. Inherited descriptors belong to whoever opened them, and stay. */
  keep(used: ReadonlySet<number>): void {
    for (const { key, fd } of this.#held) {
      if (key !== undefined && !used.has(fd)) closeDescriptor(fd);
    }
    this.#held = this.#held.filter(({ key, fd }) => key === undefined || used.has(fd));
  }

  get descriptors(): readonly number[] {
    return this.#held.map(({ fd }) => fd);
  }
}

/** Each is given once: two binds of one address have two sockets. */
function takeFrom(free: HeldSocket[], bind: Bind): number | undefined {
  const key = bindKey(bind);
  if (key === undefined) return undefined;
  const at = free.findIndex((held) => held.key === key);
  return at < 0 ? undefined : free.splice(at, 1)[0]?.fd;
}
