import { realtimeSignals, watchSignal } from "@ha/linux";

/** What keepalived's signals ask for. keepalived(8), SIGNALS */
export interface SignalHandlers {
  readonly stop: (signal: string) => void;
  readonly reload: () => void;
  readonly dumpData: () => void;
  readonly dumpStatistics: () => void;
  readonly dumpAndClearStatistics: () => void;
  readonly dumpJson: () => void;
}

/** Catches all of them. The real-time ones have no names in Node and are caught by number. */
export function catchSignals(
  handlers: SignalHandlers,
  options: { readonly ignoreInterrupt: boolean },
): void {
  process.on("SIGTERM", () => handlers.stop("SIGTERM"));
  process.on("SIGINT", () => {
    if (!options.ignoreInterrupt) handlers.stop("SIGINT");
  });
  process.on("SIGHUP", () => handlers.reload());
  process.on("SIGUSR1", () => handlers.dumpData());
  process.on("SIGUSR2", () => handlers.dumpStatistics());
  process.on("SIGPIPE", () => {});
  const { min, max } = realtimeSignals();
  watchSignal(min + 2, () => handlers.dumpJson());
  watchSignal(max - 1, () => handlers.dumpAndClearStatistics());
}
