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

  /** All requests sent from `since` to `end`, in order. A request too young to be answered may be among them. */
  answers(
    since: number,
    end = Number.POSITIVE_INFINITY,
    capture: Capture = this.#lan.capture,
  ): Answer[] {
    const requests = new Map<string, { sentAt: number; answer?: Frame }>();
    for (const frame of capture.frames) {
      const { echo } = frame;
      if (echo === undefined || frame.time < since) continue;
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
 * The longest time, in milliseconds, in which the client got no answer: from the last answered request to the next
 * one. Without any fault it is the pace of the probe.
 */
export function longestGap(answers: readonly Answer[]): number {
  let longest = 0;
  let last = answers[0]?.sentAt ?? 0;
  for (const { sentAt, answeredAt } of answers) {
    if (answeredAt === undefined) continue;
    longest = Math.max(longest, sentAt - last);
    last = sentAt;
  }
  const end = answers.at(-1)?.sentAt ?? last;
  return Math.max(longest, end - last) / 1000;
}

/** How many requests nobody answered, leaving out the last `graceMs`, whose answers may be on their way. */
export function lost(answers: readonly Answer[], graceMs = 20): number {
  const end = (answers.at(-1)?.sentAt ?? 0) - graceMs * 1000;
  return answers.filter(({ sentAt, answeredAt }) => answeredAt === undefined && sentAt < end)
    .length;
}

/** Who answered, one after another: `["lb1", "lb2", "lb1"]`. */
export function answeredBy(answers: readonly Answer[]): string[] {
  const names: string[] = [];
  for (const { by } of answers) if (by !== undefined && by !== names.at(-1)) names.push(by);
  return names;
}
