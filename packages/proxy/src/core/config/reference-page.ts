import { bindWords } from "./bind-words.ts";
import { globalReference } from "./global.ts";
import type { KeywordEntry, KeywordStatus } from "./keyword.ts";
import { proxyReference } from "./proxy.ts";
import { sectionKinds } from "./sections.ts";
import { serverWords } from "./server-words.ts";

const STATUS: Readonly<Record<KeywordStatus, string>> = {
  works: "",
  tuning: "*tuning*",
  ignored: "*warns*",
  later: "**later**",
  removed: "removed",
  "not served": "**not served**",
};

/** The tables of keywords by where they stand, sections of their own apart. */
export const keywordTables = {
  global: globalReference,
  proxy: proxyReference,
  bind: bindWords,
  server: serverWords,
} as const satisfies Readonly<Record<string, readonly KeywordEntry[]>>;

/** `docs/haproxy-cfg.md`: every keyword of haproxy.cfg, from the tables. */
export function haproxyReferencePage(): string {
  return `${[
    INTRODUCTION,
    ...table("global", keywordTables.global),
    ...table("defaults, frontend, backend, listen", keywordTables.proxy),
    ...table("Words of a bind line and of stats socket", keywordTables.bind),
    ...table("Words of a server line", keywordTables.server),
    "## Other sections",
    "",
    ...head(),
    ...sectionKinds.map((section) => row({ ...section, syntax: `${section.name} <name>` })),
    "",
    ...sectionKinds
      .filter(({ keywords }) => keywords.length > 0)
      .flatMap(({ name, keywords }) => table(`Keywords of ${name}`, keywords)),
    DIFFERENCES,
  ].join("\n")}`;
}

const INTRODUCTION = `# haproxy.cfg: every keyword

This page is generated from the keyword tables (\`npm run docs\`); do not edit it.

lbproxy reads the files of HAProxy, at the level of HAProxy 3.5, and with the meaning of the 2.6 manual where both
agree. Sections (§) are those of the HAProxy configuration manual. Marks:

- no mark: works as the manual says;
- *tuning*: pure tuning of HAProxy's own machinery; it is checked and has no effect here;
- *warns*: checked, and a warning that names it says that it has no effect here;
- **later**: checked by \`-c\`; a start refuses it in plain words until it works;
- **not served**: refused in plain words, by \`-c\` as well;
- removed: HAProxy itself has dropped it; the message names the successor.

A keyword on the wrong side (a backend's in a frontend) is ignored with HAProxy's warning, as there.
`;

const DIFFERENCES = `## Where \`-c\` differs from HAProxy

- Messages that name no line there (\`unable to find required default_backend\`) have it after the text here, in brackets,
  and the name that was likely meant.
- A number that is none (\`weight x\`, \`maxconn many\` in a frontend) is 0 for HAProxy, in silence; here a warning says so.
- All errors of all files are reported at once; HAProxy stops at 50, and does not look at references after other errors.
- A regular expression is judged by JavaScript's grammar after translation; one that hostile input can make run for ever
  is refused.
- \`if\` with a dangling \`or\`, \`||\` or \`!\` is an error; HAProxy takes it for true.
- A file named by \`add-acl\`, \`del-acl\`, \`set-map\` or \`del-map\` must be readable.
- Names are resolved after all lines are read, all at once, so that one slow name server costs its time once.
`;

function table(title: string, entries: readonly KeywordEntry[]): string[] {
  return [`## ${title}`, "", ...head(), ...entries.map(row), ""];
}

function head(): string[] {
  return ["| syntax | mark | default | meaning | source |", "| --- | --- | --- | --- | --- |"];
}

function row({ syntax, status, doc, source, default: fallback = "" }: KeywordEntry): string {
  const cells = [`\`${syntax}\``, STATUS[status], fallback, doc, source];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
