/** The one contract of an admin page. */
import type { AdminSource } from "./admin-source.ts";

export interface AdminRequest {
  readonly query: URLSearchParams;
  readonly source: AdminSource;
}

export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  /** In pieces where it may be long: requests get their turn in between. */
  readonly body: string | Iterable<string>;
}

export interface AdminPage {
  readonly path: string;
  /** Changes something: must come by POST. */
  readonly mutates?: boolean;
  /** Shows numbers of the data plane, which are brought up to date first. */
  readonly refreshes?: boolean;
  /** For `/help`. */
  readonly help: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly handle: (request: AdminRequest) => AdminResponse | Promise<AdminResponse>;
}

export function text(body: string | Iterable<string>, status = 200): AdminResponse {
  return { status, contentType: "text/plain; charset=UTF-8", body };
}

/** Indented by one blank, as Envoy's. */
export function json(value: unknown, status = 200): AdminResponse {
  return { status, contentType: "application/json", body: `${JSON.stringify(value, null, 1)}\n` };
}
