import { hostname } from "node:os";
import { type Micros, toMilliseconds } from "@ha/base";
import type { Globals } from "../core/config/model.ts";
import type { Log } from "./log.ts";

/** Where alerts go, from `global_defs`. */
export interface MailSettings {
  readonly recipients: readonly string[];
  readonly from: string;
  readonly host: string;
  readonly port: number;
  /** Said in EHLO. Default: the host name. */
  readonly helo?: string;
  readonly connectTimeout: Micros;
}

export interface Mail {
  readonly subject: string;
  readonly text: string;
}

/**
 * The mail of one state change. observed: keepalived 2.2.7: `[lb1] VRRP Instance VI_1 - Entering MASTER state`.
 */
export function stateMail(options: {
  readonly routerId: string;
  readonly kind: "Instance" | "Group";
  readonly name: string;
  readonly state: "MASTER" | "BACKUP" | "FAULT" | "STOP";
}): Mail {
  const { routerId, kind, name, state } = options;
  const what = clean(`VRRP ${kind} ${name}`);
  const how = state === "STOP" ? "Stopping" : `Entering ${state} state`;
  return {
    subject: `[${clean(routerId)}] ${what} - ${how}`,
    text: MEANING[state].replace("%", `=> ${what}`),
  };
}

const MEANING = {
  MASTER: "% is now owning VRRP IPs <=\n",
  BACKUP: "% is no longer owning VRRP IPs <=\n",
  FAULT: "% is no longer able to own VRRP IPs <=\n",
  STOP: "% is stopping: it gives up its VRRP IPs <=\n",
} as const;

/** A name from the configuration cannot add a header line. */
function clean(text: string): string {
  return text.replace(/[\r\n]+/g, " ");
}

/** Mails that wait at most; a mail server that is down must not fill the memory. */
export const MAIL_QUEUE = 100;

/** Sends alerts one after the other through one server; a failure is logged and the mail is given up. */
export class Mailer {
  readonly #settings: MailSettings;
  readonly #log: Log;
  readonly #waiting: Mail[] = [];
  #busy = false;

  constructor(settings: MailSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
  }

  send(mail: Mail): void {
    if (this.#waiting.length >= MAIL_QUEUE) {
      this.#log.warning(`SMTP alert not sent, too many wait: ${mail.subject}`);
      return;
    }
    this.#waiting.push(mail);
    if (!this.#busy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (;;) {
      const mail = this.#waiting.shift();
      if (mail === undefined) break;
      try {
        await this.#deliver(mail);
        this.#log.info("SMTP alert successfully sent.");
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#log.warning(`SMTP alert to ${this.#settings.host} failed: ${why}`);
      }
    }
    this.#busy = false;
  }

  async #deliver(mail: Mail): Promise<void> {
    const { recipients, from, host, port, helo, connectTimeout } = this.#settings;
    const limit = toMilliseconds(connectTimeout);
    // Here and not at the top: most hosts never send a mail, and the module takes its time to load.
    const { createTransport } = await import("nodemailer");
    const transport = createTransport({
      host,
      port,
      secure: false,
      // As keepalived: plain SMTP to a relay that is near.
      ignoreTLS: true,
      connectionTimeout: limit,
      greetingTimeout: limit,
      socketTimeout: limit,
      ...(helo === undefined ? {} : { name: helo }),
    });
    try {
      await transport.sendMail({
        from,
        to: [...recipients],
        subject: mail.subject,
        text: mail.text,
        headers: { "X-Mailer": "Keepalived" },
      });
    } finally {
      transport.close();
    }
  }
}

/** The mailer that `global_defs` asks for; undefined without server or recipients. */
export function mailerOf(globals: Globals, log: Log): Mailer | undefined {
  const { smtp_server: server, notification_email: recipients } = globals;
  if (server === undefined || recipients.length === 0) return undefined;
  return new Mailer(
    {
      recipients,
      from: globals.notification_email_from ?? `keepalived@${hostname()}`,
      host: server.host,
      port: server.port,
      connectTimeout: globals.smtp_connect_timeout,
      ...(globals.smtp_helo_name === undefined ? {} : { helo: globals.smtp_helo_name }),
    },
    log,
  );
}
