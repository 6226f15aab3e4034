/**
 * What traffic tells of servers: to `observe`, and to the check that comes sooner when one refuses. Called by every
 * thread; outside the first one it passes the word on.
 */
export interface TrafficObserver {
  /** A connection could not be made. */
  refused(proxy: number, server: number): void;
  /** A new connection stands. Called only while `watchesSuccess`. */
  connected(proxy: number, server: number): void;
  /** An answer came. Called only while `watchesSuccess`. */
  answered(proxy: number, server: number, status: number): void;
  /** No whole answer came. */
  failed(proxy: number, server: number, what: AnswerFailure): void;
  /** Some server has `observe`, so that what goes well counts too. */
  readonly watchesSuccess: boolean;
}

/** HAProxy's words, after "last one was: ". */
export type AnswerFailure =
  | "Invalid http response (headers)"
  | "Read timeout (http)"
  | "Close from server (http)";

/** One thing seen, on its way to the thread that checks. */
export interface TrafficWord {
  readonly proxy: number;
  readonly server: number;
  readonly layer: 4 | 7;
  readonly good: boolean;
  readonly what: string;
}

/** An observer that makes words of what it sees, for the servers that observe that layer, and of every refusal. */
export function wordingObserver(
  layers: readonly (readonly (4 | 7 | 0)[])[],
  tell: (word: TrafficWord) => void,
): TrafficObserver {
  const observes = (proxy: number, server: number, layer: 4 | 7) =>
    layers[proxy]?.[server] === layer;
  return {
    watchesSuccess: layers.some((servers) => servers.some((layer) => layer !== 0)),
    refused: (proxy, server) => {
      tell({ proxy, server, layer: 4, good: false, what: "L4 unsuccessful connection" });
    },
    connected: (proxy, server) => {
      if (observes(proxy, server, 4)) tell({ proxy, server, layer: 4, good: true, what: "" });
    },
    answered: (proxy, server, status) => {
      if (!observes(proxy, server, 7)) return;
      // 501 and 505 are what a client asked for. HAProxy configuration manual §5.2, observe
      const good = status < 500 || status === 501 || status === 505;
      tell({ proxy, server, layer: 7, good, what: good ? "" : "Wrong http response" });
    },
    failed: (proxy, server, what) => {
      if (observes(proxy, server, 7)) tell({ proxy, server, layer: 7, good: false, what });
    },
  };
}
