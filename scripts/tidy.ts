import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Finding, listFiles, readFiles } from "./source-tree.ts";
import { checkGeneratedDocs } from "./tidy-docs.ts";
import { checkImports } from "./tidy-imports.ts";
import { checkText } from "./tidy-text.ts";

const USAGE = `usage: npm run tidy

Checks the rules of the repository that neither compiler nor lint can: who may import whom, purity of the cores, generated
pages in step with the keyword tables, sources in their one form, names of files, licence. Exit status 1 after findings.`;

const LICENCE = "Apache-2.0";

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
if (process.argv.includes("--help")) {
  console.log(USAGE);
} else {
  const paths = listFiles();
  const files = readFiles(paths);
  const findings = [
    ...checkImports(files),
    ...checkText(files),
    ...checkLicence(paths),
    ...(await checkGeneratedDocs()),
  ];
  for (const { path, line, message } of findings) console.error(`${path}:${line}: ${message}`);
  console.log(`${files.length} files, ${findings.length} findings`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}

function checkLicence(paths: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  if (!existsSync("LICENSE")) findings.push({ path: "LICENSE", line: 0, message: "is missing" });
  for (const path of paths) {
    if (!/(^|\/)package\.json$/.test(path) || !existsSync(path)) continue;
    const { license, private: isPrivate } = JSON.parse(readFileSync(path, "utf8"));
    if (license !== LICENCE)
      findings.push({ path, line: 0, message: `license must be "${LICENCE}"` });
    if (isPrivate !== true) findings.push({ path, line: 0, message: "packages are private" });
  }
  return findings;
}
