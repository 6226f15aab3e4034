import { randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { formatAddress } from "@ha/base";
import type { Resolvers } from "../../core/config/section-model.ts";
import {
  type DnsRecord,
  decodeAnswer,
  encodeQuestion,
  type QuestionType,
  RCODE_NX,
  RCODE_REFUSED,
  TYPE_SRV,
} from "../../core/dns/dns-message.ts";

/** What came of a question: records (perhaps none), or why there are none, in the words of `hold`. */
export type Outcome =
  | { readonly status: "valid"; readonly records: readonly DnsRecord[] }
  | { readonly status: "nx" | "refused" | "timeout" | "other" };

/** Counters of one name server, as `show resolvers` has them. HAProxy management guide §9.3, show resolvers */
export const RESOLVER_COUNTERS = [
  "sent",
  "snd_error",
  "valid",
  "update",
  "cname",
  "cname_error",
  "any_err",
  "nx",
  "timeout",
  "refused",
  "other",
  "invalid",
  "too_big",
  "truncated",
  "outdated",
] as const;
export type ResolverCounter = (typeof RESOLVER_COUNTERS)[number];

interface NameServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly counters: Map<ResolverCounter, number>;
  socket: Socket | undefined;
}

interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: QuestionType;
  readonly done: (outcome: Outcome) => void;
  triesLeft: number;
  /** Name servers that have not answered this try. */
  readonly silent: Set<NameServer>;
  worst: "nx" | "refused" | "other" | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** Questions under way at once: each has a number of its own. */
const MOST_QUESTIONS = 4_096;

/**
 * The name servers of a `resolvers` section. A question goes to all of them at once, the first good answer counts, and
 * silence is asked again. HAProxy configuration manual §5.3.2.
 */
export class NameServers {
  readonly section: Resolvers;
  readonly #servers: NameServer[];
  readonly #questions = new Map<number, Question>();

  constructor(section: Resolvers) {
    this.section = section;
    this.#servers = [...configured(section), ...(section.parseResolvConf ? systemServers() : [])];
  }

  /** Counters by name server, in the order of the section. */
  get counters(): readonly {
    readonly name: string;
    readonly counters: ReadonlyMap<ResolverCounter, number>;
  }[] {
    return this.#servers;
  }

  /** Asks. `done` is called once, later. */
  ask(name: string, type: QuestionType, done: (outcome: Outcome) => void): void {
    if (this.#servers.length === 0 || this.#questions.size >= MOST_QUESTIONS) {
      setImmediate(done, { status: "other" });
      return;
    }
    let id = randomInt(0x10000);
    while (this.#questions.has(id)) id = (id + 1) & 0xffff;
    const triesLeft = Math.max(1, this.section.resolveRetries);
    const question: Question = {
      id,
      name,
      type,
      done,
      triesLeft,
      silent: new Set(),
      worst: undefined,
      timer: undefined,
    };
    this.#questions.set(id, question);
    this.#send(question);
  }

  /** Notes that a server's address changed by an answer. */
  countUpdate(): void {
    const [first] = this.#servers;
    if (first !== undefined) count(first, "update");
  }

  close(): void {
    for (const question of this.#questions.values()) clearTimeout(question.timer);
    this.#questions.clear();
    for (const server of this.#servers) {
      server.socket?.close();
      server.socket = undefined;
    }
  }

  #send(question: Question): void {
    question.triesLeft--;
    const bytes = encodeQuestion(
      question.id,
      question.name,
      question.type,
      this.section.acceptedPayloadSize,
    );
    question.silent.clear();
    for (const server of this.#servers) {
      question.silent.add(server);
      this.#socketOf(server).send(bytes, server.port, server.host, (error) => {
        count(server, error === null ? "sent" : "snd_error");
      });
    }
    question.timer = setTimeout(() => this.#late(question), this.section.timeoutRetry / 1_000);
    question.timer.unref();
  }

  #late(question: Question): void {
    for (const server of question.silent) count(server, "timeout");
    if (question.triesLeft > 0) this.#send(question);
    else this.#finish(question, { status: question.worst ?? "timeout" });
  }

  #finish(question: Question, outcome: Outcome): void {
    clearTimeout(question.timer);
    this.#questions.delete(question.id);
    question.done(outcome);
  }

  #socketOf(server: NameServer): Socket {
    if (server.socket !== undefined) return server.socket;
    const socket = createSocket(isIP(server.host) === 6 ? "udp6" : "udp4");
    socket.unref();
    socket.on("message", (bytes, from) => {
      if (from.port === server.port && sameHost(from.address, server.host))
        this.#heard(server, bytes);
    });
    // A name server that is not there: its silence counts.
    socket.on("error", () => undefined);
    server.socket = socket;
    return socket;
  }

  #heard(server: NameServer, bytes: Uint8Array): void {
    const id = bytes.length < 2 ? -1 : ((bytes[0] as number) << 8) | (bytes[1] as number);
    const question = this.#questions.get(id);
    const answer = question === undefined ? undefined : decodeAnswer(bytes, question);
    if (question === undefined || answer === undefined) count(server, "outdated");
    else if (!answer.ok) count(server, answer.error);
    else if (answer.value.truncated) {
      count(server, "truncated");
      this.#failed(question, server, "other");
    } else if (answer.value.rcode === 0) {
      count(server, "valid");
      this.#finish(question, { status: "valid", records: answer.value.records });
    } else {
      const { rcode } = answer.value;
      const status = rcode === RCODE_NX ? "nx" : rcode === RCODE_REFUSED ? "refused" : "other";
      count(server, status);
      this.#failed(question, server, status);
    }
  }

  /** One name server has no answer: the others may have one. */
  #failed(question: Question, server: NameServer, status: "nx" | "refused" | "other"): void {
    question.silent.delete(server);
    if (question.worst !== "nx") question.worst = status;
    if (question.silent.size === 0) this.#finish(question, { status: question.worst });
  }
}

function count({ counters }: NameServer, counter: ResolverCounter): void {
  counters.set(counter, (counters.get(counter) ?? 0) + 1);
}

function nameServer(name: string, host: string, port: number): NameServer {
  return { name, host, port, counters: new Map(), socket: undefined };
}

function configured({ nameservers }: Resolvers): NameServer[] {
  return nameservers.flatMap(({ name, address }) =>
    address.kind === "inet" && address.address !== undefined
      ? [nameServer(name, formatAddress(address.address), address.port)]
      : [],
  );
}

/** Those of resolv.conf(5). */
function systemServers(): NameServer[] {
  let text = "";
  try {
    text = readFileSync("/etc/resolv.conf", "latin1");
  } catch {
    // Without the file there are none.
  }
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(([, host = ""]) =>
    isIP(host) === 0 ? [] : [nameServer(host, host, 53)],
  );
}

/** IPv6 has many spellings of one address. */
function sameHost(a: string, b: string): boolean {
  return a === b || (isIP(a) === 6 && isIP(b) === 6 && canonical(a) === canonical(b));
}

function canonical(address: string): string {
  return new URL(`http://[${address.replace(/%.*$/, "")}]`).hostname;
}

/** Whether the name is a service's: `_http._tcp.example`. */
export function isServiceName(name: string): boolean {
  return name.startsWith("_");
}

/** Types to ask for, the wanted family first; the next is asked where one has nothing. */
export function questionTypes(name: string, prefer: "ipv4" | "ipv6"): readonly QuestionType[] {
  if (isServiceName(name)) return [TYPE_SRV];
  return prefer === "ipv4" ? [1, 28] : [28, 1];
}
