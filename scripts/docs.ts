import { writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { generatedPages } from "./generated-docs.ts";

const USAGE = `usage: npm run docs

Writes the pages, and the marked stretches of pages, that are made from the keyword tables.`;

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
if (process.argv.includes("--help")) {
  console.log(USAGE);
} else {
  for (const { path, wanted } of await generatedPages()) {
    writeFileSync(path, wanted);
    console.log(path);
  }
}
