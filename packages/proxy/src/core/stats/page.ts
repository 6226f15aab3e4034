import { formatAddress } from "@ha/base";
import type { StatsPage } from "../config/proxy-model.ts";
import { escapeHtml, headingRows, pageRow, type RowView } from "./page-row.ts";
import { PAGE_STYLE } from "./page-style.ts";
import { type ProcessFigures, uptimeText } from "./process-info.ts";
import type { StatRow } from "./row.ts";
import type { StatsSource } from "./source.ts";

/** What a request asks of the page; `;` words of the path and the query. HAProxy configuration manual §4.2, stats uri. */
export interface PageView {
  /** The page's address: what links begin with. */
  readonly uri: string;
  readonly up: boolean;
  readonly noRefresh: boolean;
  /** `?scope=`: a part of the names to show; "" is all. */
  readonly part: string;
  /** `;st=`: how an order went. */
  readonly result: string | undefined;
  readonly isAdmin: boolean;
  /** HTML that stands above the tables. */
  readonly above: string;
}

/** What comes of an order: the value of `;st=`, the class and the text of the line that tells. */
export const ORDER_RESULTS: Readonly<Record<string, readonly [className: string, text: string]>> = {
  DONE: ["active_up", "Action processed successfully."],
  NONE: ["active_going_down", "Nothing has changed."],
  PART: [
    "active_going_down",
    "Action partially processed: some of the servers named are not in the backend.",
  ],
  ERRP: [
    "active_down",
    "Action not processed: the action, the backend or a server is unknown, or a parameter is wrong.",
  ],
  EXCD: [
    "active_down",
    "Action not processed: too much was sent. Try with fewer servers at a time.",
  ],
  DENY: ["active_down", "Action denied."],
  UNKN: ["active_no_check", "Unexpected result."],
};

/** The whole page. Tables, cells, classes and anchors stand as HAProxy's do; nothing on it needs a script. */
export function statsPageHtml(
  source: StatsSource,
  figures: ProcessFigures,
  rows: readonly StatRow[],
  page: StatsPage,
  view: PageView,
): string {
  const node =
    page.showNode === undefined ? "" : page.showNode === "" ? figures.node : page.showNode;
  const description =
    page.showDescription === undefined
      ? ""
      : page.showDescription === ""
        ? (figures.description ?? "")
        : page.showDescription;
  const on = node === "" ? "" : ` on ${escapeHtml(node)}`;
  const version = page.hideVersion
    ? ""
    : ` version ${figures.version}, released ${figures.releaseDate}`;
  const refresh =
    page.refresh === undefined || view.noRefresh
      ? ""
      : `<meta http-equiv="refresh" content="${Math.round(page.refresh / 1_000_000)}">\n`;
  let html = `<!DOCTYPE html>
<html><head><title>Statistics Report for HAProxy${on}</title>
<link rel="icon" href="data:,">
<meta charset="utf-8">
${refresh}<style>${PAGE_STYLE}</style></head>
<body><h1>HAProxy${version}</h1>
<h2>Statistics Report for pid ${figures.pid}${on}${description === "" ? "" : `: ${escapeHtml(description)}`}</h2>
<hr class="hr">
<h3>&gt; General process information</h3>
${generalTable(figures, page, view)}`;
  const result = view.result === undefined ? undefined : ORDER_RESULTS[view.result];
  if (result !== undefined) {
    html += `<p><div class="${result[0]}"><a class=lfsb href="${escapeHtml(link(view, {}))}" title="Remove this message">[X]</a> ${result[1]}</div>\n`;
  }
  html += view.above;
  for (const [proxy, own] of groupByProxy(rows)) html += proxyTable(source, proxy, own, page, view);
  return `${html}</body></html>\n`;
}

function groupByProxy(rows: readonly StatRow[]): Map<number, StatRow[]> {
  const groups = new Map<number, StatRow[]>();
  for (const row of rows) {
    const own = groups.get(row.proxy);
    if (own === undefined) groups.set(row.proxy, [row]);
    else own.push(row);
  }
  return groups;
}

function generalTable(figures: ProcessFigures, page: StatsPage, view: PageView): string {
  const memory = figures.memoryLimitBytes === 0 ? "unlimited" : `${figures.memoryLimitBytes} bytes`;
  const sizes: readonly (readonly [string, string])[] = [
    ["active UP", "active_up"],
    ["backup UP", "backup_up"],
    ["active UP, going down", "active_going_down"],
    ["backup UP, going down", "backup_going_down"],
    ["active DOWN, going up", "active_going_up"],
    ["backup DOWN, going up", "backup_going_up"],
    ["active or backup DOWN", "active_down"],
    ["not checked", "active_no_check"],
    ["DOWN for maintenance (MAINT)", "maintain"],
    ["SOFT STOPPED for maintenance", "active_draining"],
  ];
  let legend = "";
  for (let i = 0; i < sizes.length; i += 2) {
    const cells = sizes
      .slice(i, i + 2)
      .map(([text, name]) => `<td class="${name}">&nbsp;</td><td class="noborder">${text}</td>`);
    legend += `<tr>${cells.join("")}</tr>\n`;
  }
  const options = [
    `<form method="GET" action="${escapeHtml(view.uri)}">Scope : <input value="${escapeHtml(view.part)}" name="scope" size="8" maxlength="20"></form>`,
    view.up
      ? `<a href="${escapeHtml(link(view, { up: false }))}">Show all servers</a>`
      : `<a href="${escapeHtml(link(view, { up: true }))}">Hide 'DOWN' servers</a>`,
    ...(page.refresh === undefined
      ? []
      : view.noRefresh
        ? [`<a href="${escapeHtml(link(view, { noRefresh: false }))}">Enable refresh</a>`]
        : [`<a href="${escapeHtml(link(view, { noRefresh: true }))}">Disable refresh</a>`]),
    `<a href="${escapeHtml(link(view, {}))}">Refresh now</a>`,
    `<a href="${escapeHtml(link(view, { format: "csv" }))}">CSV export</a>`,
    `<a href="${escapeHtml(link(view, { format: "json" }))}">JSON export</a> (<a href="${escapeHtml(`${view.uri};json-schema`)}">schema</a>)`,
  ];
  return `<table border=0><tr><td align="left" nowrap width="1%">
<p><b>pid = </b> ${figures.pid} (process #1, nbproc = 1, nbthread = ${figures.threads})<br>
<b>uptime = </b> ${uptimeText(figures.uptimeSeconds)}<br>
<b>system limits:</b> memmax = ${memory}; ulimit-n = ${figures.descriptorLimit}<br>
<b>maxsock = </b> ${figures.descriptorLimit}; <b>maxconn = </b> ${figures.maxconn}; <b>maxpipes = </b> ${figures.maxPipes}<br>
current conns = ${figures.connections}; current pipes = 0/0; conn rate = ${figures.connectionRate}/sec; bit rate = ${((figures.bytesOutRate * 8) / 1_000_000).toFixed(3)} Mbps<br>
Running tasks: 0/${figures.tasks}; idle = ${figures.idlePercent} %<br>
</td><td align="center" nowrap><table class="lgd">
${legend}</table>
Note: "NOLB"/"DRAIN" = UP with load-balancing disabled.</td>
<td align="left" valign="top" nowrap width="1%"><b>Display option:</b><ul>${options.map((option) => `<li>${option}</li>\n`).join("")}</ul></td></tr></table>
`;
}

/** The page's address with its words as they are, changed as told. */
function link(
  view: PageView,
  change: { readonly up?: boolean; readonly noRefresh?: boolean; readonly format?: "csv" | "json" },
): string {
  const up = change.up ?? view.up;
  const noRefresh = (change.noRefresh ?? view.noRefresh) && change.format === undefined;
  const format = change.format === undefined ? "" : `;${change.format};norefresh`;
  const scope = view.part === "" ? "" : `?scope=${encodeURIComponent(view.part)}`;
  return `${view.uri}${up ? ";up" : ""}${noRefresh ? ";norefresh" : ""}${format}${scope}`;
}

function proxyTable(
  source: StatsSource,
  proxy: number,
  rows: readonly StatRow[],
  page: StatsPage,
  view: PageView,
): string {
  const state = source.proxies[proxy];
  const section = state?.backend ?? state?.frontend;
  if (state === undefined || section === undefined) return "";
  const name = escapeHtml(section.name);
  const isServed = rows.some(({ object }) => object === "server");
  const hasForm = view.isAdmin && isServed;
  const rowView: RowView = {
    hasBoxes: view.isAdmin,
    showsLegends: page.showLegends,
    showsModules: page.showModules,
    legendOf: (row) => legendOf(source, row),
  };
  const capability =
    state.frontend === undefined ? "backend" : state.backend === undefined ? "frontend" : "proxy";
  const nameLink = `<a name="${name}"></a><a class=px href="#${name}">${name}</a>`;
  const shown = page.showLegends
    ? `<u>${nameLink}<div class=tips>cap: ${capability}, mode: ${section.mode}, id: ${section.id}</div></u>`
    : nameLink;
  const description = section.description === undefined ? "" : escapeHtml(section.description);
  let html = hasForm ? `<form method="post" action="${escapeHtml(link(view, {}))}">` : "";
  html += `<table class="tbl" width="100%">
<tr class="titre"><th class="pxname" width="10%">${shown}</th><th class="${description === "" ? "empty" : "desc"}" width="90%">${description}</th></tr>
</table>
<table class="tbl" width="100%">
${headingRows(rowView, section.name)}${rows.map((row) => pageRow(row, rowView)).join("")}</table>`;
  if (hasForm) {
    html += `Choose the action to perform on the checked servers : <select name=action>${ORDERS.map(([value, text]) => `<option value="${value}">${text}</option>`).join("")}</select><input type="hidden" name="b" value="#${section.id}">&nbsp;<input type="submit" value="Apply"></form>`;
  }
  return `${html}<p>\n`;
}

const ORDERS: readonly (readonly [value: string, text: string])[] = [
  ["", ""],
  ["ready", "Set state to READY"],
  ["drain", "Set state to DRAIN"],
  ["maint", "Set state to MAINT"],
  ["dhlth", "Health: disable checks"],
  ["ehlth", "Health: enable checks"],
  ["hrunn", "Health: force UP"],
  ["hnolb", "Health: force NOLB"],
  ["hdown", "Health: force DOWN"],
  ["dagent", "Agent: disable checks"],
  ["eagent", "Agent: enable checks"],
  ["arunn", "Agent: force UP"],
  ["adown", "Agent: force DOWN"],
  ["shutdown", "Kill Sessions"],
];

/** `show-legends`: what the tool tip of a row's name says. */
function legendOf(source: StatsSource, row: StatRow): string {
  const state = source.proxies[row.proxy];
  switch (row.object) {
    case "backend":
      return `balancing: ${row.values.algo ?? ""}`;
    case "listener":
      return `${row.values.addr ?? ""}, id: ${row.id}`;
    case "server": {
      const number = state?.backend?.servers.findIndex(({ id }) => id === row.id) ?? -1;
      if (number < 0) return "";
      const { address } = source.lives.server(row.proxy, number);
      const cookie = row.values.cookie === undefined ? "" : `, cookie: '${row.values.cookie}'`;
      if (address.kind !== "inet" || address.address === undefined) return `id: ${row.id}${cookie}`;
      const family = address.address.family === 4 ? "IPv4" : "IPv6";
      return `${family}: ${formatAddress(address.address)}:${address.port}, id: ${row.id}${cookie}`;
    }
    default:
      return "";
  }
}
