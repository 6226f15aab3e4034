import type { Capture } from "./capture.ts";
import type { Frame } from "./frame.ts";
import type { Host, HostProcess } from "./host.ts";
import type { Lan } from "./lan.ts";

/** One echo request of the client, and who answered it. Times as in `Frame`. */
export interface Answer {
  readonly sentAt: number;
  /** Undefined: nobody. */
  readonly answeredAt: number | undefined;
  /** By what the answering kernel wrote into the packet. */
  readonly by: string | undefined;
  /** By the hardware address the answer came from: undefined also for a virtual one. */
  readonly hardware: string | undefined;
}

/** A client that asks an address again and again, as clients do: with the ARP entry it has until that changes. */
export class Probe {
  readonly address: string;
  readonly #ping: HostProcess;
  readonly #lan: Lan;

  private constructor(lan: Lan, address: string, ping: HostProcess) {
    this.#lan = lan;
    this.address = address;
    this.#ping = ping;
  }

  static start(lan: Lan, client: Host, address: string, everyMs: number): Probe {
    const ping = client.spawnBeside("ping", ["-n", "-q", "-i", String(everyMs / 1000), address]);
    ping.stdout.resume();
    ping.stderr.resume();
    return new Probe(lan, address, ping);
  }

  stop(): void {
    this.#ping.kill("SIGKILL");
  }

  /**
   * All requests sent from `since` to `end`, in order; the last ones may be too young to be answered. What the client
   * cannot send because nobody tells it the hardware address shows as ARP requests, which count as well.
   */
  answers(
    since: number,
    end = Number.POSITIVE_INFINITY,
    capture: Capture = this.#lan.capture,
  ): Answer[] {
    const requests = new Map<string, { sentAt: number; answer?: Frame }>();
    for (const frame of capture.frames) {
      const { echo, arp } = frame;
      if (frame.time < since) continue;
      if (arp?.operation === "request" && arp.target === this.address && frame.time < end) {
        if (this.#lan.senderOf(frame) === "client")
          requests.set(`arp/${frame.time}`, { sentAt: frame.time });
      }
      if (arp?.operation === "reply" && arp.sender === this.address) {
        for (const [key, request] of requests) {
          const young = frame.time - request.sentAt < GRACE_MS * 1000;
          if (young && key.startsWith("arp/")) request.answer ??= frame;
        }
      }
      if (echo === undefined) continue;
      const key = `${echo.id}/${echo.sequence}`;
      if (echo.kind === "request") {
        if (echo.to === this.address && frame.time < end) requests.set(key, { sentAt: frame.time });
        continue;
      }
      const request = requests.get(key);
      if (echo.from === this.address && request !== undefined) request.answer ??= frame;
    }
    return [...requests.values()].map(({ sentAt, answer }) => ({
      sentAt,
      answeredAt: answer?.time,
      by: answer?.echo && this.#lan.ownerOfTtl(answer.echo.ttl),
      hardware: answer && this.#lan.senderOf(answer),
    }));
  }
}

/**
 * The longest outage, in milliseconds: from the first request that nobody answered to the next one that somebody did,
 * or to the last request. 0 when all were answered. A pause of the client itself is none; the probe's pace is how fine
 * it sees.
 */
export function longestOutage(answers: readonly Answer[]): number {
  const end = (answers.at(-1)?.sentAt ?? 0) - GRACE_MS * 1000;
  let longest = 0;
  let since: number | undefined;
  for (const { sentAt, answeredAt } of answers) {
    if (answeredAt === undefined && sentAt < end) since ??= sentAt;
    if (since === undefined || (answeredAt === undefined && sentAt < end)) continue;
    longest = Math.max(longest, sentAt - since);
    since = undefined;
  }
  return longest / 1000;
}

/** How long an answer may be on its way: at the end, and to an ARP request. */
const GRACE_MS = 20;

/** How many requests nobody answered. */
export function lost(answers: readonly Answer[]): number {
  const end = (answers.at(-1)?.sentAt ?? 0) - GRACE_MS * 1000;
  return answers.filter(({ sentAt, answeredAt }) => answeredAt === undefined && sentAt < end)
    .length;
}

/** Who answered, one after another: `["lb1", "lb2", "lb1"]`. */
export function answeredBy(answers: readonly Answer[]): string[] {
  const names: string[] = [];
  for (const { by } of answers) if (by !== undefined && by !== names.at(-1)) names.push(by);
  return names;
}
