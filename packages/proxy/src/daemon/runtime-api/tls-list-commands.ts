import { parseCrtListLine } from "../../core/tls/crt-list.ts";
import type { ListEntry, StoredList } from "../tls/certificate-store.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

/** `show`, `add` and `del ssl crt-list`. Answers as observed: haproxy 2.6.12. */
export const tlsListCommands: readonly Command[] = [
  {
    words: ["show", "ssl", "crt-list"],
    usage: "show ssl crt-list [-n] [<list>]",
    doc: "show the list of crt-lists or the content of a crt-list file <list>",
    level: "operator",
    run: (args, { process: { certificates } }) => {
      const numbered = args[0] === "-n";
      const name = numbered ? args[1] : args[0];
      if (name === undefined) {
        if (numbered) return refuse("'-n' option requires a filename\n");
        return [...certificates.lists.keys()]
          .sort()
          .map((list) => `${list}\n`)
          .join("");
      }
      const list = certificates.lists.get(name);
      if (list === undefined) return refuse("didn't find the specified filename\n");
      return `# ${name}\n${list.entries.map((entry) => entryText(entry, numbered)).join("")}`;
    },
  },
  {
    words: ["add", "ssl", "crt-list"],
    usage: "add ssl crt-list <list> <cert> [opts]*",
    doc: "add to crt-list file <list> a line <cert> or a payload",
    level: "admin",
    run: ([name, certificate], context) => {
      const row = certificate ?? context.payload?.split("\n", 1)[0];
      return name === undefined || row === undefined
        ? refuse("'add ssl crtlist' expects a filename and a certificate name\n")
        : add(name, row, context);
    },
  },
  {
    words: ["del", "ssl", "crt-list"],
    usage: "del ssl crt-list <list> <cert[:line]>",
    doc: "delete a line <cert> from crt-list file <list>",
    level: "admin",
    run: ([name, certificate], context) =>
      name === undefined || certificate === undefined
        ? refuse("'del ssl crtlist' expects a filename and a certificate name\n")
        : remove(name, certificate, context),
  },
];

function entryText({ line, certificate, words, filters }: ListEntry, numbered: boolean): string {
  const settings = words === undefined || words.length === 0 ? "" : ` [${words.join(" ")}]`;
  const names = filters.map((filter) => ` ${filter}`).join("");
  return `${certificate}${numbered ? `:${line}` : ""}${settings}${names}\n`;
}

function add(name: string, row: string, { process }: CommandContext): string | Refusal {
  const store = process.certificates;
  const cannot = (why: string) => refuse(`Can't edit the crt-list: ${why}\n`);
  const list = store.lists.get(name);
  if (list === undefined) return cannot(`crt-list '${name}' does not exist!`);
  // At run time a file that is not loaded cannot be: the process has given up the right to read it.
  const read = parseCrtListLine(row, 1, "CLI", {
    authority: (word, path) => {
      const known = [path, `${store.config.global.caBase ?? ""}/${path}`].find((one) =>
        store.authorities.has(one),
      );
      return known === undefined
        ? { ok: false, error: `'${word}' : unable to load ${path}` }
        : { ok: true, value: known };
    },
  });
  if (!read.ok) return cannot(read.error);
  if (read.value === undefined) return cannot("no certificate in the line!");
  const { line } = read.value;
  const certificate = [line.certificate, store.certificatePath(line.certificate)].find((one) =>
    store.certificates.has(one),
  );
  if (certificate === undefined) {
    return cannot(`certificate '${line.certificate}' does not exist!`);
  }
  if (store.certificates.get(certificate)?.material === undefined) {
    return cannot(`certificate '${certificate}' is empty!`);
  }
  const entry: ListEntry = {
    ...line,
    certificate,
    line: list.next === 0 ? 0 : list.next,
  };
  const binds = store.binds.filter((bind) => bind.lists.has(list));
  const title = `Inserting certificate '${certificate}' in crt-list '${name}'`;
  for (const [i, bind] of binds.entries()) {
    const added = bind.add(entry, entry, bind.lines.length === 0);
    if (added.ok) continue;
    for (const before of binds.slice(0, i)) before.remove(entry);
    return refuse(`${title}.\n${added.error}\nFailed!\n`);
  }
  for (const bind of binds) bind.apply();
  list.entries.push(entry);
  if (list.next > 0) list.next++;
  return `${title}${".".repeat(binds.length)}\nSuccess!\n`;
}

function remove(name: string, given: string, { process }: CommandContext): string | Refusal {
  const store = process.certificates;
  const cannot = (why: string) => refuse(`Can't delete the entry: ${why}\n`);
  const list = store.lists.get(name);
  if (list === undefined) return cannot(`crt-list '${name}' does not exist!`);
  const colon = given.lastIndexOf(":");
  const numbered = !store.certificates.has(given) && colon > 0;
  const certificate = numbered ? given.slice(0, colon) : given;
  const digits = given.slice(colon + 1);
  if (numbered && !/^\d+$/.test(digits)) {
    return cannot(`wrong line number after colons in '${given}'!`);
  }
  if (!store.certificates.has(certificate)) {
    return cannot(`certificate '${certificate}' does not exist!`);
  }
  const entries = entriesOf(list, certificate);
  const [first, second] = entries;
  if (first === undefined) {
    return cannot(`certificate '${certificate}' can't be found in the crt-list!`);
  }
  const lines = entries.map(({ line }) => line).join(", ");
  if (!numbered && second !== undefined) {
    return cannot(
      `found the certificate '${certificate}' in several entries, please specify a line number preceded by colons (${lines})!`,
    );
  }
  const entry = numbered ? entries.find(({ line }) => line === Number(digits)) : first;
  if (entry === undefined)
    return cannot(
      `found a certificate '${certificate}' but the line number is incorrect, please specify a correct line number preceded by colons (${lines})!`,
    );
  const defaults = store.binds.filter((bind) =>
    bind.lines.some((line) => line.entry === entry && line.isDefault),
  );
  if (defaults.length > 0) {
    const places = defaults.map(({ at }) => `\t- ${at.file}:${at.line}\n`).join("");
    return cannot(
      `certificate '${certificate}' cannot be deleted, it is used as default certificate by the following frontends:\n${places}`,
    );
  }
  for (const bind of store.binds) bind.remove(entry);
  list.entries = list.entries.filter((one) => one !== entry);
  return `Entry '${certificate}' deleted in crtlist '${name}'!\n`;
}

function entriesOf({ entries }: StoredList, certificate: string): ListEntry[] {
  return entries.filter((entry) => entry.certificate === certificate);
}
