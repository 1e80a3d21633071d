/** Events for the owners of pods that were left without a sidecar (`events.k8s.io/v1`): `kubectl describe` shows them. */
import type { Clock } from "../../../core/clock.ts";
import type { InjectionEvent } from "../admission.ts";
import type { CallCluster } from "./call.ts";

/** The same is said of the same object this seldom: its controller may make a pod a second. */
const QUIET_MS = 10 * 60_000;
/** Objects that are remembered; then the oldest are forgotten. */
const REMEMBERED = 1000;
/** Of `note`, bytes. */
const LONGEST_NOTE = 1024;

/** For the webhook's `onEvent`. `instance`: the control plane's own pod. */
export function eventWriter(
  call: CallCluster,
  clock: Clock,
  instance: string,
): (event: InjectionEvent) => Promise<void> {
  const told = new Map<string, number>();
  return async ({ namespace, regarding, reason, message }) => {
    const key = [namespace, regarding.kind, regarding.name, regarding.uid, reason].join("\n");
    const before = told.get(key);
    if (before !== undefined && clock.now() - before < QUIET_MS) return;
    told.delete(key);
    told.set(key, clock.now());
    for (const oldest of told.keys()) {
      if (told.size <= REMEMBERED) break;
      told.delete(oldest);
    }
    const wall = clock.wallTime();
    await call({
      method: "POST",
      path: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
      body: {
        apiVersion: "events.k8s.io/v1",
        kind: "Event",
        metadata: {
          name: `${regarding.name.replace(/[-.]+$/, "")}.${Math.round(wall * 1000).toString(16)}`,
          namespace,
        },
        // MicroTime: six digits.
        eventTime: new Date(wall).toISOString().replace("Z", "000Z"),
        reportingController: "outrigger.dev/injector",
        reportingInstance: instance.slice(0, 128),
        type: "Warning",
        reason,
        action: "Inject",
        regarding: { ...regarding, namespace },
        note: Buffer.from(message).subarray(0, LONGEST_NOTE).toString(),
      },
    });
  };
}
