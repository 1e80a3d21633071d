/** `/etc/hosts` and `/etc/resolv.conf` as the program sees them: files in memory, mounted where nobody else looks. */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { UserError } from "../../core/errors.ts";
import { withNameServer } from "./dns/resolv-conf.ts";
import { hostsFile } from "./hosts-file.ts";
import type { Namespace } from "./namespace.ts";
import type { ServiceNames } from "./service-names.ts";

/**
 * The files are made in a file system of their own, which is only mounted at `$1` until each has its place. A cache of
 * names (nscd) knows those of the machine, and must not be asked.
 */
const MOUNT = `
set -e
umask 022
mount -t tmpfs -o mode=0755,size=64m outrigger "$1"
for name in hosts resolv.conf; do
  if [ -e "/etc/$name" ]; then
    : > "$1/$name"
    mount --bind "$1/$name" "/etc/$name"
  fi
done
umount "$1"
for socket in /run/nscd/socket /var/run/nscd/socket; do
  if [ -S "$socket" ]; then mount --bind /dev/null "$socket"; fi
done`;

const HOSTS = "/etc/hosts";
const RESOLV_CONF = "/etc/resolv.conf";

export class NameFiles {
  /** null where the machine has no such file: names of services are then known to the name server alone. */
  readonly #hosts: number | null;
  #written = "";

  /** `nameServer`: the address that programs inside ask. Throws a UserError where nothing can be mounted. */
  constructor(namespace: Namespace, nameServer: string) {
    const { code, stderr } = namespace.system.run("sh", ["-c", MOUNT, "sh", tmpdir()]);
    if (code !== 0)
      throw new UserError(`the program's own ${HOSTS} cannot be mounted: ${stderr.trim() || "mount is missing"}`);
    const resolver = readOr(RESOLV_CONF, null);
    if (resolver !== null) {
      const file = openSync(namespace.file(RESOLV_CONF), "r+");
      writeWhole(file, withNameServer(resolver, nameServer));
      closeSync(file);
    }
    this.#hosts = readOr(HOSTS, null) === null ? null : openSync(namespace.file(HOSTS), "r+");
    this.setNames(new Map());
  }

  /** Services and their addresses from now on, beside what the machine's file has. */
  setNames(names: ServiceNames): void {
    const text = hostsFile(readOr(HOSTS, ""), names);
    if (this.#hosts === null || text === this.#written) return;
    this.#written = text;
    writeWhole(this.#hosts, text);
  }
}

function readOr<T>(file: string, otherwise: T): string | T {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}

/** In place, because it is this file that is mounted. First what is new: there is no moment in which it is empty. */
function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written, null, written);
  ftruncateSync(file, bytes.length);
}
