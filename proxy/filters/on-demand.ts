/** Requests to a host that no route is known for, held while the control plane is asked for it. */
import { isIP } from "node:net";
import { Flag } from "../../model/flags.ts";
import type { NoAnswer, OnDemand } from "../on-demand.ts";
import type { FilterContext, FilterStage } from "./filter.ts";

/** A host's name, with or without a port; others stand for no service. */
const HOST = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?(?::\d{1,5})?$/;
const MAX_HOST = 260;

const UNANSWERED =
  "outrigger: the control plane has not said in time whether a service of this name is in the mesh. The sidecar's /ready and its log tell why it does not answer.\n";

/** For requests that only the virtual host of what is unknown takes. */
export class OnDemandStage implements FilterStage {
  readonly #onDemand: OnDemand;
  readonly #timeoutMs: number;

  constructor(onDemand: OnDemand, timeoutMs: number) {
    this.#onDemand = onDemand;
    this.#timeoutMs = timeoutMs;
  }

  onRequest(context: FilterContext): boolean {
    const host = context.request.authority.toLowerCase();
    if (host.length > MAX_HOST || !HOST.test(host) || isIP(host.replace(/:\d+$/, "")) !== 0) return true;
    const waiting = this.#onDemand.hold(host, this.#timeoutMs, {
      retry() {
        if (!context.reroute()) return false;
        context.resume();
        return true;
      },
      end(why) {
        if (!answered(context, why)) context.resume();
      },
    });
    if (typeof waiting === "string") return !answered(context, waiting);
    context.onEnd(() => waiting.cancel());
    return false;
  }
}

/** True if the request was answered, because nobody knows what it is for. */
function answered(context: FilterContext, why: NoAnswer): boolean {
  if (why === "absent") return false;
  context.localReply(503, UNANSWERED, "on_demand_unanswered", Flag.NC);
  return true;
}
