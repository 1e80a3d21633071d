/** A call to another service, as a program in Kubernetes makes it: host and port come from the environment. */
import { get } from "node:http";

export interface PeerAnswer {
  readonly status: number;
  readonly body: string;
}

/** Calls `path` of the service; status 503 where nobody answers. */
export function callPeer(service: string, path: string): Promise<PeerAnswer> {
  const host = process.env[`${service}_SERVICE_HOST`];
  const port = process.env[`${service}_SERVICE_PORT`];
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
