import { type GlobalKeyword, keyword } from "./global-keyword.ts";
import { resolvePath } from "./reading.ts";

/** Environment, default paths, header case and process variables. HAProxy configuration manual §3.1. */
export const globalEnvironmentKeywords: readonly GlobalKeyword[] = [
  keyword(
    "setenv",
    "setenv <name> <value>",
    { doc: "Sets a variable, for the lines below and for programs we start." },
    (line, r) => {
      if (line.text(1) === "" || line.words[2] === undefined) {
        line.alertTight("'setenv' expects a name and a value.");
      } else r.environment.set(line.text(1), line.text(2));
    },
  ),
  keyword(
    "presetenv",
    "presetenv <name> <value>",
    { doc: "As setenv, unless the variable exists." },
    (line, r) => {
      if (line.text(1) === "" || line.words[2] === undefined) {
        line.alertTight("'presetenv' expects a name and a value.");
      } else if (!r.environment.has(line.text(1))) r.environment.set(line.text(1), line.text(2));
    },
  ),
  keyword("unsetenv", "unsetenv [<name>…]", { doc: "Removes variables." }, (line, r) => {
    for (const { text } of line.from(1)) r.environment.delete(text);
  }),
  keyword(
    "resetenv",
    "resetenv [<name>…]",
    { doc: "Removes all variables but those named." },
    (line, r) => {
      const kept = new Set(line.from(1).map(({ text }) => text));
      for (const name of [...r.environment.keys()]) {
        if (!kept.has(name) && !name.startsWith(".")) r.environment.delete(name);
      }
    },
  ),
  keyword(
    "default-path",
    "default-path { current | config | parent | origin <path> }",
    { doc: "What paths without a leading slash are relative to.", default: "current" },
    (line, r) => {
      const mode = line.text(1);
      const { defaultPath } = r.draft.global;
      if (mode === "current" || mode === "config" || mode === "parent") {
        if (line.atMost(1)) defaultPath.mode = mode;
      } else if (mode === "origin") {
        if (line.text(2) === "")
          line.alert("'default-path' 'origin' expects a directory as an argument.");
        else {
          defaultPath.mode = mode;
          defaultPath.origin = line.text(2);
        }
      } else {
        line.alert(
          `'default-path' only supports 'current', 'config', 'parent', and 'origin', but got '${mode}'.`,
        );
      }
    },
  ),
  keyword(
    "h1-case-adjust",
    "h1-case-adjust <from> <to>",
    { doc: "How a header name is spelt towards HTTP/1 ends that need it." },
    (line, r) => {
      const [from, to] = [line.text(1), line.text(2)];
      if (from === "" || to === "")
        line.alert("'h1-case-adjust' expects <from> and <to> as argument.");
      else if (from.toLowerCase() !== from || to.toLowerCase() !== from) {
        line.alert(
          `h1-case-adjust: '${from}' and '${to}' must be the same name, the first in lower case.`,
        );
      } else r.draft.global.headerCase.set(from, to);
    },
  ),
  keyword(
    "h1-case-adjust-file",
    "h1-case-adjust-file <file>",
    { doc: "A file of lines `from to`." },
    (line, r) => {
      if (!line.atMost(1)) return;
      if (line.text(1) === "") {
        line.alert("'h1-case-adjust-file' expects <file> as argument.");
        return;
      }
      const file = r.host.readFile(resolvePath(r, line.text(1), line.at));
      if (!file.ok) {
        line.alert(`h1-case-adjust-file '${line.text(1)}': failed to open file (${file.error}).`);
        return;
      }
      const text = Array.from(file.value, (byte) => String.fromCharCode(byte)).join("");
      for (const row of text.split("\n")) {
        const [from, to] = row.replace(/#.*/, "").trim().split(/\s+/);
        if (from !== undefined && from !== "" && to !== undefined) {
          r.draft.global.headerCase.set(from.toLowerCase(), to);
        }
      }
    },
  ),
  keyword(
    "set-var",
    "set-var <proc.name> <expr>",
    { doc: "Sets a process variable at start." },
    (line, r) => readVariable(line, r, false),
  ),
  keyword(
    "set-var-fmt",
    "set-var-fmt <proc.name> <format>",
    { doc: "The same with a log-format string." },
    (line, r) => readVariable(line, r, true),
  ),
  ...(["http-err-codes", "http-fail-codes"] as const).map((name) =>
    keyword(
      name,
      `${name} [+-]<range>[,…]…`,
      {
        doc: "Which statuses count as errors or failures in stick tables.",
        status: "later" as const,
      },
      (line, r) => {
        r.draft.later.push({ at: line.at, feature: `the global keyword '${name}'` });
      },
    ),
  ),
];

type Read = GlobalKeyword["read"];

function readVariable(line: Parameters<Read>[0], r: Parameters<Read>[1], format: boolean): void {
  const name = line.text(1);
  const word = format ? "set-var-fmt" : "set-var";
  if (name === "" || line.text(2) === "") {
    line.alert(
      `'${word}' requires a process-wide variable name ('proc.<name>') and a ${format ? "log-format string" : "sample expression"}.`,
    );
  } else if (!name.startsWith("proc.")) {
    line.alert(
      `'${word}': cannot set variable '${name}', only scope 'proc' is permitted in the global section.`,
    );
  } else {
    r.draft.global.processVariables.push({
      at: line.at,
      name,
      expression: line
        .from(2)
        .map(({ text }) => text)
        .join(" "),
      format,
    });
  }
}
