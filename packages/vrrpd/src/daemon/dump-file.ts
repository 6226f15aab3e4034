import { constants } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/**
 * Writes a dump where any user may have planted something (keepalived's default is `/tmp`): into a new file of our own
 * and then over the name by rename(2), which replaces a link, a FIFO or another user's file instead of following or
 * opening it. The mode is as given, whatever the umask. (CVE-2018-19044, CVE-2018-19046)
 *
 * @throws the system's error when the folder cannot be written or the name is a folder.
 */
export async function writeDump(path: string, text: string, mode = 0o600): Promise<void> {
  const draft = join(
    dirname(path),
    `.${basename(path)}.${process.pid}.${process.hrtime.bigint().toString(36)}`,
  );
  const file = await open(draft, DRAFT_FLAGS, 0o600);
  try {
    try {
      await file.chmod(mode);
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await unlink(draft).catch(() => {});
    throw error;
  }
}

const DRAFT_FLAGS =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
