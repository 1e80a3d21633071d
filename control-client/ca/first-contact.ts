/**
 * Learning the mesh's roots from the control plane itself, at the first contact of a workload that knows only their
 * hashes (its join token carries them, as kubeadm's do). Nothing is sent on this connection but the handshake.
 */
import { isIP } from "node:net";
import tls from "node:tls";
import { parseCertificates } from "../../certs/inspect.ts";
import { spkiSha256 } from "../../certs/key.ts";
import { chainEndsIn } from "../../certs/workload-certificate.ts";
import type { Clock } from "../../core/clock.ts";
import { codeOf, messageOf } from "../../core/errors.ts";

/**
 * The roots that the server presents and that the pins name, PEM. Rejects with an Error when it presents none of them,
 * when its certificate does not chain to one, or when it does not answer within `timeoutMs`.
 */
export async function fetchPinnedRoots(
  address: { readonly host: string; readonly port: number },
  pins: readonly Buffer[],
  clock: Clock,
  timeoutMs: number,
): Promise<string> {
  const [leaf, ...others] = await presentedChain(address, clock, timeoutMs);
  const pinned = others.filter((certificate) => pins.some((pin) => pin.equals(spkiSha256(certificate.publicKey))));
  if (!leaf || pinned.length === 0) {
    throw new Error(
      `the control plane at ${address.host}:${address.port} does not present the root that the join token names: is the token of another mesh, or was the root rotated since?`,
    );
  }
  // That it holds the leaf's key, the handshake has proved; that the pinned root vouches for the leaf is proved here.
  const intermediates = others.filter((certificate) => !pinned.includes(certificate));
  if (!chainEndsIn(leaf, intermediates, pinned)) {
    throw new Error(
      `the certificate of ${address.host}:${address.port} is not signed by the root that the join token names`,
    );
  }
  return pinned.map(String).join("");
}

function presentedChain(address: { host: string; port: number }, clock: Clock, timeoutMs: number) {
  return new Promise<ReturnType<typeof parseCertificates>>((resolve, reject) => {
    const { host, port } = address;
    const socket = tls.connect({
      host,
      port,
      // There is nothing to verify it by yet: the pins decide.
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.2",
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    const timer = clock.after(timeoutMs, () =>
      socket.destroy(new Error(`no TLS handshake with ${host}:${port} within ${timeoutMs} ms`)),
    );
    socket.once("secureConnect", () => {
      timer.cancel();
      const chain = [];
      const seen = new Set<string>();
      for (
        let certificate: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
        certificate?.raw && !seen.has(certificate.fingerprint256);
        certificate = certificate.issuerCertificate
      ) {
        seen.add(certificate.fingerprint256);
        chain.push(`-----BEGIN CERTIFICATE-----\n${certificate.raw.toString("base64")}\n-----END CERTIFICATE-----\n`);
      }
      socket.destroy();
      resolve(parseCertificates(chain.join("")));
    });
    socket.once("error", (error) => {
      timer.cancel();
      const plaintext = codeOf(error) === "ERR_SSL_WRONG_VERSION_NUMBER";
      const why = plaintext ? "it answered in plaintext: is this the TLS port (15012)?" : messageOf(error);
      reject(new Error(`cannot reach the control plane at ${host}:${port}: ${why}`, { cause: error }));
    });
  });
}
