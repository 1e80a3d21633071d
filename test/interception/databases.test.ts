/** Databases in the mesh, with the clients that people use: bytes that nobody in between understands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Host } from "./network.ts";
import { type Conversation, holdAll, makePair, requirePrograms } from "./pair.ts";
import { PORTS, selfSigned, startMariadb, startPostgres, startRedis } from "./servers.ts";

const SERVICES = {
  postgres: { port: PORTS.postgres },
  redis: { port: PORTS.redis, protocol: "redis" },
  mariadb: { port: PORTS.mariadb },
};

/** Where the test keeps PostgreSQL's certificate. */
let roots = "";

function psql(client: Host, address: string, sslmode: string, args: readonly string[], input?: string) {
  const target = `host=postgres hostaddr=${address} port=${PORTS.postgres} user=postgres sslmode=${sslmode}`;
  const conninfo = `${target} sslrootcert=${roots} connect_timeout=10`;
  return client.ask(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", ...args, conninfo], input);
}

function redis(client: Host, address: string, args: readonly string[], input?: string) {
  return client.ask(["redis-cli", "-e", "-h", address, "-p", `${PORTS.redis}`, ...args], input);
}

const CONVERSATIONS: readonly Conversation[] = [
  {
    name: "psql: a query",
    service: "postgres",
    clear: true,
    ipv6: true,
    async hold(client, address, marker) {
      assert.equal(await psql(client, address, "disable", ["-c", `select '${marker}'`]), `${marker}\n`);
    },
  },
  {
    name: "psql: COPY of some megabytes, both ways",
    service: "postgres",
    clear: true,
    async hold(client, address, marker) {
      const rows = `${marker}${"x".repeat(1000)}\n`.repeat(4000);
      const script = ["create temp table t (a text)", "copy t from stdin", "copy t to stdout"];
      const args = script.flatMap((command) => ["-c", command]);
      assert.ok((await psql(client, address, "disable", args, rows)) === rows, "the rows came back");
    },
  },
  {
    name: "psql: PostgreSQL's own TLS",
    service: "postgres",
    clear: false,
    async hold(client, address, marker) {
      const query = `select '${marker}', ssl from pg_stat_ssl where pid = pg_backend_pid()`;
      assert.equal(await psql(client, address, "verify-full", ["-c", query]), `${marker}|t\n`);
    },
  },
  {
    name: "redis-cli: SET and GET",
    service: "redis",
    clear: true,
    ipv6: true,
    async hold(client, address, marker) {
      await redis(client, address, ["set", "key", marker]);
      assert.equal(await redis(client, address, ["get", "key"]), `${marker}\n`);
    },
  },
  {
    name: "redis-cli: values of megabytes",
    service: "redis",
    clear: true,
    async hold(client, address, marker) {
      const value = marker.repeat(200_000);
      assert.equal(await redis(client, address, ["-x", "set", "big"], value), "OK\n");
      assert.ok((await redis(client, address, ["get", "big"])) === `${value}\n`, "the value came back");
    },
  },
  {
    name: "redis-cli: publish and subscribe",
    service: "redis",
    clear: true,
    async hold(client, address, marker) {
      const command = ["redis-cli", "-h", address, "-p", `${PORTS.redis}`, "subscribe", "news"];
      const subscriber = await client.serve("subscriber", "stdbuf", "-oL", ...command).until(/subscribe\nnews/);
      await redis(client, address, ["publish", "news", marker]);
      await subscriber.until(new RegExp(`message\nnews\n${marker}`));
      await subscriber.end();
    },
  },
  {
    name: "mariadb: a query, where the server speaks first",
    service: "mariadb",
    clear: true,
    ipv6: true,
    async hold(client, address, marker) {
      const command = [
        "mariadb",
        "--no-defaults",
        "-h",
        address,
        "-P",
        `${PORTS.mariadb}`,
        "-u",
        "anybody",
        "-N",
        "-B",
      ];
      assert.equal(await client.ask([...command, "-e", `select '${marker}'`]), `${marker}\n`);
      const big = `select repeat('${marker}', 100000)`;
      assert.equal((await client.ask([...command, "-e", big])).length, marker.length * 100_000 + 1);
    },
  },
];

test("databases in the mesh", async (t) => {
  if (!requirePrograms(t, "psql", "postgres", "redis-cli", "redis-server", "mariadb", "mariadbd", "openssl")) return;
  const pair = makePair(t);
  const certificate = selfSigned(pair.network.dir, "postgres");
  roots = certificate.chain;
  await Promise.all([startPostgres(pair.server, certificate), startRedis(pair.server), startMariadb(pair.server)]);
  await pair.join(SERVICES);
  await holdAll(t, pair, Object.keys(SERVICES), CONVERSATIONS);
});
