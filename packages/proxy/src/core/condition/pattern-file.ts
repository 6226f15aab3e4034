import type { Token } from "../config/token.ts";
import { type PatternList, readPatternLines, splitMapLine } from "../map/pattern-store.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import { latin1 } from "../sample/sample.ts";

/** The list of a pattern file, read when it is first named. Reports a file that cannot be read. */
export function patternFile(
  file: Token,
  isMap: boolean,
  context: CompileContext,
): PatternList | undefined {
  const path = context.proxy?.files.resolve(file.text) ?? file.text;
  const { world } = context;
  const { list, isNew } = world.patterns.forFile(
    path,
    isMap,
    `${isMap ? "map" : "acl"} ${where(file)}`,
  );
  if (!isNew) return list;
  const bytes = world.ports.readFile(path);
  if (bytes === undefined) {
    world.patterns.forget(list);
    return refuse(context, file, `failed to open pattern file <${file.text}>`);
  }
  for (const line of readPatternLines(latin1(bytes, 0, bytes.length))) {
    const { key, value } = isMap ? splitMapLine(line) : { key: line, value: undefined };
    list.add(key, value);
  }
  return list;
}

/** For listings: `at file 'x' line 1`. */
export function where({ at }: Token): string {
  return `at file '${at.file}' line ${at.line}`;
}
