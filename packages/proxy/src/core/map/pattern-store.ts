import { fail, ok, type Result } from "@ha/base";
import { encodeText } from "../sample/sample.ts";
import { createPatternIndex, type MatchMethod, type PatternIndex } from "./pattern-index.ts";

/** One line of a pattern file or map. */
export interface PatternEntry {
  /** Unique in its list: what `show map` prints before the line, and `#id` names. From 1. */
  readonly number: number;
  readonly key: string;
  /** Of a map; undefined in an ACL. */
  readonly value: string | undefined;
  /** The value's bytes. */
  readonly valueBytes: Uint8Array;
  readonly generation: number;
}

/** Why the runtime API could not do what it was asked. */
export type PatternError = "key not found" | "version not found" | { readonly pattern: string };

/**
 * Patterns by one name (a file, or `-u id`), as the runtime API changes them. Several uses with their own methods
 * may look at one list; each is an index that follows every change. One for each thread: the daemon sends
 * changes to all.
 */
export class PatternList {
  /** Number for `#id`. */
  readonly id: number;
  /** File name as in the configuration; undefined for patterns written in it. */
  readonly file: string | undefined;
  readonly isMap: boolean;
  /** Where it is used: file and line, for `show map`. */
  readonly description: string;
  readonly #entries = new Map<number, PatternEntry>();
  readonly #byKey = new Map<string, number[]>();
  readonly #uses: PatternIndex[] = [];
  readonly #foldsCase: boolean[] = [];
  #nextNumber = 1;
  #generation = 0;
  #nextGeneration = 0;

  constructor(id: number, file: string | undefined, isMap: boolean, description: string) {
    this.id = id;
    this.file = file;
    this.isMap = isMap;
    this.description = description;
  }

  /** `curr_ver` and `next_ver` of `show map`. */
  get versions(): { readonly current: number; readonly next: number } {
    return { current: this.#generation, next: this.#nextGeneration };
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Adds a use. The text of the first pattern that it cannot take, else the index. */
  use(method: MatchMethod, ignoreCase: boolean): PatternIndex | { readonly error: string } {
    const index = createPatternIndex(method, ignoreCase);
    for (const { key, number, generation } of this.#entries.values()) {
      if (generation !== this.#generation) continue;
      const error = index.add(key, number);
      if (error !== undefined) return { error };
    }
    this.#uses.push(index);
    this.#foldsCase.push(ignoreCase);
    return index;
  }

  /** How it is used: each use with its index, for `get map` and `get acl`. */
  get uses(): readonly { readonly index: PatternIndex; readonly ignoreCase: boolean }[] {
    return this.#uses.map((index, i) => ({ index, ignoreCase: this.#foldsCase[i] === true }));
  }

  entry(number: number): PatternEntry | undefined {
    return this.#entries.get(number);
  }

  /** Entries of a version (the current one), in order. */
  *entries(version = this.#generation): Generator<PatternEntry> {
    for (const entry of this.#entries.values()) if (entry.generation === version) yield entry;
  }

  /** Those whose key is exactly that. */
  withKey(key: string, version = this.#generation): PatternEntry[] {
    return (this.#byKey.get(key) ?? [])
      .map((number) => this.#entries.get(number))
      .filter((entry) => entry !== undefined)
      .filter((entry) => entry.generation === version);
  }

  /** `add map|acl`. Keys may repeat; the first wins. */
  add(
    key: string,
    value: string | undefined,
    version = this.#generation,
  ): Result<PatternEntry, PatternError> {
    if (!this.#isKnown(version)) return fail("version not found");
    const number = this.#nextNumber;
    if (version === this.#generation) {
      for (const [i, use] of this.#uses.entries()) {
        const error = use.add(key, number);
        if (error === undefined) continue;
        for (const before of this.#uses.slice(0, i)) before.remove(number);
        return fail({ pattern: error });
      }
    }
    this.#nextNumber++;
    const entry: PatternEntry = {
      number,
      key,
      value,
      valueBytes: encodeText(value ?? ""),
      generation: version,
    };
    this.#entries.set(number, entry);
    const there = this.#byKey.get(key);
    if (there === undefined) this.#byKey.set(key, [number]);
    else there.push(number);
    return ok(entry);
  }

  /** `set map`: a new value for every entry of the key (or for the one `#number`). Gives how many. */
  set(key: string | number, value: string): Result<number, PatternError> {
    const found = this.#find(key);
    if (found.length === 0) return fail("key not found");
    for (const entry of found) {
      this.#entries.set(entry.number, { ...entry, value, valueBytes: encodeText(value) });
    }
    return ok(found.length);
  }

  /** `del map|acl`, by key or `#number`. */
  delete(key: string | number): Result<number, PatternError> {
    const found = this.#find(key);
    if (found.length === 0) return fail("key not found");
    for (const entry of found) this.#remove(entry);
    return ok(found.length);
  }

  /** `clear map|acl`: a version, or all of them. */
  clear(version?: number): Result<number, PatternError> {
    if (version !== undefined && !this.#isKnown(version)) return fail("version not found");
    const gone = [...this.#entries.values()].filter(
      ({ generation }) => version === undefined || generation === version,
    );
    for (const entry of gone) this.#remove(entry);
    return ok(gone.length);
  }

  /** `prepare map|acl`: a new version to add to, unseen until committed. */
  prepare(): number {
    return ++this.#nextGeneration;
  }

  /** `commit map|acl`: the version replaces the current one, and all older ones go. */
  commit(version: number): Result<number, PatternError> {
    if (!this.#isKnown(version)) return fail("version not found");
    const coming = [...this.entries(version)];
    for (const use of this.#uses) {
      const trial = createPatternIndex(use.method, false);
      for (const { key, number } of coming) {
        const error = trial.add(key, number);
        if (error !== undefined) return fail({ pattern: error });
      }
    }
    for (const entry of [...this.#entries.values()]) {
      if (entry.generation < version) this.#remove(entry);
    }
    this.#generation = version;
    for (const use of this.#uses) {
      use.clear();
      for (const { key, number } of coming) use.add(key, number);
    }
    return ok(coming.length);
  }

  #isKnown(version: number): boolean {
    return version >= this.#generation && version <= this.#nextGeneration;
  }

  #find(key: string | number): PatternEntry[] {
    if (typeof key === "string") return this.withKey(key);
    const entry = this.#entries.get(key);
    return entry === undefined ? [] : [entry];
  }

  #remove(entry: PatternEntry): void {
    this.#entries.delete(entry.number);
    const left = (this.#byKey.get(entry.key) ?? []).filter((number) => number !== entry.number);
    if (left.length === 0) this.#byKey.delete(entry.key);
    else this.#byKey.set(entry.key, left);
    if (entry.generation === this.#generation)
      for (const use of this.#uses) use.remove(entry.number);
  }
}

/** Every list of the process, as `show map` and `show acl` number them. */
export class PatternStore {
  readonly #lists: PatternList[] = [];

  get lists(): readonly PatternList[] {
    return this.#lists;
  }

  /** The list of a file, made when it is new (then `isNew`: the caller fills it). */
  forFile(
    file: string,
    isMap: boolean,
    description: string,
  ): { readonly list: PatternList; readonly isNew: boolean } {
    const known = this.#lists.find((list) => list.file === file && list.isMap === isMap);
    if (known !== undefined) return { list: known, isNew: false };
    return { list: this.#create(file, isMap, description), isNew: true };
  }

  /** A list for patterns that stand in the configuration itself. */
  anonymous(description: string, id?: number): PatternList {
    return this.#create(undefined, false, description, id);
  }

  /** For a file that could not be read: as if it had never been named. */
  forget(list: PatternList): void {
    const at = this.#lists.indexOf(list);
    if (at !== -1) this.#lists.splice(at, 1);
  }

  /** As commands name it: a file name, or `#id`. */
  named(reference: string, isMap: boolean): PatternList | undefined {
    return this.#lists.find(
      (list) =>
        (list.isMap === isMap || (!isMap && list.isMap)) &&
        (reference.startsWith("#")
          ? list.id === Number(reference.slice(1))
          : list.file === reference),
    );
  }

  #create(file: string | undefined, isMap: boolean, description: string, id?: number): PatternList {
    const taken = new Set(this.#lists.map((list) => list.id));
    let free = id ?? 0;
    while (id === undefined && taken.has(free)) free++;
    const list = new PatternList(free, file, isMap, description);
    this.#lists.push(list);
    return list;
  }
}

/** Lines of a pattern file: blank lines and those that begin with `#` are nothing; blanks around a pattern neither. */
export function readPatternLines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/^[ \t]+|[ \t\r]+$/g, ""))
    .filter((line) => line !== "" && !line.startsWith("#"));
}

/** Key and value of a map's line: the value begins after the first blanks. */
export function splitMapLine(line: string): { readonly key: string; readonly value: string } {
  const match = /^(\S+)[ \t]*([\s\S]*)$/.exec(line);
  return { key: match?.[1] ?? line, value: match?.[2] ?? "" };
}
