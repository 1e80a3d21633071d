/** What the rules of interception, the sidecar and the control plane must agree on. */

/** From where a sidecar calls its application when it hands an intercepted inbound connection on (Envoy's `upstream_bind_config`). */
export const INBOUND_SOURCE: Readonly<Record<4 | 6, string>> = { 4: "127.0.0.6", 6: "::6" };

/** Where intercepted connections are led to. */
export const OUTBOUND_PORT = 15_001;
export const INBOUND_PORT = 15_006;

/**
 * The domain of the virtual host for calls to an instance at its own address: they are not calls of the service's name, so
 * its routes are not for them (Gateway API: of the service's backend, not of its frontend). RFC 2606: no host has it.
 */
export const INSTANCE_CALLS = "instances.invalid";
