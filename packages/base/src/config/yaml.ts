import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, stringify } from "yaml";

/** A YAML value that still knows where it stands. Aliases are followed when looked at, so that none is ever copied. */
export type YamlNode =
  | {
      readonly kind: "map";
      readonly offset: number;
      entries(): readonly {
        readonly key: YamlNode | undefined;
        readonly value: YamlNode | undefined;
      }[];
    }
  | {
      readonly kind: "list";
      readonly offset: number;
      items(): readonly (YamlNode | undefined)[];
    }
  | {
      readonly kind: "scalar";
      readonly offset: number;
      readonly value: unknown;
      /** As written, so that 0100 or 1.50 stay what they are. */
      readonly text: string;
    };

export interface YamlDocument {
  /** Undefined when the document is empty or null. */
  readonly root: YamlNode | undefined;
  readonly errors: readonly { readonly message: string; readonly offset: number }[];
  /** Line and column, from 1, of an offset. */
  placeOf(offset: number): { readonly line: number; readonly column: number };
}

/** Reads one YAML document. Never throws because of the text. */
export function readYaml(text: string): YamlDocument {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  const wrap = (written: unknown): YamlNode | undefined => {
    let node = written;
    for (let hops = 0; isAlias(node); hops++) {
      if (hops > 100) return undefined;
      node = node.resolve(document);
    }
    if (isMap(node)) {
      const { items, range } = node;
      return {
        kind: "map",
        offset: range?.[0] ?? 0,
        entries: () => items.map(({ key, value }) => ({ key: wrap(key), value: wrap(value) })),
      };
    }
    if (isSeq(node)) {
      const { items, range } = node;
      return { kind: "list", offset: range?.[0] ?? 0, items: () => items.map(wrap) };
    }
    if (!isScalar(node) || node.value === null) return undefined;
    const { value, source, range } = node;
    return {
      kind: "scalar",
      offset: range?.[0] ?? 0,
      value,
      text: typeof value === "string" ? value : (source ?? String(value)),
    };
  };
  return {
    root: wrap(document.contents),
    errors: document.errors.map(({ message, pos }) => ({
      message: (message.split("\n")[0] ?? "").replace(/ at line \d+.*$/, ""),
      offset: pos[0],
    })),
    placeOf: (offset) => {
      const { line, col } = lineCounter.linePos(offset);
      return { line: Math.max(1, line), column: Math.max(1, col) };
    },
  };
}

/** Plain values as YAML, without line breaks inside of scalars. */
export function writeYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}
