/**
 * Health probes of a pod whose inbound connections come to the sidecar. The kubelet has no certificate of the mesh, and
 * behind a sidecar every port seems to listen. So each kind of probe has its way:
 *
 * - `httpGet` in plaintext stays as it is: the sidecar is told its port and path, which it lets pass also under `STRICT`.
 * - `exec` never comes by the network.
 * - `tcpSocket`, `grpc` and `httpGet` over HTTPS are asked of the sidecar instead, which asks the program: a connection
 *   would be accepted whether or not the program is there, and neither gRPC nor TLS of another kind passes `STRICT`.
 *
 * `lifecycle` hooks with `httpGet` are the kubelet's requests, too.
 */

import { type JsonObject, objectOf, textOf } from "../json.ts";
import { itemsOf } from "./annotation-values.ts";
import { APP_HEALTH, HEALTH_PORT, READY_PATH } from "./names.ts";
import { portNumber } from "./workload.ts";

export interface ProbePlan {
  /** `8080/healthz`: for the sidecar's `--probe`. */
  readonly passing: readonly string[];
  /** `tcp/5432`, `grpc/9000/orders`, `https/8443/healthz`: for the sidecar's `--app-health`. */
  readonly asked: readonly string[];
  readonly warnings: readonly string[];
}

export interface ProbeOptions {
  /** Whether connections to a port come to the sidecar. */
  readonly intercepted: (port: number) => boolean;
  /** `app`, `app/readinessProbe` or `*`, with commas: left as they are. */
  readonly excluded: string;
}

const PROBES = ["startupProbe", "livenessProbe", "readinessProbe"];
const HOOKS = ["postStart", "preStop"];

/** What the sidecar must be told of these containers' probes. */
export class ProbePlanner {
  readonly #options: ProbeOptions;
  readonly #excluded: ReadonlySet<string>;
  readonly #passing = new Set<string>();
  readonly #asked = new Set<string>();
  readonly #warnings: string[] = [];

  constructor(options: ProbeOptions) {
    this.#options = options;
    this.#excluded = new Set(itemsOf(options.excluded));
  }

  get plan(): ProbePlan {
    return { passing: [...this.#passing], asked: [...this.#asked], warnings: this.#warnings };
  }

  /** The container with its probes as they are to be; the same object where nothing changes. */
  container(container: JsonObject): JsonObject {
    const name = textOf(container["name"]);
    const changes: Record<string, JsonObject> = {};
    for (const kind of PROBES) {
      const probe = objectOf(container[kind]);
      const changed = this.#isExcluded(name, kind) ? probe : this.#action(probe, container, `${name}/${kind}`);
      if (changed !== probe) changes[kind] = changed;
    }
    const lifecycle = objectOf(container["lifecycle"]);
    for (const hook of HOOKS) {
      const action = objectOf(lifecycle[hook]);
      // A hook's TCP connection is nothing that Kubernetes makes any more.
      if (this.#isExcluded(name, hook) || action["httpGet"] === undefined) continue;
      const changed = this.#action(action, container, `${name}/${hook}`);
      if (changed !== action) changes["lifecycle"] = { ...(changes["lifecycle"] ?? lifecycle), [hook]: changed };
    }
    return Object.keys(changes).length === 0 ? container : { ...container, ...changes };
  }

  #isExcluded(container: string, kind: string): boolean {
    return ["*", container, `${container}/${kind}`].some((name) => this.#excluded.has(name));
  }

  #action(action: JsonObject, container: JsonObject, place: string): JsonObject {
    const { httpGet, tcpSocket, grpc } = action;
    if (httpGet !== undefined) return this.#http(action, objectOf(httpGet), container, place);
    if (tcpSocket !== undefined) {
      const target = objectOf(tcpSocket);
      // Another host's port is none of this pod's.
      if (textOf(target["host"]) !== "") return action;
      const port = this.#port(target, container, place);
      return port === null ? action : this.#ask(action, "tcpSocket", `tcp/${port}`);
    }
    if (grpc !== undefined) {
      const target = objectOf(grpc);
      const port = this.#port(target, container, place);
      const service = encodeURIComponent(textOf(target["service"]));
      return port === null ? action : this.#ask(action, "grpc", `grpc/${port}/${service}`);
    }
    return action;
  }

  #http(action: JsonObject, target: JsonObject, container: JsonObject, place: string): JsonObject {
    if (textOf(target["host"]) !== "") return action;
    const path = pathOf(target);
    if (portNumber(target["port"], container) === HEALTH_PORT && path.startsWith(APP_HEALTH)) {
      this.#asked.add(path.slice(APP_HEALTH.length));
      return action;
    }
    const port = this.#port(target, container, place);
    if (port === null) return action;
    if (textOf(target["scheme"]).toUpperCase() === "HTTPS") {
      if (target["httpHeaders"] !== undefined) {
        this.#warnings.push(`${place}: its httpHeaders are not sent: the sidecar asks in the kubelet's place`);
      }
      return this.#ask(action, "httpGet", `https/${port}${path}`);
    }
    // What follows a question mark is not part of the path that the sidecar compares.
    const [bare = ""] = path.split(/[?#]/);
    if (/\s/.test(bare)) this.#warnings.push(`${place}: a path with blanks cannot be let pass under STRICT`);
    else this.#passing.add(`${port}${bare}`);
    return action;
  }

  /** null: nothing is to be done, for the sidecar never sees that port, or nobody knows which it is. */
  #port(target: JsonObject, container: JsonObject, place: string): number | null {
    const port = portNumber(target["port"], container);
    if (port === null) this.#warnings.push(`${place}: the container has no port ${JSON.stringify(target["port"])}`);
    return port !== null && this.#options.intercepted(port) ? port : null;
  }

  #ask(action: JsonObject, kind: string, what: string): JsonObject {
    this.#asked.add(what);
    const { [kind]: _, ...rest } = action;
    return { ...rest, httpGet: { path: `${APP_HEALTH}${what}`, port: HEALTH_PORT, scheme: "HTTP" } };
  }
}

function pathOf(target: JsonObject): string {
  const path = textOf(target["path"]);
  return path.startsWith("/") ? path : `/${path}`;
}

/** Asks whether the sidecar itself is ready. */
export function sidecarProbe(periodSeconds: number, failureThreshold: number): JsonObject {
  return {
    httpGet: { path: READY_PATH, port: HEALTH_PORT, scheme: "HTTP" },
    timeoutSeconds: 3,
    periodSeconds,
    successThreshold: 1,
    failureThreshold,
  };
}
