import { canTake } from "../../server/servers.ts";
import { refuse } from "../compile-context.ts";
import type { ConverterKeyword } from "../fetch-keyword.ts";
import { badVariable } from "../fetches/internal.ts";
import { ANY, latin1, SINT, STR, sampleText, setInt } from "../sample.ts";
import { copyValue } from "../variable.ts";

const SOURCE = "HAProxy configuration manual §7.3.1";

/** Converters that set, look up or show something on the way. */
export const FLOW_CONVERTERS: readonly ConverterKeyword[] = [
  {
    name: "set-var",
    syntax: "set-var(<var>[,<cond>...])",
    doc: "Sets the variable to the input, which passes on as it is; <cond> ifexists, ifnotexists, ifempty, ifnotempty, ifset, ifnotset.",
    source: SOURCE,
    input: ANY,
    output: ANY,
    arity: [1, 4],
    compile: ([name, ...conditions], context, token) => {
      const { variables } = context.world;
      const variable = variables.variable(name?.text ?? "");
      if (variable === undefined) return badVariable(context, token, name?.text ?? "");
      for (const { text } of conditions) {
        if (!/^if(?:not)?(?:exists|empty|set)$/.test(text))
          return refuse(context, token, `unknown condition '${text}' in set-var`);
      }
      return (sample, transaction) => {
        const old = variables.get(variable, transaction);
        const isEmpty = sample.type >= STR && sample.start === sample.end;
        const holds = conditions.every(({ text }) => {
          switch (text) {
            case "ifexists":
              return old !== undefined;
            case "ifnotexists":
              return old === undefined;
            case "ifempty":
              return old === undefined || ("bytes" in old && old.bytes.length === 0);
            case "ifnotempty":
              return old !== undefined && !("bytes" in old && old.bytes.length === 0);
            case "ifset":
              return !isEmpty;
            default:
              return isEmpty;
          }
        });
        if (holds) variables.set(variable, transaction, copyValue(sample));
        return true;
      };
    },
  },
  {
    name: "unset-var",
    syntax: "unset-var(<var>)",
    doc: "Forgets the variable; the input passes on.",
    source: SOURCE,
    input: ANY,
    output: ANY,
    arity: [1, 1],
    compile: ([name], context, token) => {
      const { variables } = context.world;
      const variable = variables.variable(name?.text ?? "");
      if (variable === undefined) return badVariable(context, token, name?.text ?? "");
      return (_sample, transaction) => {
        variables.set(variable, transaction, undefined);
        return true;
      };
    },
  },
  {
    name: "debug",
    syntax: "debug([<prefix>][,<destination>])",
    doc: "Writes the input to a ring (default buf0), stdout or stderr, and passes it on.",
    source: SOURCE,
    input: ANY,
    output: ANY,
    arity: [0, 2],
    compile: ([prefix, destination], { world }) => {
      const before = prefix?.text ?? "";
      return (sample) => {
        world.ports.debug(
          destination?.text ?? "buf0",
          `${before === "" ? "" : `${before}: `}<${sampleText(sample)}>`,
        );
        return true;
      };
    },
  },
  {
    name: "nbsrv",
    syntax: "nbsrv",
    doc: "Number of usable servers in the backend that the input names.",
    source: SOURCE,
    input: STR,
    output: SINT,
    compile:
      (_args, { world }) =>
      (sample) => {
        const name = latin1(sample.bytes, sample.start, sample.end);
        const proxy = world.proxies.find((one) => one.backend !== undefined && one.name === name);
        if (proxy === undefined) return false;
        let count = 0;
        for (let i = 0; i < proxy.servers.count; i++) if (canTake(proxy.servers, i)) count++;
        return setInt(sample, count);
      },
  },
  {
    name: "srv_queue",
    syntax: "srv_queue",
    doc: "Requests waiting for the server that the input names, as backend/server or in the present backend.",
    source: SOURCE,
    input: STR,
    output: SINT,
    compile:
      (_args, { world }) =>
      (sample, transaction) => {
        const [first = "", second] = latin1(sample.bytes, sample.start, sample.end).split("/");
        const proxy =
          second === undefined
            ? world.proxies[transaction.backend]
            : world.proxies.find((one) => one.backend !== undefined && one.name === first);
        const server =
          proxy?.backend?.servers.findIndex(({ name }) => name === (second ?? first)) ?? -1;
        return (
          proxy !== undefined &&
          server !== -1 &&
          setInt(sample, Atomics.load(proxy.servers.queued, server))
        );
      },
  },
  ...(["request", "response"] as const).map(
    (side): ConverterKeyword => ({
      name: side === "request" ? "capture-req" : "capture-res",
      syntax: `capture-${side === "request" ? "req" : "res"}(<id>)`,
      doc: `Keeps the input in the ${side}'s capture slot <id>, and passes it on.`,
      source: SOURCE,
      input: STR,
      output: STR,
      arity: [1, 1],
      compile: ([id], context, token) => {
        const slot = Number(id?.text);
        if (!Number.isInteger(slot) || slot < 0)
          return refuse(context, token, `'${id?.text}' is not a slot's number`);
        const { world } = context;
        return (sample, transaction) => {
          const limit = world.captureLengths[transaction.frontend]?.[side][slot];
          if (limit === undefined) return false;
          const slots =
            side === "request" ? transaction.requestCaptures : transaction.responseCaptures;
          slots[slot] = sample.bytes.slice(
            sample.start,
            Math.min(sample.end, sample.start + limit),
          );
          return true;
        };
      },
    }),
  ),
  ...[
    "51d.single",
    "da-csv-conv",
    "fix_is_valid",
    "fix_tag_value",
    "mqtt_is_valid",
    "mqtt_field_value",
    "protobuf",
    "ungrpc",
  ].map(
    (name): ConverterKeyword => ({
      name,
      syntax: `${name}(…)`,
      doc: "Known, and refused: not supported.",
      source: SOURCE,
      input: ANY,
      output: ANY,
      arity: [0, 12],
      compile: (_args, context, token) =>
        refuse(context, token, `the converter '${name}' is not supported`),
    }),
  ),
];
