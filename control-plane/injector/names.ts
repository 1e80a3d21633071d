/** Names, places and ports that the injected parts of a pod, and whoever looks for them, agree on. */

export const INIT_CONTAINER = "outrigger-init";
export const SIDECAR_CONTAINER = "outrigger-proxy";
export const OWN_CONTAINERS: ReadonlySet<string> = new Set([INIT_CONTAINER, SIDECAR_CONTAINER]);

/** Token, roots and labels, from the kubelet, which keeps them current. */
export const IDENTITY_VOLUME = "outrigger-identity";
export const IDENTITY_DIR = "/var/run/outrigger/identity";
export const TOKEN_FILE = `${IDENTITY_DIR}/token`;
export const ROOTS_FILE = `${IDENTITY_DIR}/roots.pem`;
export const LABELS_FILE = `${IDENTITY_DIR}/labels`;

/** The last good configuration: it outlives the container, not the pod. */
export const STATE_VOLUME = "outrigger-state";
export const STATE_DIR = "/var/lib/outrigger";
export const OWN_VOLUMES: ReadonlySet<string> = new Set([IDENTITY_VOLUME, STATE_VOLUME]);

/** Label of a pod that has a sidecar, for selectors of monitors and network policies. */
export const SIDECAR_LABEL = "outrigger.dev/sidecar";

/** The user and group that the sidecar runs as, and by which rules know its connections. */
export const PROXY_ID = 1337;

export const HEALTH_PORT = 15_021;
export const METRICS_PORT = 15_020;
/** Taken in each pod with a sidecar: admin, outbound, inbound, metrics, health. */
export const OWN_PORTS: ReadonlySet<number> = new Set([15_000, 15_001, 15_006, METRICS_PORT, HEALTH_PORT]);
export const READY_PATH = "/healthz/ready";
/** Under it the sidecar asks the program for its health, where the kubelet cannot itself. */
export const APP_HEALTH = "/app-health/";

/** What programs call as a proxy where nothing is intercepted. */
export const HTTP_PROXY_URL = "http://127.0.0.1:15001";
