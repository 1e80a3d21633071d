/** Certificates in the metrics: seconds left, so that an alarm needs no arithmetic. */
import type { Clock } from "../core/clock.ts";
import type { MetricsRegistry } from "./metrics.ts";

/** One certificate in use, as metrics and `/certs` see it. */
export interface CertificateView {
  /** Secret or file that it came from. */
  readonly name: string;
  /** Whether it is shown to peers or trusted in them. */
  readonly role: "own" | "root";
  readonly subjectAltNames: readonly { readonly type: "uri" | "dns" | "ip"; readonly value: string }[];
  readonly subject: string;
  /** Hex. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Registers the expiry of all certificates that `certificates` gives. Of several under one name, the first to expire counts. */
export function registerCertificateMetrics(
  registry: MetricsRegistry,
  clock: Clock,
  certificates: () => Iterable<CertificateView>,
): void {
  registry.sampled(
    {
      name: "outrigger_certificate_expiry_seconds",
      type: "gauge",
      help: "Seconds until the certificate expires; negative afterwards",
      labels: ["name", "role"],
    },
    (emit) => {
      const first = new Map<string, CertificateView>();
      for (const certificate of certificates()) {
        const key = `${certificate.role} ${certificate.name}`;
        const known = first.get(key);
        if (known === undefined || certificate.notAfter < known.notAfter) first.set(key, certificate);
      }
      const now = clock.wallTime();
      for (const { name, role, notAfter } of first.values()) emit((notAfter - now) / 1000, name, role);
    },
  );
}
