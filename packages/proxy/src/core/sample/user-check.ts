import type { Userlist } from "../config/section-model.ts";
import { crypt } from "./crypt.ts";
import { encodeBytes, encodeText } from "./sample.ts";
import type { Digests } from "./world.ts";

/** Gives the user's groups when the password is right (its characters are bytes, as `latin1` makes them). */
export type UserCheck = (user: string, password: string) => readonly string[] | undefined;

/**
 * A check over a userlist. crypt(3) costs thousands of hashes on purpose, so passwords found right are
 * remembered (as digests), and wrong ones a while: at most 1024 of both.
 */
export function createUserCheck(list: Userlist, digests: Digests): UserCheck {
  const known = new Map<string, boolean>();
  const groupsOf = (user: string): readonly string[] => {
    const own = list.users.get(user)?.groups ?? [];
    const through = [...list.groups]
      .filter(([, users]) => users.includes(user))
      .map(([group]) => group);
    return [...new Set([...own, ...through])];
  };
  return (user, password) => {
    const entry = list.users.get(user);
    if (entry?.password === undefined) return undefined;
    if (!entry.encrypted) {
      return sameText(latinOf(entry.password), password) ? groupsOf(user) : undefined;
    }
    const digest = digests.hash("sha256", encodeBytes(`${user}\0${password}`));
    const key = digest === undefined ? undefined : digest.join(",");
    let right = key === undefined ? undefined : known.get(key);
    if (right === undefined) {
      right = crypt(encodeBytes(password), entry.password, digests) === entry.password;
      if (known.size >= REMEMBERED) known.clear();
      if (key !== undefined) known.set(key, right);
    }
    return right ? groupsOf(user) : undefined;
  };
}

const REMEMBERED = 1024;

function latinOf(text: string): string {
  return String.fromCharCode(...encodeText(text));
}

/** Takes as long whatever differs. */
export function sameText(expected: string, given: string): boolean {
  let difference = expected.length ^ given.length;
  for (let i = 0; i < given.length; i++) {
    difference |=
      given.charCodeAt(i) ^ (expected.charCodeAt(i % Math.max(1, expected.length)) || 0);
  }
  return difference === 0;
}
