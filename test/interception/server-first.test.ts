/** Protocols where the server speaks first, so that there is nothing to detect until it has: they may not be held up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Conversation, holdAll, makePair, requirePrograms } from "./pair.ts";
import { PORTS, startApp, startSshd } from "./servers.ts";

const SERVICES = { ssh: { port: PORTS.ssh }, mail: { port: PORTS.smtp } };

/** Far below any deadline of detection that would have to pass first, and far above what a busy machine needs. */
const HELD_UP_MS = 4000;

async function promptly(work: () => Promise<void>): Promise<void> {
  const begin = performance.now();
  await work();
  assert.ok(performance.now() - begin < HELD_UP_MS, "it was held up");
}

const CONVERSATIONS: readonly Conversation[] = [
  {
    name: "ssh-keyscan",
    service: "ssh",
    clear: false,
    ipv6: true,
    hold: (client, address) =>
      promptly(async () => {
        const keys = await client.ask(["ssh-keyscan", "-T", "10", "-t", "ed25519", "-p", `${PORTS.ssh}`, address]);
        assert.match(keys, /ssh-ed25519 AAAA/);
      }),
  },
  {
    name: "curl: mail to a server that greets",
    service: "mail",
    clear: true,
    ipv6: true,
    hold: (client, address, marker) =>
      promptly(async () => {
        const host = address.includes(":") ? `[${address}]` : address;
        const mail = ["--mail-from", "one@example.com", "--mail-rcpt", "other@example.com", "-T", "-"];
        const command = ["curl", "-sSv", "--max-time", "20", `smtp://${host}:${PORTS.smtp}`, ...mail];
        const { code, stderr } = await client.call(command, `subject: ${marker}\r\n\r\n${marker}\r\n`);
        assert.equal(code, 0, stderr);
        assert.match(stderr, /< 220 greeting-of-the-mail-server/);
      }),
  },
];

test("servers that speak first, in the mesh", async (t) => {
  if (!requirePrograms(t, "sshd", "ssh-keyscan", "ssh-keygen")) return;
  const pair = makePair(t);
  await Promise.all([startSshd(pair.server), startApp(pair.server, `smtp:${PORTS.smtp}`)]);
  await pair.join(SERVICES);
  await holdAll(t, pair, Object.keys(SERVICES), CONVERSATIONS);
});
