/** What `--control-plane HOST:PORT` is: its TLS port, or on loopback its plaintext one; and where its CA answers. */
import { readFileSync } from "node:fs";
import tls from "node:tls";
import { parseHostPort } from "../../control-client/connect.ts";
import { type Clock, sleep } from "../../core/clock.ts";
import { codeOf, messageOf, UserError } from "../../core/errors.ts";
import { logger } from "../../core/log.ts";
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
const LOOK_AGAIN_MS = 250;
/** OpenSSL's words for bytes that are no TLS record. */
const NO_TLS_RECORD = ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG"];

const log = logger("main");

/**
 * Waits for a control plane of which nothing is known yet: sidecars may be started first. Rejects with a UserError for a
 * malformed address, or for plaintext to another machine.
 */
export async function findControlPlane(hostPort: string, stateDir: string, clock: Clock): Promise<FoundControlPlane> {
  const address = parseHostPort(hostPort);
  if (address.kind !== "tcp") throw new UserError(`${hostPort} is no HOST:PORT`, 2);
  const { host, port } = address;
  const loopback = host === "localhost" || host === "::1" || host.startsWith("127.");
  for (let told = false; ; ) {
    const record = loopback ? readRecord(stateDir) : null;
    const trustDomain = record?.trustDomain ?? null;
    const spoken = recordedProtocol(record, port) ?? (await probe(host, port, clock));
    if (spoken === "tls") return { host, port, secure: true, ca: { host, port }, trustDomain };
    if (spoken === "plaintext") {
      if (!loopback)
        throw new UserError(
          `${hostPort} answers in plaintext: that is only accepted on this machine; use the TLS port (15012)`,
        );
      const caPort = record === null ? port + TLS_AFTER_PLAINTEXT : portOf(record.xdsTls);
      return { host, port, secure: false, ca: { host, port: caPort }, trustDomain };
    }
    if (!told) log.warn({ controlPlane: hostPort, reason: spoken.error }, "waiting for the control plane");
    told = true;
    await sleep(clock, LOOK_AGAIN_MS);
  }
}

/** What the control plane itself has written need not be found out, and holds while it is down. */
function recordedProtocol(record: ControlPlaneRecord | null, port: number): "tls" | "plaintext" | null {
  if (record === null) return null;
  if (portOf(record.xds) === port) return "plaintext";
  return portOf(record.xdsTls) === port ? "tls" : null;
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

/** Tries a handshake. */
function probe(host: string, port: number, clock: Clock): Promise<"tls" | "plaintext" | { readonly error: string }> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    const done = (result: "tls" | "plaintext" | { readonly error: string }): void => {
      timer.cancel();
      socket.destroy();
      resolve(result);
    };
    const timer = clock.after(PROBE_MS, () => done({ error: `no answer within ${PROBE_MS} ms` }));
    let connected = false;
    socket.once("connect", () => {
      connected = true;
    });
    socket.once("secureConnect", () => done("tls"));
    socket.once("error", (error) => {
      const code = codeOf(error) ?? "";
      // A server without TLS either answers in its own words or hangs up on the ClientHello; one that sends an alert
      // does speak it.
      if (NO_TLS_RECORD.includes(code) || (connected && code === "ECONNRESET")) done("plaintext");
      else if (code.startsWith("ERR_SSL_")) done("tls");
      else done({ error: messageOf(error) });
    });
  });
}
