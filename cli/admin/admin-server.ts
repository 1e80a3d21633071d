/** The admin interface: what runs, what it is configured with, and the few things that one may do to it. */
import { isIPv4 } from "node:net";
import { UserError } from "../../core/errors.ts";
import { type Address, formatAddress } from "../../model/address.ts";
import type { AdminSource } from "./admin-source.ts";
import { text } from "./handler.ts";
import { type RunningServer, serve } from "./http-server.ts";
import { refuseForeign } from "./origin-guard.ts";
import { adminPages, helpText } from "./pages.ts";

export interface AdminOptions {
  readonly address: Address;
  /** True where a bootstrap says so itself: an address that other machines can reach. */
  readonly allowRemote: boolean;
  readonly source: AdminSource;
  /** Wall-clock milliseconds. */
  readonly now: () => number;
}

/** Starts the admin server. Throws `UserError` where the address is not loopback, or cannot be had. */
export async function startAdminServer(options: AdminOptions): Promise<RunningServer> {
  const { address, allowRemote, source } = options;
  const loopback = isLoopback(address);
  if (!loopback && !allowRemote) {
    throw new UserError(`admin: ${formatAddress(address)} is not a loopback address`);
  }
  const pages = adminPages(options.now);
  const byPath = new Map(pages.map((page) => [page.path, page]));
  return serve("admin", address, async (request, url) => {
    const page = byPath.get(url.pathname);
    if (page === undefined) return text(`invalid path. ${helpText(pages)}`, 404);
    const mutates = page.mutates ?? false;
    const refusal = refuseForeign(request, mutates, !loopback);
    if (refusal !== null) return text(`refused: ${refusal}\n`, 403);
    const { method = "" } = request;
    if (mutates && method !== "POST") return text(`Method ${method} not allowed, POST required.`, 405);
    if (!mutates && method !== "GET" && method !== "HEAD") return text(`Method ${method} not allowed.`, 405);
    if (page.refreshes) await source.refresh();
    return page.handle({ query: url.searchParams, source });
  });
}

/** Reachable from this machine only: 127.0.0.0/8, ::1, `localhost`, or a pipe. */
export function isLoopback(address: Address): boolean {
  if (address.kind === "pipe") return true;
  const { host } = address;
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}
