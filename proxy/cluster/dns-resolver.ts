/** Names to addresses through the machine's own means: `/etc/hosts` and the system's resolver, or DNS where TTLs count. */
import dns from "node:dns";
import net from "node:net";
import { codeOf } from "../../core/errors.ts";

export interface DnsAnswer {
  readonly address: string;
  /** Seconds; null: unknown. */
  readonly ttlS: number | null;
}

/** Resolves one name in one family. An empty answer says that there is no such name; an error that nobody knows. */
export type DnsResolver = (host: string, family: 4 | 6, wantTtl: boolean) => Promise<readonly DnsAnswer[]>;

/** Answers that say "no such name" or "none in this family", as against failures to find out. */
const NO_SUCH_NAME: ReadonlySet<string | undefined> = new Set(["ENOTFOUND", "ENODATA", "EAI_NONAME", "EAI_NODATA"]);

/**
 * Asks the system (`getaddrinfo`), which knows `/etc/hosts` and search domains but no TTLs. With `wantTtl` DNS is asked
 * itself first, and the system where DNS does not know the name.
 */
export const systemResolver: DnsResolver = async (host, family, wantTtl) => {
  if (net.isIP(host) !== 0) return net.isIP(host) === family ? [{ address: host, ttlS: null }] : [];
  if (wantTtl && host !== "localhost") {
    const answers = await askDns(host, family);
    if (answers.length > 0) return answers;
  }
  try {
    const found = await dns.promises.lookup(host, { all: true, family });
    return found.map(({ address }) => ({ address, ttlS: null }));
  } catch (error) {
    if (NO_SUCH_NAME.has(codeOf(error))) return [];
    throw error;
  }
};

/** Empty where DNS has no answer, for whatever reason: the system is asked next. */
async function askDns(host: string, family: 4 | 6): Promise<DnsAnswer[]> {
  try {
    const records =
      family === 4
        ? await dns.promises.resolve4(host, { ttl: true })
        : await dns.promises.resolve6(host, { ttl: true });
    return records.map(({ address, ttl }) => ({ address, ttlS: ttl }));
  } catch {
    return [];
  }
}
