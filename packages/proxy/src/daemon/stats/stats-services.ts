import type { StatsPage } from "../../core/config/proxy-model.ts";
import { METHOD_GET, METHOD_HEAD, METHOD_POST } from "../../core/http/head.ts";
import { standardReply } from "../../core/http/replies.ts";
import { unauthorized } from "../../core/rule/reply.ts";
import { runRules } from "../../core/rule/rule.ts";
import { basicCredentials } from "../../core/sample/fetches/http-body.ts";
import { encodeText, latin1 } from "../../core/sample/sample.ts";
import { sameText } from "../../core/sample/user-check.ts";
import { statsPageHtml } from "../../core/stats/page.ts";
import { readStatsQuery, type StatsQuery } from "../../core/stats/page-query.ts";
import { prometheusText, readScrapeRequest } from "../../core/stats/prometheus.ts";
import { proxyRows } from "../../core/stats/proxy-rows.ts";
import { findProxy, findServer } from "../../core/stats/source.ts";
import { statCsv, statJson, statSchema, statTyped } from "../../core/stats/stat-text.ts";
import type { Transaction } from "../../core/transaction.ts";
import type { ProxyRuntime, Service } from "../proxy-runtime.ts";
import type { Worker } from "../worker.ts";
import { STATS_ACTIONS, type StatsOrder } from "./stats-order.ts";
import type { StatsView } from "./stats-view.ts";

/** Puts the stats pages and `use-service prometheus-exporter` into a thread. */
export function installServices(
  worker: Worker,
  view: StatsView,
  send: (order: StatsOrder) => void,
): void {
  const { plane } = worker;
  plane.services.set("prometheus-exporter", exporter(view));
  for (const proxy of plane.proxies) {
    const page = (proxy.state.frontend ?? proxy.state.backend)?.stats;
    if (page?.enabled) proxy.statsPage = new StatsPageService(proxy, page, view, send);
  }
}

/** `http-request use-service prometheus-exporter`. */
function exporter(view: StatsView): Service {
  return {
    matches: () => true,
    needsBody: () => false,
    answer: ({ request }) => {
      const { head, bytes } = request;
      const query = latin1(bytes, Math.min(head.queryStart + 1, head.targetEnd), head.targetEnd);
      const scrape = readScrapeRequest(query.replace(/#.*$/, ""));
      if (scrape === undefined) return standardReply(400);
      const text = prometheusText(scrape, proxyRows(view.source), view.figures(), view.source);
      return reply("text/plain; version=0.0.4", encodeText(text));
    },
  };
}

/** One proxy's `stats uri`. HAProxy configuration manual §4.2, stats. */
class StatsPageService implements Service {
  readonly #proxy: ProxyRuntime;
  readonly #page: StatsPage;
  readonly #uri: Uint8Array;
  readonly #view: StatsView;
  readonly #send: (order: StatsOrder) => void;

  constructor(
    proxy: ProxyRuntime,
    page: StatsPage,
    view: StatsView,
    send: (order: StatsOrder) => void,
  ) {
    this.#proxy = proxy;
    this.#page = page;
    this.#uri = encodeText(page.uri);
    this.#view = view;
    this.#send = send;
  }

  /** A target whose path and query begin with the page's address. */
  matches({ request }: Transaction): boolean {
    const { method, pathStart, targetEnd } = request.head;
    if (method !== METHOD_GET && method !== METHOD_HEAD && method !== METHOD_POST) return false;
    const uri = this.#uri;
    if (targetEnd - pathStart < uri.length) return false;
    for (let i = 0; i < uri.length; i++) {
      if (request.bytes[pathStart + i] !== uri[i]) return false;
    }
    return true;
  }

  needsBody({ request }: Transaction): boolean {
    return request.head.method === METHOD_POST;
  }

  answer(transaction: Transaction): Uint8Array {
    const refusal = this.#refusal(transaction);
    if (refusal !== undefined) return refusal;
    const { request } = transaction;
    const { pathStart, targetEnd, method } = request.head;
    const rest = latin1(request.bytes, pathStart + this.#uri.length, targetEnd);
    const query = readStatsQuery(rest);
    const isAdmin = this.#proxy.statsAdmin?.(transaction) ?? false;
    if (method === METHOD_POST) return this.#order(transaction, query, isAdmin);
    return this.#show(query, isAdmin);
  }

  /** `stats http-request`, or what `stats auth` stands for where no such rule is. */
  #refusal(transaction: Transaction): Uint8Array | undefined {
    const { statsRules } = this.#proxy;
    if (statsRules.length > 0) {
      const verdict = runRules(statsRules, transaction, { next: 0 });
      if (verdict.type !== "respond") return undefined;
      return transaction.reply?.message ?? standardReply(verdict.status);
    }
    const { auth, realm } = this.#page;
    if (auth.length === 0) return undefined;
    const given = basicCredentials(transaction);
    const isKnown = auth.some(
      ({ user, password }) =>
        given !== undefined && user === given.user && sameText(password, given.password),
    );
    return isKnown ? undefined : unauthorized(401, realm);
  }

  #show(query: StatsQuery, isAdmin: boolean): Uint8Array {
    const page = this.#page;
    const { source } = this.#view;
    const refresh =
      page.refresh !== undefined && !query.noRefresh
        ? `refresh: ${Math.round(page.refresh / 1_000_000)}\r\n`
        : "";
    if (query.format === "json-schema") return reply("application/json", encodeText(statSchema()));
    const scope = new Set(page.scope.map((name) => (name === "." ? this.#proxy.name : name)));
    const rows = proxyRows(source, {
      scope,
      up: query.up,
      noMaint: query.noMaint,
      ...(query.part === "" ? {} : { part: query.part }),
    });
    switch (query.format) {
      case "csv":
        return reply("text/plain", encodeText(statCsv(rows)), refresh);
      case "typed":
        return reply("text/plain", encodeText(statTyped(rows)), refresh);
      case "json":
        return reply("application/json", encodeText(statJson(rows)), refresh);
      default: {
        const html = statsPageHtml(source, this.#view.figures(), rows, page, {
          uri: page.uri,
          up: query.up,
          noRefresh: query.noRefresh,
          part: query.part,
          result: query.result,
          isAdmin,
          above: this.#view.vrrp(),
        });
        return reply("text/html", encodeText(html), refresh);
      }
    }
  }

  /** A form was sent. Answers with the page's address and how it went. */
  #order({ request }: Transaction, query: StatsQuery, isAdmin: boolean): Uint8Array {
    const result = !isAdmin
      ? "DENY"
      : !request.bodyComplete && request.head.contentLength > request.bodyEnd - request.bodyStart
        ? "EXCD"
        : this.#obey(latin1(request.bytes, request.bodyStart, request.bodyEnd));
    const words = `${query.up ? ";up" : ""}${query.noRefresh ? ";norefresh" : ""}`;
    const scope = query.part === "" ? "" : `?scope=${encodeURIComponent(query.part)}`;
    const location = `${this.#page.uri};st=${result}${words}${scope}`;
    return encodeText(
      `HTTP/1.1 303 See Other\r\ncache-control: no-cache\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nlocation: ${location}\r\n\r\n`,
    );
  }

  #obey(body: string): "DONE" | "NONE" | "PART" | "ERRP" {
    const fields = new URLSearchParams(body);
    const backend = fields.get("b") ?? "";
    const word = fields.get("action") ?? "";
    const names = fields.getAll("s");
    if (word === "" || names.length === 0) return "NONE";
    const action = STATS_ACTIONS.find((known) => known === word);
    const { source } = this.#view;
    const proxy = findProxy(source, backend, "backend");
    const state = source.proxies[proxy];
    if (action === undefined || state === undefined) return "ERRP";
    const servers = names.map((name) => findServer(state, name)).filter((server) => server >= 0);
    if (servers.length === 0) return "ERRP";
    this.#send({ proxy, servers, action });
    return servers.length < names.length ? "PART" : "DONE";
  }
}

function reply(type: string, body: Uint8Array, more = ""): Uint8Array {
  const head = encodeText(
    `HTTP/1.1 200 OK\r\ncache-control: no-cache\r\ncontent-type: ${type}\r\n${more}content-length: ${body.length}\r\n\r\n`,
  );
  const message = new Uint8Array(head.length + body.length);
  message.set(head);
  message.set(body, head.length);
  return message;
}
