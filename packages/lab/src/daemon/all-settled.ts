/** Waits for all, whatever becomes of them, and then rejects as the first that did: nothing goes on unseen. */
export async function allSettled(works: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works))
    if (outcome.status === "rejected") throw outcome.reason;
}
