import type { Transaction, VariableValue } from "../transaction.ts";
import {
  BIN,
  BOOL,
  IPV4,
  IPV6,
  type Sample,
  SINT,
  STR,
  setBool,
  setBytes,
  setInt,
  setWide,
} from "./sample.ts";

/** Scopes of variables. HAProxy configuration manual §2.2 (newest §2.8), and `set-var`. */
export type VariableScope = "proc" | "sess" | "txn" | "req" | "res" | "check";

/** A variable's name made ready at load. */
export interface Variable {
  readonly scope: VariableScope;
  /** Of the name with its scope, in the whole process: the key in the transaction's maps. */
  readonly index: number;
  /** As written: `txn.user`. */
  readonly name: string;
}

/** Numbers for names, and the values of `proc`: one for each thread. */
export class VariableNames {
  readonly #byName = new Map<string, Variable>();
  readonly #process = new Map<number, VariableValue>();

  /**
   * The variable of that name, new or known. Undefined when the scope or a character is wrong: names are
   * `scope.name` of letters, digits, `.`, `_` and `-`.
   */
  variable(name: string): Variable | undefined {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const match = /^(proc|sess|txn|req|res|check)\.[A-Za-z0-9_.-]+$/.exec(name);
    if (match === null) return undefined;
    const made: Variable = {
      scope: match[1] as VariableScope,
      index: this.#byName.size,
      name,
    };
    this.#byName.set(name, made);
    return made;
  }

  /** A variable for the program's own use, whose name (with a blank) no configuration can write. */
  hidden(scope: VariableScope, name: string): Variable {
    const key = `${scope}. ${name}`;
    const known = this.#byName.get(key);
    if (known !== undefined) return known;
    const made: Variable = { scope, index: this.#byName.size, name: key };
    this.#byName.set(key, made);
    return made;
  }

  /** `proc` variables by name, for `get var` of the runtime API. */
  processValue(name: string): VariableValue | undefined {
    const variable = this.#byName.get(name);
    return variable === undefined ? undefined : this.#process.get(variable.index);
  }

  setProcess(variable: Variable, value: VariableValue | undefined): void {
    if (value === undefined) this.#process.delete(variable.index);
    else this.#process.set(variable.index, value);
  }

  get(variable: Variable, transaction: Transaction): VariableValue | undefined {
    switch (variable.scope) {
      case "proc":
        return this.#process.get(variable.index);
      case "sess":
        return transaction.session.variables?.get(variable.index);
      case "req":
        // As in HAProxy, what the request left in this scope is gone when the response's rules begin.
        return transaction.hasResponse ? undefined : transaction.variables?.get(variable.index);
      default:
        return transaction.variables?.get(variable.index);
    }
  }

  set(variable: Variable, transaction: Transaction, value: VariableValue | undefined): void {
    if (variable.scope === "proc") {
      this.setProcess(variable, value);
      return;
    }
    const owner = variable.scope === "sess" ? transaction.session : transaction;
    if (value === undefined) owner.variables?.delete(variable.index);
    else {
      owner.variables ??= new Map();
      owner.variables.set(variable.index, value);
    }
  }
}

/** A copy of a sample that outlives the slab. */
export function copyValue(sample: Sample): VariableValue {
  switch (sample.type) {
    case BOOL:
      return { type: "bool", number: sample.int };
    case SINT: {
      if (sample.wide === undefined) return { type: "sint", number: sample.int };
      const wide: WideValue = { type: "sint", number: sample.int, wide: sample.wide };
      return wide;
    }
    case IPV4:
    case IPV6:
    case BIN:
      return { type: TYPE_OF[sample.type], bytes: sample.bytes.slice(sample.start, sample.end) };
    default:
      return { type: "str", bytes: sample.bytes.slice(sample.start, sample.end) };
  }
}

const TYPE_OF = { [IPV4]: "ipv4", [IPV6]: "ipv6", [BIN]: "bin" } as const;

/** An integer that a number cannot hold. */
interface WideValue {
  readonly type: "sint";
  readonly number: number;
  readonly wide: bigint;
}

/** The inverse of `copyValue`; the sample then shares the variable's bytes. */
export function loadValue(sample: Sample, value: VariableValue): true {
  switch (value.type) {
    case "bool":
      return setBool(sample, value.number !== 0);
    case "sint":
      return "wide" in value && typeof value.wide === "bigint"
        ? setWide(sample, value.wide)
        : setInt(sample, value.number);
    case "meth":
      return setInt(sample, value.number);
    case "ipv4":
      return setBytes(sample, IPV4, value.bytes);
    case "ipv6":
      return setBytes(sample, IPV6, value.bytes);
    case "bin":
      return setBytes(sample, BIN, value.bytes);
    default:
      return setBytes(sample, STR, value.bytes);
  }
}
