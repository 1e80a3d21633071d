/** Real servers, each with its files in the test's own directory, that keep nothing safe and are fast to start. */
import { execFileSync } from "node:child_process";
import { chownSync, globSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { findTool } from "../support/tools.ts";
import type { Daemon } from "./daemon.ts";
import { type Host, NOBODY } from "./network.ts";

/** Ports of the servers, everywhere. */
export const PORTS = {
  postgres: 5432,
  redis: 6379,
  mariadb: 3306,
  http: 8080,
  h2c: 8081,
  https: 8443,
  ssh: 2222,
  smtp: 2525,
  websocket: 8090,
  echo: 9000,
} as const;

/** A certificate for `localhost` and the names given, and who signed it: files. */
export interface ServerCertificate {
  readonly chain: string;
  readonly key: string;
}

/** Where Debian keeps `initdb`, which isn't on the PATH; null where it is not to be had. */
export function postgresTool(name: string): string | null {
  return globSync(`/usr/lib/postgresql/*/bin/${name}`).at(-1) ?? findTool(name);
}

/** A directory that the server may write to. */
function homeOf(host: Host, name: string): string {
  const dir = path.join(host.network.dir, `${name}-${host.space.name}`);
  mkdirSync(dir, { mode: 0o700 });
  chownSync(dir, NOBODY, NOBODY);
  return dir;
}

export function selfSigned(dir: string, ...names: readonly string[]): ServerCertificate {
  const [chain, key] = [path.join(dir, "server.pem"), path.join(dir, "server.key")];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"],
      ...["-subj", "/CN=an application of its own", "-addext"],
      `subjectAltName=${["localhost", ...names].map((name) => `DNS:${name}`).join(",")}`,
      ...["-keyout", key, "-out", chain],
    ],
    { stdio: "pipe" },
  );
  for (const file of [chain, key]) chownSync(file, NOBODY, NOBODY);
  return { chain, key };
}

/** With database and user `postgres`, and TLS for whoever asks for it. */
export async function startPostgres(host: Host, { chain, key }: ServerCertificate): Promise<Daemon> {
  const dir = homeOf(host, "postgres");
  const [initdb = "", server = ""] = ["initdb", "postgres"].map((name) => postgresTool(name) ?? "");
  await host.ask([initdb, "-D", dir, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
  writeFileSync(path.join(dir, "pg_hba.conf"), "host all all all trust\n");
  const settings = {
    fsync: "off",
    listen_addresses: "*",
    port: PORTS.postgres,
    unix_socket_directories: "",
    ssl: "on",
    ssl_cert_file: chain,
    ssl_key_file: key,
    max_connections: 20,
    shared_buffers: "16MB",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return host.serve("postgres", server, "-D", dir, ...flags).until(/ready to accept connections/);
}

export function startRedis(host: Host): Promise<Daemon> {
  const program = ["redis-server", "--port", `${PORTS.redis}`, "--bind", "*", "-::*", "--protected-mode", "no"];
  return host.serve("redis", ...program, "--save", "", "--dir", homeOf(host, "redis")).until(/eady to accept/);
}

/** Without tables of its own, and so without users: everybody may do everything. */
export function startMariadb(host: Host): Promise<Daemon> {
  const dir = homeOf(host, "mariadb");
  const program = ["mariadbd", "--no-defaults", `--datadir=${dir}`, `--socket=${path.join(dir, "s")}`];
  const fast = ["--skip-grant-tables", "--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"];
  const small = ["--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--aria-pagecache-buffer-size=1M"];
  return host.serve("mariadb", ...program, `--port=${PORTS.mariadb}`, ...fast, ...small).until(/ready for connections/);
}

/** HTTP/1.1 in plaintext, HTTP/2 in plaintext by prior knowledge, and both over TLS. */
export function startNginx(host: Host, { chain, key }: ServerCertificate): Promise<Daemon> {
  const dir = homeOf(host, "nginx");
  const root = path.join(dir, "root");
  mkdirSync(root, { mode: 0o755 });
  writeFileSync(path.join(root, "big"), Buffer.alloc(3 << 20, "0123456789abcdef"));
  const file = path.join(dir, "nginx.conf");
  const listen = (port: number, options = ""): string => `listen ${port}${options}; listen [::]:${port}${options};`;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  );
  const answer = [
    `location / { add_header x-from $remote_addr; return 200 "$server_protocol $request_uri $http_x_marker\\n"; }`,
    `location /big { root ${root}; }`,
    // What comes is taken and thrown away.
    `location /upload { client_max_body_size 64m; dav_methods PUT; root ${root}; }`,
  ].join(" ");
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${dir}/pid; error_log stderr warn; events { worker_connections 4096; }
http {
  access_log off; ${temporary.join(" ")}
  server { ${listen(PORTS.http)} ${answer} }
  server { ${listen(PORTS.h2c, " http2")} ${answer} }
  server { ${listen(PORTS.https, " ssl http2")} ssl_certificate ${chain}; ssl_certificate_key ${key}; ${answer} }
}
`,
  );
  return host.serve("nginx", "nginx", "-e", "stderr", "-c", file).untilListening(PORTS.https);
}

export async function startSshd(host: Host): Promise<Daemon> {
  const dir = homeOf(host, "sshd");
  const key = path.join(dir, "key");
  await host.ask(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  const file = path.join(dir, "sshd_config");
  writeFileSync(file, `Port ${PORTS.ssh}\nHostKey ${key}\nPidFile none\nUsePAM no\nMaxStartups 100\n`);
  return host.serve("sshd", findTool("sshd") ?? "", "-D", "-e", "-f", file).until(/listening on ::/i);
}

/** Servers of our own: `app.ts` says which there are. */
export function startApp(host: Host, ...kinds: readonly string[]): Promise<Daemon> {
  const file = path.join(import.meta.dirname, "app.ts");
  return host.serve(`app ${kinds.join(" ")}`, process.execPath, file, ...kinds).until(/serving/);
}
