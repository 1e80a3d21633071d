/** Workloads of which no manifest says anything: called by their own addresses, and what they speak is found out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Capture } from "./capture.ts";
import { Mesh } from "./mesh.ts";
import { Network } from "./network.ts";
import { requirePrograms } from "./pair.ts";
import { PORTS, startApp } from "./servers.ts";

test("workloads that nothing is declared of call each other by their own addresses, encrypted", async (t) => {
  if (!requirePrograms(t)) return;
  const network = new Network(t);
  const [client, mail, web] = [network.host("client"), network.host("mail"), network.host("web")];
  await Promise.all([startApp(mail, `smtp:${PORTS.smtp}`), startApp(web, "name:8080:web")]);
  const mesh = await Mesh.start(network, {});
  await mesh.join(
    { host: client, service: "client", port: 1 },
    { host: mail, service: "mail", port: PORTS.smtp },
    { host: web, service: "web", port: 8080 },
  );

  await t.test("a server that speaks first", async () => {
    const wire = await Capture.start(mail, "mesh");
    const address = mail.addresses.mesh[4];
    const letter = ["--mail-from", "one@example.com", "--mail-rcpt", "other@example.com", "-T", "-"];
    const command = ["curl", "-sSv", "--max-time", "20", `smtp://${address}:${PORTS.smtp}`, ...letter];
    const { code, stderr } = await client.call(command, "subject: marker-of-mail\r\n\r\nmarker-of-mail\r\n");
    assert.equal(code, 0, `${stderr}\n${network.said()}`);
    assert.equal(await wire.saw("marker-of-mail"), false, "readable on the wire");
    assert.ok(wire.size > 0, "it came over this wire");
  });

  await t.test("a server of HTTP", async () => {
    const wire = await Capture.start(web, "mesh");
    const url = `http://${web.addresses.mesh[4]}:8080/marker-of-web`;
    assert.match(await client.ask(["curl", "-sS", "--fail", "--max-time", "10", url]), /^web \/marker-of-web/);
    assert.equal(await wire.saw("marker-of-web"), false, "readable on the wire");
    assert.ok(wire.size > 0, "it came over this wire");
  });
});
