import { MODULE_COLUMNS } from "./column.ts";
import type { RowValues, StatRow } from "./row.ts";

/** How a page shows rows. */
export interface RowView {
  /** A column of boxes, to order something of servers. */
  readonly hasBoxes: boolean;
  readonly showsLegends: boolean;
  readonly showsModules: boolean;
  /** Needed for tool tips of servers; by row. */
  readonly legendOf: (row: StatRow) => string;
}

/** The two lines of headings over a proxy's table. */
export function headingRows({ hasBoxes, showsModules }: RowView, name: string): string {
  const groups: readonly (readonly [string, number])[] = [
    ["Queue", 3],
    ["Session rate", 3],
    ["Sessions", 6],
    ["Bytes", 2],
    ["Denied", 2],
    ["Errors", 3],
    ["Warnings", 2],
    ["Server", 9],
    ...(showsModules ? [["Extra modules", MODULES.length] as const] : []),
  ];
  const columns =
    "Cur Max Limit Cur Max Limit Cur Max Limit Total LbTot Last In Out Req Resp Req Conn Resp Retr Redis Status LastChk Wght Act Bck Chk Dwn Dwntme Thrtle".split(
      " ",
    );
  const box = hasBoxes ? `<th rowspan=2 width=1 title="${escapeHtml(name)}"></th>` : "";
  return (
    `<tr class="titre">${box}<th rowspan=2></th>${groups.map(([title, span]) => `<th colspan=${span}>${title}</th>`).join("")}</tr>\n` +
    `<tr class="titre">${[...columns, ...(showsModules ? MODULES : [])].map((title) => `<th>${title}</th>`).join("")}</tr>\n`
  );
}

/** One row of a proxy's table: cells in HAProxy's order, which scrapers go by. */
export function pageRow(row: StatRow, view: RowView): string {
  const cells =
    row.object === "frontend" || row.object === "listener" ? clientSide(row) : serverSide(row);
  const { values } = row;
  const box = !view.hasBoxes
    ? ""
    : row.object === "server"
      ? `<td><input class="${escapeHtml(String(values.pxname))}-checkbox" type="checkbox" name="s" value="${escapeHtml(String(values.svname))}"></td>`
      : "<td></td>";
  const modules = view.showsModules
    ? MODULES.map((module) => moduleCell(module, values)).join("")
    : "";
  return `<tr class="${rowClass(row)}">${box}${nameCell(row, view)}${cells}${modules}</tr>\n`;
}

const MODULES = ["ssl", "h2", "h1"];

function nameCell(row: StatRow, { showsLegends, legendOf }: RowView): string {
  const { pxname, svname } = row.values;
  const name =
    row.object === "frontend" ? "Frontend" : row.object === "backend" ? "Backend" : String(svname);
  const anchor = escapeHtml(`${pxname}/${row.object === "listener" ? "+" : ""}${name}`);
  const link = `<a name="${anchor}"></a><a class=lfsb href="#${anchor}">${escapeHtml(name)}</a>`;
  const legend = showsLegends ? legendOf(row) : "";
  return `<td class=ac>${legend === "" ? link : tip(link, escapeHtml(legend))}</td>`;
}

function clientSide({ object, values }: StatRow): string {
  const isFrontend = object === "frontend";
  const rates = isFrontend
    ? cell(
        tip(
          group(values.rate),
          details([
            ["Current connection rate:", `${group(values.conn_rate)}/s`],
            ["Current session rate:", `${group(values.rate)}/s`],
            ...http(values, [["Current request rate:", `${group(values.req_rate)}/s`]]),
          ]),
        ),
      ) +
      cell(
        tip(
          group(values.rate_max),
          details([
            ["Max connection rate:", `${group(values.conn_rate_max)}/s`],
            ["Max session rate:", `${group(values.rate_max)}/s`],
            ...http(values, [["Max request rate:", `${group(values.req_rate_max)}/s`]]),
          ]),
        ),
      ) +
      cell(values.rate_lim === 0 ? "-" : group(values.rate_lim))
    : "<td colspan=3></td>";
  const total = isFrontend
    ? tip(
        group(values.stot),
        details([
          ["Cum. connections:", group(values.conn_tot)],
          ["Cum. sessions:", group(values.stot)],
          ...http(values, [["Cum. HTTP requests:", group(values.req_tot)], ...responses(values)]),
          ...http(values, [["Intercepted requests:", group(values.intercepted)]]),
          ["Failed hdr rewrites:", group(values.wrew)],
          ["Internal errors:", group(values.eint)],
        ]),
      )
    : group(values.stot);
  return (
    "<td colspan=3></td>" +
    rates +
    cell(group(values.scur)) +
    cell(group(values.smax)) +
    cell(values.slim === 0 ? "-" : group(values.slim)) +
    cell(total) +
    "<td></td><td></td>" +
    cell(group(values.bin)) +
    cell(group(values.bout)) +
    cell(group(values.dreq)) +
    cell(group(values.dresp)) +
    cell(group(values.ereq)) +
    "<td></td><td></td><td></td><td></td>" +
    `<td class=ac>${escapeHtml(String(values.status))}</td>` +
    "<td class=ac colspan=8></td>"
  );
}

function serverSide(row: StatRow): string {
  const { object, values } = row;
  const isServer = object === "server";
  const current = isServer
    ? tip(
        group(values.scur),
        details([
          ["Current active connections:", group(values.scur)],
          ["Current used connections:", group(values.used_conn_cur)],
          ["Current idle connections:", group(values.srv_icur)],
          ["- unsafe:", group(values.idle_conn_cur)],
          ["- safe:", group(values.safe_conn_cur)],
          ["Estimated need of connections:", group(values.need_conn_est)],
          ["Active connections limit:", values.slim === undefined ? "-" : group(values.slim)],
          ["Idle connections limit:", values.src_ilim === undefined ? "-" : group(values.src_ilim)],
        ]),
      )
    : group(values.scur);
  const total = tip(
    group(values.stot),
    details([
      ["Cum. sessions:", group(values.stot)],
      ["New connections:", group(values.connect)],
      ["Reused connections:", group(values.reuse)],
      ...http(values, [["Cum. HTTP requests:", group(values.req_tot)], ...responses(values)]),
      ["Failed hdr rewrites:", group(values.wrew)],
      ["Internal errors:", group(values.eint)],
      ["Max / Avg over last 1024 success. conn.", ""],
      ["- Queue time:", `${group(values.qtime_max)} / ${group(values.qtime)} ms`],
      ["- Connect time:", `${group(values.ctime_max)} / ${group(values.ctime)} ms`],
      ...http(values, [
        ["- Responses time:", `${group(values.rtime_max)} / ${group(values.rtime)} ms`],
      ]),
      ["- Total time:", `${group(values.ttime_max)} / ${group(values.ttime)} ms`],
    ]),
  );
  const aborts = `Connection resets during transfers: ${values.cli_abrt ?? 0} client, ${values.srv_abrt ?? 0} server`;
  return (
    cell(group(values.qcur)) +
    cell(group(values.qmax)) +
    cell(isServer ? (values.qlimit === undefined ? "-" : group(values.qlimit)) : "") +
    cell(group(values.rate)) +
    cell(group(values.rate_max)) +
    "<td></td>" +
    cell(current) +
    cell(group(values.smax)) +
    cell(values.slim === undefined ? "-" : group(values.slim)) +
    cell(total) +
    cell(group(values.lbtot)) +
    cell(
      values.lastsess === undefined || values.lastsess === -1
        ? "?"
        : ageText(Number(values.lastsess)),
    ) +
    cell(group(values.bin)) +
    cell(group(values.bout)) +
    cell(isServer ? "" : group(values.dreq)) +
    cell(group(values.dresp)) +
    "<td></td>" +
    cell(group(values.econ)) +
    cell(tip(group(values.eresp), aborts)) +
    cell(group(values.wretr)) +
    cell(group(values.wredis)) +
    stateCells(row)
  );
}

function stateCells({ object, values }: StatRow): string {
  const status = String(values.status);
  if (object === "backend") {
    const shown = status.startsWith("DOWN")
      ? `<span class=bad>${escapeHtml(status)}</span>`
      : escapeHtml(status);
    return (
      `<td class=ac>${ageText(Number(values.lastchg))} ${shown}</td><td class=ac>&nbsp;</td>` +
      `<td class=ac>${group(values.weight)}/${group(values.uweight)}</td>` +
      `<td class=ac>${group(values.act)}</td><td class=ac>${group(values.bck)}</td><td class=ac>&nbsp;</td>` +
      cell(group(values.chkdown)) +
      cell(values.downtime === undefined ? "" : ageText(Number(values.downtime))) +
      "<td></td>"
    );
  }
  const state =
    status === "no check"
      ? "<i>no check</i>"
      : `${ageText(Number(values.lastchg))} ${escapeHtml(status)}`;
  const checked = values.chkfail !== undefined;
  return (
    `<td class=ac>${state}</td>${checkCell(values)}` +
    `<td class=ac>${group(values.weight)}/${group(values.uweight)}</td>` +
    `<td class=ac>${values.act === 1 ? "Y" : "-"}</td><td class=ac>${values.bck === 1 ? "Y" : "-"}</td>` +
    (checked
      ? cell(tip(group(values.chkfail), "Failed Health Checks")) +
        cell(group(values.chkdown)) +
        cell(ageText(Number(values.downtime)))
      : values.tracked === undefined
        ? "<td colspan=3></td>"
        : `<td class=ac colspan=3><a class=lfsb href="#${escapeHtml(String(values.tracked))}">via ${escapeHtml(String(values.tracked))}</a></td>`) +
    `<td class=ac>${values.throttle === undefined ? "-" : `${values.throttle} %`}</td>`
  );
}

function checkCell(values: RowValues): string {
  const check = (
    status: number | string | undefined,
    code: number | string | undefined,
    duration: number | string | undefined,
    text: string,
  ) => {
    const shown = `${status}${code === undefined ? "" : `/${code}`}${duration === undefined ? "" : ` in ${duration}ms`}`;
    return tip(escapeHtml(shown), escapeHtml(text));
  };
  const described = (words: number | string | undefined, info: number | string | undefined) =>
    `${words ?? ""}${info === undefined || info === "" ? "" : `: ${info}`}`;
  const parts: string[] = [];
  if (values.agent_status !== undefined) {
    parts.push(
      check(
        values.agent_status,
        values.agent_code,
        values.agent_duration,
        described(values.agent_desc, values.last_agt),
      ),
    );
  }
  if (values.check_status !== undefined) {
    parts.push(
      check(
        values.check_status,
        values.check_code,
        values.check_duration,
        described(values.check_desc, values.last_chk),
      ),
    );
  }
  return parts.length === 0 ? "<td></td>" : `<td class=ac>${parts.join(" ")}</td>`;
}

function moduleCell(module: string, values: RowValues): string {
  const own = MODULE_COLUMNS.filter(({ name }) => name.startsWith(`${module}_`));
  const known = own.filter(({ name }) => values[name] !== undefined);
  if (known.length === 0) return "<td></td>";
  return cell(tip(module, details(known.map(({ name, doc }) => [doc, group(values[name])]))));
}

/** The class of a row: what colours it. */
function rowClass({ object, values }: StatRow): string {
  if (object === "frontend" || object === "backend") return object;
  if (object === "listener") return "socket";
  const status = String(values.status);
  if (status.startsWith("MAINT")) return "maintain";
  const prefix = values.bck === 1 ? "backup" : "active";
  if (status === "no check") return `${prefix}_no_check`;
  if (status.startsWith("DRAIN")) return `${prefix}_draining`;
  if (status.startsWith("NOLB")) return `${prefix}_nolb`;
  const isMoving = /\d+\/\d+/.test(status);
  if (status.startsWith("DOWN")) return isMoving ? `${prefix}_going_up` : `${prefix}_down`;
  return isMoving ? `${prefix}_going_down` : `${prefix}_up`;
}

function responses(values: RowValues): [string, string][] {
  return (["1xx", "2xx", "3xx", "4xx", "5xx", "other"] as const).map((code) => [
    code === "other" ? "- other responses:" : `- HTTP ${code} responses:`,
    group(values[`hrsp_${code}`]),
  ]);
}

function http(values: RowValues, lines: [string, string][]): [string, string][] {
  return values.mode === "http" ? lines : [];
}

function cell(content: string): string {
  return `<td>${content}</td>`;
}

function tip(shown: string, more: string): string {
  return `<u>${shown}<div class=tips>${more}</div></u>`;
}

function details(lines: readonly (readonly [string, string])[]): string {
  return `<table class=det>${lines.map(([name, value]) => `<tr><th>${name}</th><td>${value}</td></tr>`).join("")}</table>`;
}

/** Digits in groups of three, as HAProxy spaces them: the last digit of each group but the lowest in a span. */
export function group(value: number | string | undefined): string {
  const text = String(value ?? "");
  if (!/^\d{4,}$/.test(text)) return escapeHtml(text);
  let shown = "";
  for (let i = 0; i < text.length; i++) {
    const left = text.length - 1 - i;
    shown += left > 0 && left % 3 === 0 ? `<span class="rls">${text[i]}</span>` : text[i];
  }
  return shown;
}

/** `5s`, `1m5s`, `2h3m`, `1d4h`. */
export function ageText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor((whole % 86_400) / 3600),
    Math.floor((whole % 3600) / 60),
  ];
  if (days > 0) return `${days}d${hours}h`;
  if (hours > 0) return `${hours}h${minutes}m`;
  if (minutes > 0) return `${minutes}m${whole % 60}s`;
  return `${whole}s`;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
