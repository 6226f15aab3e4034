import { closestWord, Diagnostics, type Position, type Statement, type Token } from "@ha/base";
import { readYaml, writeYaml, type YamlDocument, type YamlNode } from "@ha/base/yaml";
import { quoteCommandWord } from "./command-words.ts";
import type { Plain } from "./dump.ts";
import { type Entry, lookUp, type Table } from "./entry.ts";
import { topTable } from "./group-tables.ts";
import { defaultLimits, type Limits } from "./limits.ts";
import { finishLoad, type LoadedConfig, type LoadOptions } from "./load.ts";
import { flag, writtenBoolean } from "./schemas.ts";
import { splitWords } from "./source-line.ts";

/**
 * The second front end: the same tree from YAML, so that generated configurations need no templates. Keywords are
 * keys, named blocks maps by name, blocks of lines lists. Undefined when the file cannot be read.
 *
 *     vrrp_instance:
 *       VI_1:
 *         interface: eth0
 *         virtual_router_id: 51
 *         virtual_ipaddress: [192.168.1.100/24 dev eth0]
 */
export function loadYamlConfig(file: string, options: LoadOptions): LoadedConfig | undefined {
  const { host } = options;
  const limits = options.limits ?? defaultLimits;
  const text = host.readFile(file);
  if (text === undefined) return undefined;
  const diagnostics = new Diagnostics();
  const reader = new YamlReader(file, diagnostics, limits);
  return finishLoad(reader.read(text), { host, diagnostics, limits });
}

/** The text of `--dump yaml`. */
export function dumpYaml(plain: Plain): string {
  return writeYaml(plain);
}

class YamlReader {
  readonly #file: string;
  readonly #diagnostics: Diagnostics;
  readonly #limits: Limits;
  #document: YamlDocument | undefined;
  #statements = 0;

  constructor(file: string, diagnostics: Diagnostics, limits: Limits) {
    this.#file = file;
    this.#diagnostics = diagnostics;
    this.#limits = limits;
  }

  read(text: string): Statement[] {
    if (text.length > this.#limits.fileLength) {
      this.#error(0, `the file is longer than ${this.#limits.fileLength} bytes`, "config/limit");
      return [];
    }
    const document = readYaml(text);
    this.#document = document;
    for (const { message, offset } of document.errors) this.#error(offset, message, "config/yaml");
    return document.root === undefined ? [] : this.#map(document.root, topTable, 0);
  }

  #map(node: YamlNode | undefined, table: Table, depth: number): Statement[] {
    if (node === undefined) return [];
    if (node.kind !== "map") {
      this.#error(startOf(node), "a map of keywords must stand here", "config/yaml");
      return [];
    }
    if (depth > this.#limits.blockDepth) {
      this.#error(
        startOf(node),
        `blocks are nested more than ${this.#limits.blockDepth} deep`,
        "config/limit",
      );
      return [];
    }
    return node.entries().flatMap((pair) => this.#pair(pair, table, depth));
  }

  #pair(
    pair: { readonly key: YamlNode | undefined; readonly value: YamlNode | undefined },
    table: Table,
    depth: number,
  ): Statement[] {
    const key = this.#token(pair.key);
    if (key === undefined) return [];
    const known = lookUp(table, key.text);
    if (known === undefined) {
      const near = closestWord(key.text.slice(0, 64), Object.keys(table));
      this.#diagnostics.error(
        "config/unknown-keyword",
        key.at,
        `unknown keyword '${key.text.slice(0, 60)}'`,
        near === undefined ? undefined : `did you mean '${near}'?`,
      );
      return [];
    }
    const { value } = pair;
    if (known.body === undefined) return this.#simple(key, value, known);
    if (known.named === true) return this.#named(key, value, known, depth);
    // Blocks that may be repeated, and lines, are both lists: what the items are tells them apart.
    if (value?.kind === "list") {
      const items = value.items();
      const repeated = known.body !== "lines" || items.some((item) => item?.kind === "list");
      if (repeated) return items.map((item) => this.#block(key, [], item, known, depth));
    }
    return [this.#block(key, [], value, known, depth)];
  }

  #named(key: Token, value: YamlNode | undefined, known: Entry, depth: number): Statement[] {
    if (value?.kind !== "map") {
      this.#error(
        startOf(value),
        `${key.text} needs a map from names to blocks`,
        "config/yaml",
        key.at,
      );
      return [];
    }
    return value.entries().flatMap((pair) => {
      const name = this.#token(pair.key);
      return name === undefined ? [] : [this.#block(key, [name], pair.value, known, depth)];
    });
  }

  #block(
    key: Token,
    name: readonly Token[],
    value: YamlNode | undefined,
    known: Entry,
    depth: number,
  ): Statement {
    const words: [Token, ...Token[]] = [key, ...name];
    const text = words.map((word) => word.text).join(" ");
    if (known.body === "lines") return { words, text, body: this.#linesOf(value) };
    if (known.body === "ignored" || known.body === undefined) return { words, text, body: [] };
    const body = this.#map(value, known.body, depth + 1);
    this.#count(key.at);
    return { words, text, body };
  }

  #linesOf(node: YamlNode | undefined): Statement[] {
    if (node === undefined) return [];
    const items = node.kind === "list" ? node.items() : [node];
    return items.flatMap((item) => {
      const token = this.#token(item);
      const [first, ...rest] = token === undefined ? [] : this.#split(token);
      if (token === undefined || first === undefined) return [];
      this.#count(token.at);
      return [{ words: [first, ...rest] as const, text: token.text }];
    });
  }

  #simple(key: Token, value: YamlNode | undefined, known: Entry): Statement[] {
    if (!this.#count(key.at)) return [];
    if (value?.kind === "scalar" && typeof value.value === "boolean")
      return this.#switch(key, value.value, known);
    if (value === undefined) return [{ words: [key], text: key.text }];
    if (value.kind === "list") {
      if (known.command === true) {
        const words = value.items().flatMap((item) => this.#token(item) ?? []);
        return [this.#command(key, words)];
      }
      return value.items().flatMap((item) => this.#simple(key, item, known));
    }
    const token = this.#token(value);
    if (token === undefined) return [];
    if (known.command === true) return [this.#command(key, [token])];
    return [{ words: [key, ...this.#split(token)], text: `${key.text} ${token.text}` }];
  }

  /** `true` is the keyword alone, or `on` where a word must follow; `false` is `off`, or for a flag not to write it. */
  #switch(key: Token, on: boolean, known: Entry): Statement[] {
    if (on && known.schema !== writtenBoolean) return [{ words: [key], text: key.text }];
    if (!on && known.schema === flag) return [];
    const word: Token = { text: on ? "on" : "off", at: key.at };
    return [{ words: [key, word], text: `${key.text} ${word.text}` }];
  }

  #command(key: Token, words: readonly Token[]): Statement {
    const text = [key.text, ...words.map((word) => quoteCommandWord(word.text))].join(" ");
    return { words: [key, ...words], text };
  }

  #split(token: Token): Token[] {
    const { line, column, file } = token.at;
    if (token.text === "") return [token];
    return splitWords({ text: token.text, file, line, columns: column }, (at) => {
      this.#diagnostics.error("config/unterminated-quote", at, 'a " is never closed');
    });
  }

  #token(node: YamlNode | undefined): Token | undefined {
    if (node?.kind !== "scalar") {
      this.#error(startOf(node), "one value must stand here", "config/yaml");
      return undefined;
    }
    const { text } = node;
    const at = this.#position(startOf(node));
    if (text.length > this.#limits.lineLength) {
      this.#diagnostics.error(
        "config/limit",
        at,
        `the value is longer than ${this.#limits.lineLength} characters`,
      );
      return undefined;
    }
    if (/[\n\0]/.test(text)) {
      this.#diagnostics.error("config/yaml", at, "a value may not have line breaks");
      return undefined;
    }
    return { text, at };
  }

  /** Aliases can make a small file a huge tree. */
  #count(at: Position): boolean {
    this.#statements++;
    if (this.#statements === this.#limits.lines + 1) {
      this.#diagnostics.error(
        "config/limit",
        at,
        `there are more than ${this.#limits.lines} values in all`,
      );
    }
    return this.#statements <= this.#limits.lines;
  }

  #error(
    offset: number | undefined,
    message: string,
    code: "config/yaml" | "config/limit",
    at?: Position,
  ): void {
    this.#diagnostics.error(code, at ?? this.#position(offset ?? 0), message);
  }

  #position(offset: number): Position {
    const place = this.#document?.placeOf(offset) ?? { line: 1, column: 1 };
    return { file: this.#file, ...place };
  }
}

function startOf(node: YamlNode | undefined): number {
  return node?.offset ?? 0;
}
