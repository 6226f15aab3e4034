import { parseAddress } from "@ha/base";
import type { MatchMethod } from "../../core/map/pattern-index.ts";
import type { PatternEntry, PatternList } from "../../core/map/pattern-store.ts";
import { splitMapLine } from "../../core/map/pattern-store.ts";
import {
  createSample,
  IPV4,
  IPV6,
  type Sample,
  setBytes,
  setInt,
  setText,
} from "../../core/sample/sample.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";
import { applyPatternChange, type PatternChange } from "./thread-control.ts";

type Kind = "map" | "acl";

/** `show`, `get`, `add`, `set`, `del`, `clear`, `prepare` and `commit` for maps and ACLs. HAProxy management guide §9.3. */
export const patternCommands: readonly Command[] = (["acl", "map"] as const).flatMap((kind) => [
  {
    words: ["show", kind],
    usage: `show ${kind} [@<ver>] [<${kind}>]`,
    doc: `lists ${kind === "map" ? "maps" : "ACLs"}, or the entries of one`,
    level: "user" as const,
    run: (args: readonly string[], context: CommandContext) => show(kind, args, context),
  },
  {
    words: ["get", kind],
    usage: `get ${kind} <${kind}> <value>`,
    doc: `what a value matches in ${kind === "map" ? "a map" : "an ACL"}`,
    level: "user" as const,
    run: (args: readonly string[], context: CommandContext) => get(kind, args, context),
  },
  {
    words: ["add", kind],
    usage:
      kind === "map" ? "add map [@<ver>] <map> <key> <val>" : "add acl [@<ver>] <acl> <pattern>",
    doc: "adds an entry (or many, as a payload)",
    level: "operator" as const,
    run: (args: readonly string[], context: CommandContext) => add(kind, args, context),
  },
  {
    words: ["del", kind],
    usage: `del ${kind} <${kind}> [<key>|#<ref>]`,
    doc: "deletes the entries of a key",
    level: "operator" as const,
    run: (args: readonly string[], context: CommandContext) => remove(kind, args, context),
  },
  {
    words: ["clear", kind],
    usage: `clear ${kind} [@<ver>] <${kind}>`,
    doc: "deletes all entries",
    level: "operator" as const,
    run: (args: readonly string[], context: CommandContext) => clear(kind, args, context),
  },
  {
    words: ["prepare", kind],
    usage: `prepare ${kind} <${kind}>`,
    doc: "begins a new version, unseen until it is committed",
    level: "operator" as const,
    run: (args: readonly string[], context: CommandContext) =>
      onList(kind, args[0], context, (list) => {
        change(context, list, { type: "prepare" });
        return `New version created: ${list.versions.next}\n`;
      }),
  },
  {
    words: ["commit", kind],
    usage: `commit ${kind} @<ver> <${kind}>`,
    doc: "puts a version in place of the current one",
    level: "operator" as const,
    run: (args: readonly string[], context: CommandContext) => {
      const { version, rest } = takeVersion(args);
      return onList(kind, rest[0], context, (list) => {
        if (version === undefined) return refuse("Missing version number.");
        return said(change(context, list, { type: "commit", version }));
      });
    },
  },
  ...(kind === "map"
    ? [
        {
          words: ["set", "map"],
          usage: "set map <map> [<key>|#<ref>] <value>",
          doc: "changes the value of a key",
          level: "operator" as const,
          run: set,
        },
      ]
    : []),
]);

function show(kind: Kind, args: readonly string[], context: CommandContext): string | Refusal {
  const { version, rest } = takeVersion(args);
  if (rest[0] === undefined) {
    const lists = context.process.world.patterns.lists.filter(
      ({ isMap }) => isMap === (kind === "map"),
    );
    return `# id (file) description\n${lists.map(listLine).join("")}`;
  }
  return onList(kind, rest[0], context, (list) => {
    if (
      version !== undefined &&
      (version < list.versions.current || version > list.versions.next)
    ) {
      return refuse("Version number out of range.");
    }
    let text = "";
    for (const entry of list.entries(version)) {
      text += `${referenceOf(entry)} ${entry.key}${entry.value === undefined ? "" : ` ${entry.value}`}\n`;
    }
    return text;
  });
}

function listLine(list: PatternList): string {
  const { current, next } = list.versions;
  const used =
    list.file === undefined
      ? list.description
      : `pattern loaded from file '${list.file}' used by ${list.description}`;
  return `${list.id} (${list.file ?? ""}) ${used}. curr_ver=${current} next_ver=${next} entry_cnt=${list.size}\n`;
}

/** What `#0x…` names in `set` and `del`. */
function referenceOf({ number }: PatternEntry): string {
  return `0x${number.toString(16)}`;
}

function get(kind: Kind, args: readonly string[], context: CommandContext): string | Refusal {
  const [name, ...words] = args;
  return onList(kind, name, context, (list) => {
    const value = words.join(" ");
    if (value === "") return refuse(`'get ${kind}' expects an identifier and a value.`);
    const result = kind === "map" ? "found" : "match";
    let text = "";
    for (const { index, ignoreCase } of list.uses) {
      const sample = sampleFor(index.method, value);
      const number = sample === undefined ? -1 : index.find(sample);
      const found = number < 0 ? undefined : list.entry(number);
      const how = `type=${index.method}, case=${ignoreCase ? "insensitive" : "sensitive"}`;
      text += `${how}, ${result}=${found === undefined ? "no" : "yes"}`;
      if (found !== undefined) {
        text += `, idx=${TREES.has(index.method) ? "tree" : "list"}, ${kind === "map" ? "key" : "pattern"}="${found.key}"`;
        if (found.value !== undefined) text += `, value="${found.value}", type="str"`;
      }
      text += "\n";
    }
    return text;
  });
}

/** Methods that HAProxy keeps in trees. */
const TREES: ReadonlySet<string> = new Set(["str", "beg", "ip"]);

/** The value as a sample of the type that the method compares; undefined when it cannot be one. */
function sampleFor(method: MatchMethod, text: string): Sample | undefined {
  const sample = createSample();
  switch (method) {
    case "int":
    case "bool":
      if (!/^-?\d+$/.test(text)) return undefined;
      setInt(sample, Number(text));
      return sample;
    case "ip": {
      const address = parseAddress(text);
      if (address === undefined) return undefined;
      return setBytes(sample, address.family === 4 ? IPV4 : IPV6, address.bytes)
        ? sample
        : undefined;
    }
    default:
      return setText(sample, text) ? sample : undefined;
  }
}

function add(kind: Kind, args: readonly string[], context: CommandContext): string | Refusal {
  const { version, rest } = takeVersion(args);
  const [name, key, ...words] = rest;
  const { payload } = context;
  const usage =
    kind === "map"
      ? "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload"
      : "'add acl' expects two parameters: ACL identifier and pattern.";
  if (name === undefined) return refuse(usage);
  return onList(kind, name, context, (list) => {
    const entries: { readonly key: string; readonly value: string | undefined }[] = [];
    if (payload !== undefined && key === undefined) {
      for (const line of payload.split("\n")) {
        const trimmed = line.replace(/^[ \t]+|[ \t\r]+$/g, "");
        if (trimmed === "") continue;
        if (kind === "map") entries.push(splitMapLine(trimmed));
        else entries.push({ key: trimmed, value: undefined });
      }
    } else {
      if (key === undefined || (kind === "map" && words.length === 0)) return refuse(usage);
      entries.push({ key, value: kind === "map" ? words.join(" ") : undefined });
    }
    for (const entry of entries) {
      const answer = said(change(context, list, { type: "add", ...entry, version }));
      if (answer !== "") return answer;
    }
    return "";
  });
}

function set(args: readonly string[], context: CommandContext): string | Refusal {
  const [name, key, ...words] = args;
  if (name === undefined || key === undefined || words.length === 0) {
    return refuse("'set map' expects three parameters: map identifier, key and value.");
  }
  return onList("map", name, context, (list) => {
    const result = change(context, list, { type: "set", key: keyOf(key), value: words.join(" ") });
    return result === "key not found" ? refuse("entry not found.") : said(result);
  });
}

function remove(kind: Kind, [name, key]: readonly string[], context: CommandContext) {
  if (name === undefined)
    return refuse(
      `This command expects two parameters: ${kind === "map" ? "map" : "ACL"} identifier and key.`,
    );
  return onList(kind, name, context, (list) => {
    if (key === undefined)
      return refuse("This command expects two parameters: identifier and key.");
    const result = change(context, list, { type: "delete", key: keyOf(key) });
    return result === "key not found" ? refuse("Key not found.") : said(result);
  });
}

function clear(kind: Kind, args: readonly string[], context: CommandContext): string | Refusal {
  const { version, rest } = takeVersion(args);
  if (rest[0] === undefined) {
    return refuse(kind === "map" ? "Missing map identifier." : "Missing ACL identifier.");
  }
  return onList(kind, rest[0], context, (list) =>
    said(change(context, list, { type: "clear", version })),
  );
}

/** Changes this thread's list, and, when it could be, that of all others. */
function change(
  { process }: CommandContext,
  list: PatternList,
  request: PatternChange,
): "ok" | "key not found" | "version not found" | { readonly pattern: string } {
  const result = applyPatternChange(list, request);
  if (result !== undefined && !result.ok) return result.error;
  process.fleet.tellOthers({ kind: "patterns", list: list.id, change: request });
  return "ok";
}

function said(result: ReturnType<typeof change>): string | Refusal {
  if (result === "ok") return "";
  if (result === "version not found") return refuse("Version number out of range.");
  if (result === "key not found") return refuse("Key not found.");
  return refuse(`unable to add: ${result.pattern}.`);
}

function onList(
  kind: Kind,
  name: string | undefined,
  { process }: CommandContext,
  then: (list: PatternList) => string | Refusal,
): string | Refusal {
  const list = name === undefined ? undefined : process.world.patterns.named(name, kind === "map");
  if (list === undefined || list.isMap !== (kind === "map")) {
    return refuse(
      `Unknown ${kind === "map" ? "map" : "ACL"} identifier. Please use #<id> or <file>.`,
    );
  }
  return then(list);
}

function takeVersion(args: readonly string[]) {
  const match = /^@(\d+)$/.exec(args[0] ?? "");
  if (match === null) return { version: undefined, rest: args };
  return { version: Number(match[1]), rest: args.slice(1) };
}

/** `#0x1f` is an entry, all else a key. */
function keyOf(text: string): string | number {
  return /^#0x[0-9a-f]+$/i.test(text) ? Number.parseInt(text.slice(3), 16) : text;
}
