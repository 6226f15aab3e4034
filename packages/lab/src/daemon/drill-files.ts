import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { closestWord, formatDiagnostic } from "@ha/base";
import { type Drill, LAB_HOSTS, loadDrill } from "../core/index.ts";

/** The drills that come with the lab. */
export const DRILL_FOLDER = fileURLToPath(new URL("../../drills", import.meta.url));

/** Files or names that are no drills; `message` holds every finding, each with its place. */
export class BadDrills extends Error {}

/**
 * The drills of these names, or of these files (with a `/` or ending in .yaml); all that come with the lab when none is
 * named. Throws `BadDrills`.
 */
export function readDrills(names: readonly string[]): Drill[] {
  const known = readdirSync(DRILL_FOLDER)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => name.replace(/\.yaml$/, ""))
    .sort();
  const findings: string[] = [];
  const files = (names.length === 0 ? known : names).flatMap((name) => {
    if (name.includes("/") || name.endsWith(".yaml")) return [name];
    if (known.includes(name)) return [join(DRILL_FOLDER, `${name}.yaml`)];
    const near = closestWord(name, known);
    const hint = near === undefined ? "ha-lab list names them" : `did you mean '${near}'?`;
    findings.push(`no drill is called '${name}': ${hint}`);
    return [];
  });
  const drills = files.flatMap((file): Drill[] => {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      findings.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
    const read = loadDrill(file, text, LAB_HOSTS);
    if (!read.ok) {
      findings.push(...read.findings.map(formatDiagnostic));
      return [];
    }
    if (read.value.name !== basename(file, ".yaml")) {
      findings.push(
        `${file}:1:1: error: the drill calls itself '${read.value.name}', not as its file`,
      );
      return [];
    }
    return [read.value];
  });
  if (findings.length > 0) throw new BadDrills(findings.join("\n"));
  return drills;
}
