import { posix } from "node:path";
import { codeOnly, type Finding, lineAt, type SourceFile } from "./source-tree.ts";

/** A part of the code with its own rule about what it may import: the arrows of the README's "Layout". */
interface Part {
  readonly name: string;
  readonly folder: string;
  /** Other parts, by the name under which they are imported. */
  readonly packages: readonly string[];
  /** From npm. */
  readonly modules: readonly string[];
  /** Whether Node's own modules may be used. */
  readonly node: boolean;
}

const PARTS: readonly Part[] = [
  {
    name: "base",
    folder: "packages/base/src",
    packages: [],
    modules: ["zod", "yaml"],
    node: false,
  },
  {
    name: "linux",
    folder: "packages/linux/src",
    packages: ["@ha/base"],
    modules: ["raw-socket", "netlink"],
    node: true,
  },
  ...(["vrrpd", "proxy"] as const).flatMap((name): Part[] => [
    {
      name: `${name}/core`,
      folder: `packages/${name}/src/core`,
      packages: ["@ha/base"],
      modules: ["zod"],
      node: false,
    },
    {
      name: `${name}/daemon`,
      folder: `packages/${name}/src/daemon`,
      packages: ["@ha/base", "@ha/linux", `@ha/${name}/core`],
      modules: ["pino", ...(name === "vrrpd" ? ["nodemailer"] : [])],
      node: true,
    },
  ]),
  {
    name: "lab/core",
    folder: "packages/lab/src/core",
    packages: ["@ha/base"],
    modules: ["zod"],
    node: false,
  },
  {
    name: "lab/daemon",
    folder: "packages/lab/src/daemon",
    packages: ["@ha/base"],
    modules: ["zod"],
    node: true,
  },
];

/** What tests may use beside that. */
const TEST_PACKAGES = [
  "@ha/base",
  "@ha/base/testing",
  "@ha/vrrpd/testing",
  "@ha/proxy/testing",
  "@ha/linux/testing",
];
const TEST_MODULES = ["fast-check", "zod", "yaml"];

export function checkImports(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    if (!file.path.endsWith(".ts")) return [];
    const part = PARTS.find(({ folder }) => file.path.startsWith(`${folder}/`));
    const findings = part === undefined ? [] : checkPart(file, part);
    if (part?.node === false && !isTest(file.path)) findings.push(...checkPurity(file));
    return findings;
  });
}

function checkPart(file: SourceFile, part: Part): Finding[] {
  return importsOf(file).flatMap(({ specifier, line }) => {
    const message = problemOf(specifier, file.path, part);
    return message === undefined ? [] : [{ path: file.path, line, message }];
  });
}

function problemOf(specifier: string, path: string, part: Part): string | undefined {
  const test = isTest(path);
  if (specifier.startsWith(".")) {
    if (!/\.(ts|json)$/.test(specifier)) return `'${specifier}' must end in .ts`;
    const target = posix.join(posix.dirname(path), specifier);
    if (target.startsWith(`${part.folder}/`)) return undefined;
    // A daemon and the core of its own program are one package.
    if (part.name.endsWith("/daemon") && target.startsWith(part.folder.replace(/daemon$/, "core/")))
      return undefined;
    // A test beside a core may look at what the daemon of the same package makes of it.
    if (test && target.startsWith(`${part.folder.replace(/(core|daemon)$/, "")}`)) return undefined;
    // Sample configurations and captures.
    if (test && target.startsWith("test/")) return undefined;
    return `${part.name} may not import '${target}'`;
  }
  if (specifier.startsWith("node:")) {
    return part.node || test ? undefined : `${part.name} is pure and may not import '${specifier}'`;
  }
  if (specifier.startsWith("@ha/")) {
    // A package may have more than one entry: `@ha/linux/ring` is `@ha/linux`'s.
    const allowed = part.packages.some(
      (name) =>
        specifier === name || (specifier.startsWith(`${name}/`) && !specifier.endsWith("/testing")),
    );
    if (allowed) return undefined;
    if (test && TEST_PACKAGES.includes(specifier)) return undefined;
    // What a package offers to tests stands in its testing folder, which is no part of the program.
    if (path.includes("/testing/") && specifier === "@ha/base/testing") return undefined;
    return `${part.name} may not import '${specifier}'`;
  }
  const name = specifier.split("/")[0] ?? "";
  if (part.modules.includes(name) || (test && TEST_MODULES.includes(name))) return undefined;
  return `${part.name} may not import the module '${specifier}'`;
}

/** The compiler keeps Node out of the cores; the language's own clock and chance it cannot. */
function checkPurity(file: SourceFile): Finding[] {
  const code = codeOnly(file.text);
  return [...code.matchAll(/\bDate\b|\bMath\s*\.\s*random\b|\bperformance\b|\bsetTimeout\b/g)].map(
    (match) => ({
      path: file.path,
      line: lineAt(code, match.index),
      message: `a core may not use ${match[0]}: time and chance come in as values`,
    }),
  );
}

interface Import {
  readonly specifier: string;
  readonly line: number;
}

function importsOf({ text }: SourceFile): Import[] {
  const statement =
    /^(?:import|export)\b[^;"']*?\bfrom\s*"([^"]+)"|^import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...text.matchAll(statement)].map((match) => ({
    specifier: match[1] ?? match[2] ?? match[3] ?? "",
    line: lineAt(text, match.index),
  }));
}

function isTest(path: string): boolean {
  return /\.(test|property)\.ts$/.test(path) || path.includes("/testing/");
}
