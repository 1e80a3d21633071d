/** A call to another service, as a program in Kubernetes makes it: by host and port from the environment, or by name. */
import { get } from "node:http";

export interface Peer {
  readonly host: string;
  readonly port: number;
}

/** Where a service is called, by its name. */
export type FindPeer = (service: string) => Peer;

export const fromEnvironment: FindPeer = (service) => {
  const name = service.toUpperCase();
  return {
    host: process.env[`${name}_SERVICE_HOST`] ?? "",
    port: Number(process.env[`${name}_SERVICE_PORT`]),
  };
};

/** Where programs listen that have a network of their own: nobody is in the way, and the service's port is the same. */
export const APP_PORT = 8080;

/** `http://orders:8080`. */
export const byName: FindPeer = (service) => ({ host: service, port: APP_PORT });

export interface PeerAnswer {
  readonly status: number;
  readonly body: string;
}

/** Calls `path`; status 503 where nobody answers. */
export function callPeer({ host, port }: Peer, path: string): Promise<PeerAnswer> {
  return new Promise((resolve) => {
    const broken = (error: Error): void => resolve({ status: 503, body: error.message });
    get({ host, port, path }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 503, body }));
      response.on("error", broken);
    }).on("error", broken);
  });
}
