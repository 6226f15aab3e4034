import type { VrrpInstanceView, VrrpView } from "@ha/base/pair-line";
import { momentOf, twoDigits } from "../log/log-date.ts";
import { escapeHtml } from "./page-row.ts";

/** Milliseconds after which what the VRRP daemon has told is called old: it tells every second. */
const STALE = 5_000;

/**
 * The VRRP daemon beside us, above HAProxy's tables: what state this host is in, what it knows of its peers, and how it
 * came to be so. Nothing when there is none. Every text is another's, and escaped.
 *
 * @param now Milliseconds since 1970.
 */
export function vrrpTable(view: VrrpView | undefined, now: number): string {
  if (view === undefined) return "";
  const isOld = now - view.at > STALE;
  const old = isOld
    ? ` <span class="bad">(as of ${Math.round((now - view.at) / 1000)} s ago: the VRRP daemon is silent)</span>`
    : "";
  const rows = view.instances
    .map((instance) => instanceRow(instance, isOld ? view.at : now))
    .join("");
  return `<h3>&gt; High availability: VRRP on ${escapeHtml(view.host)}${old}</h3>
<table class="tbl vrrp" style="margin:6px 0"><tr class="titre"><th>Instance</th><th>State</th><th>Since</th><th>Priority</th><th>Addresses</th><th>Peers</th><th>Problems</th></tr>
${rows}</table>
${transitionsTable(view)}`;
}

function instanceRow(instance: VrrpInstanceView, now: number): string {
  const { name, state, since, priority, addresses, peers, problems } = instance;
  const shade = state.startsWith("MASTER")
    ? "active_up"
    : state.startsWith("BACKUP")
      ? "backup_up"
      : "active_down";
  const peerText = peers
    .map(({ address, words, good }) => {
      const text = `${escapeHtml(address)}: ${escapeHtml(words)}`;
      return good ? text : `<span class="bad">${text}</span>`;
    })
    .join("<br>");
  const cells = [
    `<td class=ac>${escapeHtml(name)}</td>`,
    `<td class=ac><b>${escapeHtml(state)}</b></td>`,
    `<td>${ageText(now - since)}</td>`,
    `<td>${priority}</td>`,
    `<td class=ac>${addresses.map(escapeHtml).join("<br>")}</td>`,
    `<td class=ac>${peerText}</td>`,
    `<td class=ac>${problems.map((text) => `<span class="bad">${escapeHtml(text)}</span>`).join("<br>")}</td>`,
  ];
  return `<tr class="${shade}">${cells.join("")}</tr>\n`;
}

function transitionsTable({ transitions }: VrrpView): string {
  if (transitions.length === 0) return "<p>No change of state since the VRRP daemon started.\n";
  const rows = transitions
    .map(
      ({ at, instance, from, to, because }) =>
        `<tr class="backend"><td>${momentText(at)}</td><td class=ac>${escapeHtml(instance)}</td><td class=ac>${escapeHtml(from)} &rarr; ${escapeHtml(to)}</td><td class=ac>${escapeHtml(because)}</td></tr>\n`,
    )
    .join("");
  return `<table class="tbl vrrp" style="margin:6px 0"><tr class="titre"><th>Last changes (UTC)</th><th>Instance</th><th>State</th><th>Because</th></tr>
${rows}</table>
`;
}

function ageText(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  const hours = Math.floor(seconds / 3_600);
  return hours < 48
    ? `${hours}h${Math.floor((seconds % 3_600) / 60)}m`
    : `${Math.floor(hours / 24)}d${hours % 24}h`;
}

/** `2026-11-25 03:12:07.412` */
function momentText(milliseconds: number): string {
  const at = momentOf(milliseconds / 1000);
  const day = `${at.year}-${twoDigits(at.month + 1)}-${twoDigits(at.day)}`;
  const fraction = String(milliseconds % 1000).padStart(3, "0");
  return `${day} ${twoDigits(at.hour)}:${twoDigits(at.minute)}:${twoDigits(at.second)}.${fraction}`;
}
