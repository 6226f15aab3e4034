import { readFileSync } from "node:fs";
import { generatedPages } from "./generated-docs.ts";
import { type Finding, lineAt } from "./source-tree.ts";

/** Whether the pages that come from the keyword tables are what the tables say now. */
export async function checkGeneratedDocs(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { path, wanted } of await generatedPages()) {
    const found = readPage(path);
    if (found === wanted) continue;
    const at = [...wanted].findIndex((character, i) => character !== found[i]);
    findings.push({
      path,
      line: lineAt(wanted, Math.max(0, at)),
      message: "is not what the keyword tables say: run 'npm run docs'",
    });
  }
  return findings;
}

function readPage(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // Differs from every page, so that it is reported.
  }
}
