import process from "node:process";
import { parseArgs } from "node:util";
import { type DaemonKind, missing } from "@ha/lab/namespaces";
import { faults } from "./bench-faults.ts";
import { measureSection, type Section } from "./bench-section.ts";
import { startup } from "./bench-startup.ts";
import { steadiness } from "./bench-steadiness.ts";
import { stop, takeover } from "./bench-takeover.ts";

const SECTIONS: readonly Section[] = [takeover, stop, steadiness, startup, faults];

const USAGE = `usage: npm run bench:vrrp -- [options]

Measures vrrpd beside the real keepalived, one after the other on the same machine, and prints tables in Markdown. Needs
root, keepalived, and a machine that does nothing else; takes some ten minutes.

  --faults           only the faults that keepalived leaves open
  --only NAME        these sections only, may be repeated: ${SECTIONS.map(({ name }) => name).join(", ")}
  --case TEXT        only the cases whose name holds this text
  --daemon KIND      keepalived or vrrpd only
  --help             this text`;

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    faults: { type: "boolean" },
    case: { type: "string" },
    daemon: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(USAGE);
} else {
  process.exitCode = await bench();
}

async function bench(): Promise<number> {
  const { daemon, case: part = "" } = values;
  const only = values.faults ? [faults.name] : values.only;
  const kinds = (["keepalived", "vrrpd"] as const).filter(
    (kind: DaemonKind) => daemon === undefined || kind === daemon,
  );
  const sections = SECTIONS.filter(({ name }) => only === undefined || only.includes(name));
  const reason = missing(...(kinds.includes("keepalived") ? ["keepalived"] : []));
  if (reason !== false || kinds.length === 0 || sections.length === 0) {
    console.error(reason === false ? USAGE : `cannot measure here: ${reason}`);
    return 1;
  }
  for (const section of sections) {
    const cases = section.cases.filter(({ name }) => name.includes(part));
    if (cases.length > 0)
      await measureSection({ ...section, cases }, kinds, (line) => console.log(line));
  }
  return 0;
}
