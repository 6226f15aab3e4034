import type { Line } from "./line.ts";
import { keyword, type ProxyKeyword } from "./proxy-keyword.ts";
import type { Reading } from "./reading.ts";
import { resolvePath } from "./reading.ts";
import type { ErrorPage } from "./section-model.ts";
import { parseWhole } from "./values.ts";

/** Statuses that we answer ourselves and that may have a page. HAProxy configuration manual §4.2, errorfile. */
export const ERROR_STATUSES = [
  200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 421, 422, 425, 429, 431, 500, 501, 502,
  503, 504,
];

/** Pages for errors. HAProxy configuration manual §4.2. */
export const errorKeywords: readonly ProxyKeyword[] = [
  keyword(
    "errorfile",
    "errorfile <status> <file>",
    { doc: "A file with a whole answer for a status." },
    (line, proxy, reading) => {
      const page = readErrorFile(line, reading, "errorfile :", "\n");
      if (page !== undefined) proxy.errorPages.set(page.status, page.page);
    },
  ),
  ...(["errorloc", "errorloc302", "errorloc303"] as const).map((name) =>
    keyword(
      name,
      `${name} <status> <url>`,
      { doc: "A redirect in place of an error." },
      (line, proxy) => {
        if (line.text(1) === "" || line.text(2) === "") {
          line.alert(`${name} : expects <status_code> and <url> as arguments.\n`);
          return;
        }
        const status = readStatus(line, 1, `${name} :`);
        if (status === undefined) return;
        proxy.errorPages.set(status, {
          kind: "redirect",
          at: line.at,
          status: name === "errorloc303" ? 303 : 302,
          location: line.text(2),
        });
      },
    ),
  ),
  keyword(
    "errorfiles",
    "errorfiles <section> [<status>…]",
    { doc: "Pages of an http-errors section." },
    (line, proxy) => {
      if (line.text(1) === "") {
        line.alert("errorfiles : expects <name> as argument.");
        return;
      }
      const statuses: number[] = [];
      for (let i = 2; line.text(i) !== ""; i++) {
        const status = readStatus(line, i, "errorfiles :");
        if (status === undefined) return;
        statuses.push(status);
      }
      proxy.errorSections.push({ at: line.at, name: line.text(1), statuses });
    },
  ),
  keyword(
    "http-error",
    "http-error status <status> [content-type <t>] [ { default-errorfiles | errorfile <f> | errorfiles <s> | file <f> | lf-file <f> | string <s> | lf-string <f> } ] [hdr <name> <format>]…",
    { doc: "An answer of its own for a status." },
    (line, proxy, reading) => {
      if (line.text(1) === "") {
        line.alert("http-error : expects at least a <status> as arguments.\n");
        return;
      }
      const index = line.words.findIndex(({ text }) => text === "status");
      if (index === -1) {
        line.alert("http-error : expects at least a <status> as arguments.\n");
        return;
      }
      const word = line.text(index + 1);
      const status = parseWhole(word);
      if (status === undefined || !ERROR_STATUSES.includes(status)) {
        line.alert(`http-error : Unexpected status code '${word}'`);
        return;
      }
      const page = readHttpError(line, reading, status, index);
      if (page !== undefined) proxy.errorPages.set(status, page);
    },
  ),
];

function readHttpError(
  line: Line,
  reading: Reading,
  status: number,
  index: number,
): ErrorPage | undefined {
  const { at } = line;
  const rest = line.words.filter((_, i) => i > 0 && i !== index && i !== index + 1);
  const first = rest[0]?.text;
  if (rest.length === 0 || (first === "default-errorfiles" && rest.length === 1)) {
    return { kind: "default", at };
  }
  if (first === "errorfile") {
    const path = rest[1]?.text ?? "";
    const bytes = readAnswer(reading, path, at);
    if (typeof bytes === "string") return void line.alert(`http-error : ${bytes}`);
    return { kind: "file", at, path, bytes };
  }
  if (first === "errorfiles") return { kind: "section", at, name: rest[1]?.text ?? "" };
  return { kind: "reply", at, status, arguments: rest };
}

/** `errorfile <status> <file>`, in a proxy and in `http-errors`. */
export function readErrorFile(
  line: Line,
  reading: Reading,
  label: string,
  tail: string,
): { readonly status: number; readonly page: ErrorPage } | undefined {
  if (line.text(1) === "" || line.text(2) === "") {
    return void line.alert(`${label} expects <status_code> and <file> as arguments.${tail}`);
  }
  const status = readStatus(line, 1, label);
  if (status === undefined) return undefined;
  const path = line.text(2);
  const bytes = readAnswer(reading, path, line.at);
  if (typeof bytes === "string") return void line.alert(`${label} ${bytes}`);
  return { status, page: { kind: "file", at: line.at, path, bytes } };
}

function readStatus(line: Line, i: number, label: string): number | undefined {
  const status = parseWhole(line.text(i));
  if (status === undefined || !ERROR_STATUSES.includes(status)) {
    return void line.alert(`${label} status code '${line.text(i)}' not handled.`);
  }
  return status;
}

/** A file that holds a whole HTTP answer; empty ones (/dev/null) close without a word. Else what is wrong. */
export function readAnswer(reading: Reading, path: string, at: Line["at"]): Uint8Array | string {
  if (path === "/dev/null") return new Uint8Array(0);
  const file = reading.host.readFile(resolvePath(reading, path, at));
  if (!file.ok) return `error opening file '${path}'.`;
  const bytes = file.value;
  if (bytes.length === 0) return bytes;
  let head = "";
  for (let i = 0; i < Math.min(bytes.length, 65_536); i++)
    head += String.fromCharCode(bytes[i] as number);
  if (!/^HTTP\/\d\.\d \d{3}(?: [^\r\n]*)?\r?\n/.test(head)) {
    return `'${path}': unable to parse headers (error offset: 0)`;
  }
  const end = /\r?\n\r?\n/.exec(head);
  if (end === null) return `'${path}': unable to parse headers (error offset: ${bytes.length})`;
  let offset = 0;
  for (const [i, row] of head.slice(0, end.index).split("\n").entries()) {
    if (i > 0 && !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:/.test(row)) {
      return `'${path}': unable to parse headers (error offset: ${offset})`;
    }
    offset += row.length + 1;
  }
  return bytes;
}
