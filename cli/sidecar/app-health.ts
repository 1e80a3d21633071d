/**
 * Asks the program for its health in the kubelet's place, for probes that cannot come by the inbound listener: there every
 * port takes connections, and under STRICT neither gRPC nor TLS of another kind passes. Only what was asked for by flag
 * is looked at, so that nobody finds out by it what else listens here.
 */
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import { messageOf } from "../../core/errors.ts";
import { INBOUND_SOURCE } from "../../model/interception.ts";
import { type AdminResponse, text } from "../admin/handler.ts";
import { type AppHealthCheck, type ParsedCheck, parseCheck } from "./app-health-check.ts";

/** Where the kubelet finds them, at the health port. */
export const APP_HEALTH_PATH = "/app-health/";

/** The kubelet gives up much sooner; this only clears away what it has left. */
const TIMEOUT_MS = 10_000;
const HEALTHY = text("healthy\n");

/** Answers a request for `/app-health/…`, its query included; null: it is none that was asked for. */
export type AnswerAppHealth = (pathAndQuery: string) => Promise<AdminResponse> | null;

/**
 * `host`: the address that the program is called at. The calls come from where the sidecar calls its program from
 * (`source`), which the rules of interception leave alone.
 */
export function appHealth(
  checks: readonly AppHealthCheck[],
  host: string,
  source: string = INBOUND_SOURCE[host.includes(":") ? 6 : 4],
): AnswerAppHealth {
  const known = new Map(
    checks.flatMap((argument) => {
      const check = parseCheck(argument);
      return check === null ? [] : [[`${APP_HEALTH_PATH}${argument}`, check]];
    }),
  );
  return (path) => {
    const check = known.get(path);
    return check === undefined ? null : ask(check, host, source);
  };
}

async function ask({ kind, port, rest }: ParsedCheck, host: string, source: string): Promise<AdminResponse> {
  const at = { host, port, localAddress: source, timeout: TIMEOUT_MS };
  try {
    if (kind === "tcp") await connects(at);
    else if (kind === "https") await answersHttps(at, rest);
    else await servesGrpc(at, decodeURIComponent(rest.slice(1)));
    return HEALTHY;
  } catch (error) {
    return text(`unhealthy: ${messageOf(error)}\n`, 503);
  }
}

type At = net.TcpNetConnectOpts;

/** The socket, which ends itself where nothing happens. */
function dial(at: At): net.Socket {
  const socket = net.connect(at);
  socket.once("timeout", () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
  return socket;
}

function connects(at: At): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = dial(at);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}

/** As the kubelet: whatever certificate there is, and any status from 200 to 399. */
function answersHttps(at: At, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const { localAddress } = at;
    const request = https.get(
      {
        host: at.host ?? "",
        port: at.port,
        ...(localAddress === undefined ? {} : { localAddress }),
        path,
        agent: false,
        rejectUnauthorized: false,
        timeout: TIMEOUT_MS,
      },
      ({ statusCode = 0 }) => {
        request.destroy();
        if (statusCode >= 200 && statusCode < 400) resolve();
        else reject(new Error(`status ${statusCode}`));
      },
    );
    request.once("timeout", () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.once("error", reject);
  });
}

/** `grpc.health.v1.Health/Check`, in plaintext with prior knowledge, as the kubelet asks. */
function servesGrpc(at: At, service: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://${net.isIPv6(at.host ?? "") ? `[${at.host}]` : at.host}:${at.port}`, {
      createConnection: () => dial(at),
    });
    const done = (error: Error | null): void => {
      session.destroy();
      if (error === null) resolve();
      else reject(error);
    };
    session.once("error", done);
    const call = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    let status: string | undefined;
    const statusOf = (headers: http2.IncomingHttpHeaders): void => {
      const value = headers["grpc-status"];
      if (typeof value === "string") status = value;
    };
    call.once("response", statusOf);
    call.once("trailers", statusOf);
    call.on("data", (chunk: Buffer) => chunks.push(chunk));
    call.once("error", done);
    call.once("end", () => done(verdict(status, Buffer.concat(chunks))));
    call.end(healthRequest(service));
  });
}

/** A length-prefixed message (gRPC over HTTP/2) whose field 1 is the service's name. */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service);
  // A varint of two bytes at most: a path of the kubelet's request has no more.
  const length = name.length < 128 ? [name.length] : [(name.length & 0x7f) | 0x80, name.length >> 7];
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...length]), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** `HealthCheckResponse.status`, field 1: 1 is SERVING. */
function verdict(grpcStatus: string | undefined, answer: Buffer): Error | null {
  if (grpcStatus !== "0") return new Error(`gRPC status ${grpcStatus ?? "missing"}`);
  return answer[5] === 0x08 && answer[6] === 1 ? null : new Error("the service is not SERVING");
}
