/** `/certs`: the certificates in use and how long they last (`envoy.admin.v3.Certificates`). */
import type { JsonValue } from "../../model/bootstrap.ts";
import type { CertificateView } from "../../telemetry/certificate-metrics.ts";
import { type AdminPage, json } from "./handler.ts";

const DAY_MS = 86_400_000;

/** `now`: wall-clock milliseconds. */
export function certsPage(now: () => number): AdminPage {
  return {
    path: "/certs",
    help: "print certs on machine",
    handle({ source }) {
      const byName = Map.groupBy(source.certificates(), (certificate) => certificate.name);
      const of = (group: readonly CertificateView[], role: CertificateView["role"]): JsonValue =>
        group.filter((certificate) => certificate.role === role).map((certificate) => describe(certificate, now()));
      return json({
        certificates: [...byName.values()].map((group) => ({
          ca_cert: of(group, "root"),
          cert_chain: of(group, "own"),
        })),
      });
    },
  };
}

function describe(certificate: CertificateView, now: number): JsonValue {
  return {
    path: certificate.name,
    serial_number: certificate.serial,
    subject_alt_names: certificate.subjectAltNames.map(({ type, value }) => ({
      [type === "ip" ? "ip_address" : type]: value,
    })),
    days_until_expiration: String(Math.max(0, Math.floor((certificate.notAfter - now) / DAY_MS))),
    valid_from: seconds(certificate.notBefore),
    expiration_time: seconds(certificate.notAfter),
  };
}

const seconds = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
