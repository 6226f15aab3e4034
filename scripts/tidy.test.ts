import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOnly } from "./source-tree.ts";
import { checkImports } from "./tidy-imports.ts";
import { checkText } from "./tidy-text.ts";

const findingsIn = (path: string, text: string): string[] =>
  [...checkImports([{ path, text }]), ...checkText([{ path, text }])].map(({ message }) => message);

const CORE = "packages/vrrpd/src/core/machine.ts";
const DAEMON = "packages/vrrpd/src/daemon/main.ts";

test("a core that imports Node, a daemon or the other program is found", () => {
  for (const specifier of ["node:fs", "../daemon/main.ts", "@ha/linux", "@ha/proxy/core", "pino"]) {
    assert.equal(findingsIn(CORE, `import { a } from "${specifier}";\n`).length, 1, specifier);
  }
});

test("an import along an arrow is not found", () => {
  assert.deepEqual(
    findingsIn(CORE, `import { ip } from "@ha/base";\nimport { step } from "./step.ts";\n`),
    [],
  );
  assert.deepEqual(
    findingsIn(DAEMON, `import { step } from "../core/index.ts";\nimport fs from "node:fs";\n`),
    [],
  );
  assert.deepEqual(
    findingsIn(CORE.replace(".ts", ".test.ts"), `import { test } from "node:test";\n`),
    [],
  );
});

test("an import over several lines is read as one", () => {
  assert.equal(findingsIn(CORE, `import {\n  a,\n  b,\n} from "node:net";\n`).length, 1);
});

test("the language's clock and chance are found in a core, but not in its comments and strings", () => {
  assert.equal(findingsIn(CORE, "const now = Date.now();\n").length, 1);
  assert.equal(findingsIn(CORE, "const x = Math.random();\n").length, 1);
  assert.equal(findingsIn(CORE, `const x = \`\${Date.now()}\`;\n`).length, 1);
  assert.deepEqual(findingsIn(CORE, `// Date\n/* Date */ const text = "Date";\n`), []);
  assert.deepEqual(findingsIn(DAEMON, "const now = Date.now();\n"), []);
});

test("a source in another form than the one is found", () => {
  for (const source of [
    "RFC9568",
    "RFC 9568 section 6",
    "RFC 9568 6.4.2",
    "keepalived.conf(5) §3",
    "observed: keepalived",
  ]) {
    assert.equal(findingsIn(DAEMON, `/** ${source} */\n`).length, 1, source);
  }
  const good = "RFC 9568 §6.4.2; keepalived.conf(5), vrrp_instance; observed: keepalived 2.4.3";
  assert.deepEqual(findingsIn(DAEMON, `/** ${good} */\n`), []);
});

test("names that say nothing, and names in another case, are found", () => {
  assert.equal(findingsIn("packages/base/src/utils.ts", "").length, 1);
  assert.equal(findingsIn("packages/base/src/sampleName.ts", "").length, 1);
  assert.deepEqual(findingsIn("packages/base/src/sample-name.property.ts", ""), []);
});

test("places that others do not have are found", () => {
  assert.equal(
    findingsIn("docs/install.md", `see ${["", "home", "somebody", "x"].join("/")}`).length,
    1,
  );
});

test("blanking comments and strings keeps lines where they were", () => {
  const text = 'const a = "x";\n/* one\ntwo */ const b = `y`;\n';
  assert.equal(codeOnly(text).split("\n").length, text.split("\n").length);
  assert.match(codeOnly(text), /const b/);
});
