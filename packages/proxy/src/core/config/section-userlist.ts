import { byTable, entry, type SectionKeyword, type SectionKind, sectionName } from "./section.ts";
import type { Userlist } from "./section-model.ts";

interface Draft {
  readonly name: string;
  readonly at: Userlist["at"];
  readonly users: Map<
    string,
    { password: string | undefined; encrypted: boolean; groups: string[] }
  >;
  readonly groups: Map<string, string[]>;
}

const keywords: readonly SectionKeyword<Draft>[] = [
  entry("group", "group <name> [users <user>[,…]]", "A group.", (line, list) => {
    const name = line.text(1);
    if (name === "") {
      line.alertTight("'group' expects <name> as arguments.");
      return;
    }
    if (list.groups.has(name)) {
      line.warnTight(`ignoring duplicated group '${name}' in userlist '${list.name}'.`);
      return;
    }
    let users: string[] = [];
    for (let i = 2; line.text(i) !== ""; i += 2) {
      if (line.text(i) !== "users") {
        line.alertTight("'group' only supports 'users' option.");
        return;
      }
      users = line.text(i + 1).split(",");
    }
    list.groups.set(name, users);
  }),
  entry(
    "user",
    "user <name> { password | insecure-password } <text> [groups <group>[,…]]",
    "A user.",
    (line, list) => {
      const name = line.text(1);
      if (name === "") {
        line.alertTight("'user' expects <name> as arguments.");
        return;
      }
      if (list.users.has(name)) {
        line.warnTight(`ignoring duplicated user '${name}' in userlist '${list.name}'.`);
        return;
      }
      const user = {
        password: undefined as string | undefined,
        encrypted: false,
        groups: [] as string[],
      };
      for (let i = 2; line.text(i) !== ""; i += 2) {
        const option = line.text(i);
        if (option === "password" || option === "insecure-password") {
          user.password = line.text(i + 1);
          user.encrypted = option === "password";
        } else if (option === "groups") user.groups = line.text(i + 1).split(",");
        else {
          line.alertTight(
            "'user' only supports 'password', 'insecure-password' and 'groups' options.",
          );
          return;
        }
      }
      list.users.set(name, user);
    },
  ),
];

/** HAProxy configuration manual §3.4. */
export const userlistSection: SectionKind = {
  name: "userlist",
  doc: "Users and groups for http_auth.",
  source: "§3.4",
  status: "works",
  keywords,
  open: (line, reading) => {
    if (line.text(1) === "") {
      line.alertTight("'userlist' expects <name> as arguments.");
      return () => {};
    }
    const name = sectionName(line, "");
    if (name === undefined) return () => {};
    if (reading.draft.userlists.has(name)) {
      line.warnTight(`ignoring duplicated userlist '${name}'.`);
      return () => {};
    }
    const list: Draft = { name, at: line.at, users: new Map(), groups: new Map() };
    reading.draft.userlists.set(name, list);
    return byTable(keywords, list, reading, (l) =>
      l.alertTight(
        `unknown keyword '${l.name}' in 'users' section`,
        undefined,
        "config/unknown-keyword",
      ),
    );
  },
};
