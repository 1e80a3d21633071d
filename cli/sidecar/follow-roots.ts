/**
 * The mesh's roots change while a sidecar runs. The control plane says so (SDS `ROOTCA`), and in a pod the kubelet does,
 * by the file: also where the control plane can't be reached any more because of that change.
 */
import type { WorkloadIdentity } from "../../certs/rotation.ts";
import { rootsFile } from "../../control-client/ca/token-file.ts";
import type { Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { Watch } from "../../core/watch.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { WORKLOAD_ROOTS } from "../../model/tls.ts";

export interface FollowRootsOptions {
  readonly identity: Pick<WorkloadIdentity, "updateRoots">;
  readonly snapshots: Watch<Snapshot>;
  /** undefined: there is none. */
  readonly file: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The kubelet takes a minute to write a change. */
const LOOK_EVERY_MS = 10_000;

/** Tells the identity of roots that are new, for as long as the process lives. */
export function followRoots({ identity, snapshots, file, clock, log }: FollowRootsOptions): void {
  const tell = (roots: string, from: string): void => {
    try {
      identity.updateRoots(roots);
    } catch (error) {
      log.warn({ error: messageOf(error) }, `roots that cannot be used: ${from}`);
    }
  };

  let sent = "";
  snapshots.subscribe(({ secrets }) => {
    const secret = secrets.get(WORKLOAD_ROOTS);
    if (secret?.kind !== "trust" || secret.material.roots === sent) return;
    sent = secret.material.roots;
    tell(sent, "from the control plane");
  });

  if (file === undefined) return;
  const read = rootsFile(file);
  let written: string | null = null;
  const look = (): void => {
    try {
      const roots = read();
      // What was there at the start is what the certificate in force was asked for with.
      if (written !== null && roots !== written) tell(roots, file);
      written = roots;
    } catch (error) {
      // A volume that is being replaced, or gone with its pod: what is known stays.
      log.debug({ error: messageOf(error) }, "the roots' file cannot be read");
    }
    clock.after(LOOK_EVERY_MS, look);
  };
  look();
}
