import process from "node:process";
import { type DatagramSender, openDatagramSender } from "./datagram.ts";

/** Tells the service manager about us. sd_notify(3). */
export interface ServiceNotifier {
  /** False where no service manager listens (`NOTIFY_SOCKET` is not set). */
  readonly active: boolean;
  /** Assignments such as `{ READY: 1, MAINPID: 17, STATUS: "master" }`, in one datagram. False when it was not sent. */
  notify(state: Readonly<Record<string, string | number>>): boolean;
  /** How often to send `WATCHDOG=1`, in milliseconds: half of what the unit allows; undefined where it asks for none. */
  readonly watchdogMs: number | undefined;
  close(): void;
}

/** Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC` of the environment. */
export function openServiceNotifier(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ServiceNotifier {
  const path = environment["NOTIFY_SOCKET"] ?? "";
  const sender: DatagramSender | undefined = path === "" ? undefined : openDatagramSender(path);
  const watchdog = Number(environment["WATCHDOG_USEC"] ?? "");
  return {
    active: sender !== undefined,
    watchdogMs: watchdog > 0 ? watchdog / 2_000 : undefined,
    notify(state) {
      const lines = Object.entries(state).map(([name, value]) => {
        // A line feed would begin another assignment.
        return `${name}=${String(value).replaceAll("\n", " ")}`;
      });
      return sender?.send(new TextEncoder().encode(lines.join("\n"))) ?? false;
    },
    close() {
      sender?.close();
    },
  };
}
