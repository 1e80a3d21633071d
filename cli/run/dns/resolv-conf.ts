/** resolv.conf(5): the machine's name servers, and the file of a program whose one name server is the relay. */

/** Where queries go; as the C library has it, this machine where none is named. */
export function nameServers(text: string): readonly string[] {
  const named = text.split("\n").flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
  return named.length === 0 ? ["127.0.0.1"] : named;
}

/** The machine's file with `server` in the place of its name servers. Search domains and options stay. */
export function withNameServer(text: string, server: string): string {
  const kept = text.split("\n").filter((line) => !/^\s*(nameserver\s|[#;])/.test(line) && line.trim() !== "");
  return [...kept, `nameserver ${server}`, ""].join("\n");
}
