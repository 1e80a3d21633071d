/**
 * The injector's webhook: AdmissionReviews over HTTPS from the API server. Its certificate follows a watch, without a
 * connection being refused or cut. What goes wrong here is answered with a status that leaves the decision to the
 * webhook's `failurePolicy`, which is about pods that have asked for a sidecar, and no others.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Clock } from "../../core/clock.ts";
import { codeOf, messageOf, UserError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { nextValue, type Watch } from "../../core/watch.ts";
import type { JsonValue } from "../json.ts";
import {
  type AdmissionContext,
  type AdmissionOutcome,
  answerReview,
  type InjectionEvent,
  MalformedReview,
} from "./admission.ts";
import { BodyTooLarge, readBody } from "./request-body.ts";

/** PEM. */
export interface ServingCertificate {
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface WebhookOptions extends AdmissionContext {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The certificate in force; the webhook begins with the first that there is. */
  readonly certificate: Watch<ServingCertificate>;
  readonly clock: Clock;
  readonly log: Logger;
  /** A pod is left without a sidecar. Called after the answer has been sent; what it throws is logged. */
  readonly onEvent?: (event: InjectionEvent) => void | Promise<void>;
  /** Hears of each review: how it ended, and how long that took, s. */
  readonly onReview?: (outcome: ReviewOutcome, seconds: number) => void;
  /** A pod has got a sidecar, and the API server will make it. */
  readonly onInjected?: (namespace: string) => void;
}

/** `failed`: by our own fault; `malformed`: it was no review. */
export type ReviewOutcome = AdmissionOutcome | "failed" | "malformed";

export interface Webhook {
  readonly port: number;
  /** Takes no more connections, and lets those go on that are being answered. */
  close(): Promise<void>;
}

export const INJECT_PATH = "/inject";
const READY_PATH = "/healthz/ready";

/** A Pod has at most 1.5 MB in etcd; a review has it twice at most, and JSON that nobody has compressed. */
const LONGEST_BODY = 8 * 1024 * 1024;
/** The API server waits for 30 s at most (`timeoutSeconds`). */
const REQUEST_TIMEOUT_MS = 30_000;

/** Starts it once there is a certificate. Rejects with a UserError where the port cannot be had. */
export async function startWebhook(options: WebhookOptions): Promise<Webhook> {
  const { host, port, certificate, log } = options;
  const server = createServer({ ...context(await nextValue(certificate)), requestTimeout: REQUEST_TIMEOUT_MS });
  const stopFollowing = certificate.subscribe((current) => {
    try {
      server.setSecureContext(context(current));
    } catch (error) {
      log.error({ error: messageOf(error) }, "the webhook's new certificate cannot be used: the old one serves on");
    }
  });
  server.on("request", (request, response) => void handle(request, response, options));
  // Handshakes that fail are the client's affair: port scans, probes, an API server that does not trust the root yet.
  server.on("tlsClientError", (error) =>
    log.debug({ error: messageOf(error) }, "TLS handshake with the webhook failed"),
  );
  try {
    await listen(server, host, port);
  } catch (error) {
    stopFollowing();
    throw error;
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      stopFollowing();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
    },
  };
}

function context({ chainPem, keyPem }: ServingCertificate) {
  return { cert: chainPem, key: keyPem, minVersion: "TLSv1.2" as const };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const why = codeOf(error) === "EADDRINUSE" ? "the port is in use" : messageOf(error);
      reject(new UserError(`the webhook cannot listen on ${host}:${port}: ${why}`));
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

async function handle(request: IncomingMessage, response: ServerResponse, options: WebhookOptions): Promise<void> {
  const { clock, log, onReview } = options;
  const began = clock.now();
  const told = (outcome: ReviewOutcome): void => onReview?.(outcome, (clock.now() - began) / 1000);
  try {
    const refused = refusal(request);
    if (refused === null) await review(request, response, options, told);
    else send(request, response, ...refused);
  } catch (error) {
    if (error instanceof BodyTooLarge) send(request, response, 413, `${error.message}\n`);
    else if (error instanceof MalformedReview) {
      told("malformed");
      send(request, response, 400, `not an AdmissionReview: ${error.message}\n`);
    } else if (!request.complete) response.destroy();
    else {
      told("failed");
      log.error({ error: messageOf(error) }, "a review could not be answered: the webhook's failurePolicy decides");
      send(request, response, 500, "the injector failed: its log says why\n");
    }
  }
}

/** What is no review, by its first lines; null: it may be one. */
function refusal({ method, url = "", headers }: IncomingMessage): readonly [number, string] | null {
  // The API server adds its time limit as a query.
  const [path] = url.split("?");
  if (path === READY_PATH) return [200, "LIVE\n"];
  if (path !== INJECT_PATH) return [404, `try ${INJECT_PATH}\n`];
  if (method !== "POST") return [405, "an AdmissionReview comes by POST\n"];
  const [type = ""] = (headers["content-type"] ?? "").split(";");
  return type.trim().toLowerCase() === "application/json" ? null : [415, "application/json is needed\n"];
}

async function review(
  request: IncomingMessage,
  response: ServerResponse,
  options: WebhookOptions,
  told: (outcome: ReviewOutcome) => void,
): Promise<void> {
  const body = await readBody(request, LONGEST_BODY);
  const { review: answer, outcome, event, injectedInto } = await answerReview(parse(body), options);
  send(request, response, 200, JSON.stringify(answer), "application/json");
  told(outcome);
  if (injectedInto !== null) options.onInjected?.(injectedInto);
  if (event === null) return;
  const { namespace, regarding, reason, message } = event;
  options.log.warn({ namespace, ...regarding, reason }, `no sidecar: ${message}`);
  try {
    await options.onEvent?.(event);
  } catch (error) {
    options.log.warn({ error: messageOf(error) }, "the event could not be written");
  }
}

function parse(body: Buffer): JsonValue {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body)) as JsonValue;
  } catch (error) {
    throw new MalformedReview(messageOf(error));
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
  contentType = "text/plain; charset=UTF-8",
): void {
  if (response.headersSent || response.destroyed) return;
  // A body that nobody reads would stand in the way of the next request.
  if (!request.complete) response.setHeader("connection", "close");
  response.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
