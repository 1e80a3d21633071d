/** What `--control-plane HOST:PORT` is: its TLS port, or on loopback its plaintext one; and where its CA answers. */
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { parseHostPort } from "../../control-client/connect.ts";
import type { Clock } from "../../core/clock.ts";
import { codeOf, UserError } from "../../core/errors.ts";
import { type ControlPlaneRecord, controlPlaneRecordFile } from "../state-home.ts";

export interface FoundControlPlane {
  readonly host: string;
  readonly port: number;
  /** The xDS port speaks TLS. */
  readonly secure: boolean;
  /** Where certificates are asked for, always over TLS. */
  readonly ca: { readonly host: string; readonly port: number };
  /** From the record of a control plane on this machine, null if there is none. */
  readonly trustDomain: string | null;
}

/** The contract's ports: plaintext xDS and TLS are two apart. */
const TLS_AFTER_PLAINTEXT = 2;
const PROBE_MS = 2000;

/** Rejects with a UserError for a malformed address, or for plaintext to another machine. */
export async function findControlPlane(hostPort: string, stateDir: string, clock: Clock): Promise<FoundControlPlane> {
  const address = parseHostPort(hostPort);
  if (address.kind !== "tcp") throw new UserError(`${hostPort} is no HOST:PORT`, 2);
  const { host, port } = address;
  const loopback = host === "localhost" || host === "::1" || host.startsWith("127.");
  const record = loopback ? readRecord(stateDir) : null;
  const trustDomain = record?.trustDomain ?? null;
  // What the control plane itself has written need not be found out; what it has not (it may be down) is probed.
  const known =
    record !== null && portOf(record.xds) === port
      ? false
      : record !== null && portOf(record.xdsTls) === port
        ? true
        : null;
  const secure = known ?? (await speaksTls(host, port, clock));
  if (secure) return { host, port, secure, ca: { host, port }, trustDomain };
  if (!loopback)
    throw new UserError(
      `${hostPort} answers in plaintext: that is only accepted on this machine; use the TLS port (15012)`,
    );
  const caPort = record === null ? port + TLS_AFTER_PLAINTEXT : portOf(record.xdsTls);
  return { host, port, secure, ca: { host, port: caPort }, trustDomain };
}

function portOf(hostPort: string): number {
  return Number(hostPort.slice(hostPort.lastIndexOf(":") + 1));
}

function readRecord(stateDir: string): ControlPlaneRecord | null {
  try {
    return JSON.parse(readFileSync(controlPlaneRecordFile(stateDir), "utf8")) as ControlPlaneRecord;
  } catch {
    // No control plane of this user has run here: the address alone tells.
    return null;
  }
}

/** Tries a handshake. Only an answer in plaintext counts as "no": a control plane that is down may come up with TLS. */
function speaksTls(host: string, port: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    const timer = clock.after(PROBE_MS, () => done(true));
    const done = (secure: boolean): void => {
      timer.cancel();
      socket.destroy();
      resolve(secure);
    };
    socket.once("secureConnect", () => done(true));
    socket.once("error", (error) => {
      const code = codeOf(error);
      done(
        !(
          code === "ERR_SSL_WRONG_VERSION_NUMBER" ||
          code === "ERR_SSL_PACKET_LENGTH_TOO_LONG" ||
          code === "ECONNRESET"
        ),
      );
    });
  });
}
