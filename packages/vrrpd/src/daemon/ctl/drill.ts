import { spawn } from "node:child_process";
import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** `vrrpctl drill …`: the lab's own program, with the same words. Its exit status; undefined: it is not installed. */
export function runDrill(words: readonly string[]): Promise<number | undefined> {
  const program = findLab();
  if (program === undefined) return Promise.resolve(undefined);
  const [command, ...first] = program.endsWith(".js") ? [process.execPath, program] : [program];
  const child = spawn(command as string, [...first, "drill", ...words], { stdio: "inherit" });
  return new Promise((resolve) => {
    child.on("error", () => resolve(undefined));
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/** In PATH, or beside our own: packages/vrrpd/bin and packages/lab/bin. */
function findLab(): string | undefined {
  const beside = join(dirname(realpathSync(process.argv[1] ?? "")), "../../lab/bin/lab.js");
  const inPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "ha-lab"));
  return [...inPath, beside].find((path) => {
    try {
      accessSync(path, constants.R_OK);
      return true;
    } catch {
      return false;
    }
  });
}
