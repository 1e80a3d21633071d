/** The proxies that are measured: how each is configured and started for one hop. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { envoyBinary } from "../../scripts/envoy-binary.ts";
import { OWN_BASELINE, type Protocol } from "../cases.ts";
import { which } from "../processes.ts";
import { type HopOptions, type HopProtocol, hopBootstrap } from "./envoy-config.ts";

export interface Peer {
  readonly name: string;
  /** Writes what it needs into `dir` and returns its command. null: it can't do what is asked. */
  command(dir: string, id: string, hop: HopOptions): readonly string[] | null;
}

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

function write(dir: string, name: string, content: string): string {
  const file = path.join(dir, name);
  writeFileSync(file, content);
  return file;
}

/** The command of a proxy that runs an Envoy bootstrap. */
export function bootstrapCommand(name: "outrigger" | "envoy", file: string): readonly string[] {
  if (name === "envoy") {
    const binary = envoyBinary();
    if (binary === null) throw new Error("Envoy is not here: see scripts/envoy-binary.ts");
    return [binary, "-c", file, "--concurrency", "1", "-l", "error", "--use-dynamic-base-id"];
  }
  return [process.execPath, path.join(root, "dist", "launcher.js"), "proxy", "-c", file, "-l", "error"];
}

const outrigger: Peer = {
  name: "outrigger",
  command: (dir, id, hop) =>
    bootstrapCommand("outrigger", write(dir, `outrigger-${id}.json`, JSON.stringify(hopBootstrap(hop)))),
};

/** The same with HTTP/1.1 where others multiplex. */
const outriggerPlainHop: Peer = {
  name: OWN_BASELINE,
  command: (dir, id, hop) => outrigger.command(dir, id, mapMultiplexed(hop, "http/1.1")),
};

const envoy: Peer = {
  name: "envoy",
  command: (dir, id, hop) => {
    const bootstrap = hopBootstrap(mapMultiplexed(hop, "h2"));
    return bootstrapCommand("envoy", write(dir, `envoy-${id}.json`, JSON.stringify(bootstrap)));
  },
};

/** For proxies without a multiplexed hop: what they speak in its place. */
function mapMultiplexed(hop: HopOptions, to: Protocol): HopOptions & { protocolIn: Protocol; protocolOut: Protocol } {
  const map = (protocol: HopProtocol): Protocol => (protocol === "multiplexed" ? to : protocol);
  return { ...hop, protocolIn: map(hop.protocolIn), protocolOut: map(hop.protocolOut) };
}

const nginx: Peer = {
  name: "nginx",
  command(dir, id, { listenPort, targetPort, tlsIn, tlsOut, protocolIn, protocolOut }) {
    // It speaks HTTP/2 to upstreams only as gRPC.
    if (protocolIn === "multiplexed" || protocolOut === "multiplexed" || protocolIn === "tcp") return null;
    const module = protocolOut === "h2" ? "grpc" : "proxy";
    const binary = which("nginx") ?? which("/usr/sbin/nginx");
    if (binary === null) return null;
    const file = write(
      dir,
      `nginx-${id}.conf`,
      `worker_processes 1; daemon off; pid ${dir}/nginx-${id}.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; client_max_body_size 0;
  client_body_temp_path ${dir}; proxy_temp_path ${dir}; fastcgi_temp_path ${dir}; uwsgi_temp_path ${dir}; scgi_temp_path ${dir};
  upstream target { server 127.0.0.1:${targetPort}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${listenPort}${tlsIn ? " ssl" : ""}${protocolIn === "h2" ? " http2" : ""};
    ${tlsIn ? `ssl_certificate ${tlsIn.chain}; ssl_certificate_key ${tlsIn.key}; ssl_client_certificate ${tlsIn.roots}; ssl_verify_client on; ssl_protocols TLSv1.3;` : ""}
    location / {
      ${
        module === "grpc"
          ? `grpc_pass ${tlsOut ? "grpcs" : "grpc"}://target;`
          : `proxy_pass ${tlsOut ? "https" : "http"}://target; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_buffering on;`
      }
      ${tlsOut ? `${module}_ssl_certificate ${tlsOut.chain}; ${module}_ssl_certificate_key ${tlsOut.key}; ${module}_ssl_trusted_certificate ${tlsOut.roots}; ${module}_ssl_verify on; ${module}_ssl_name hop.bench; ${module}_ssl_server_name on; ${module}_ssl_protocols TLSv1.3;` : ""}
    }
  }
}
`,
    );
    return [binary, "-c", file, "-g", "master_process off;"];
  },
};

const haproxy: Peer = {
  name: "haproxy",
  command(dir, id, hop) {
    const { listenPort, targetPort, tlsIn, tlsOut, protocolIn, protocolOut } = mapMultiplexed(hop, "h2");
    const speak = (protocol: Protocol, tls: boolean): string =>
      protocol === "h2" ? (tls ? " alpn h2" : " proto h2") : "";
    const binary = which("haproxy") ?? which("/usr/sbin/haproxy");
    if (binary === null) return null;
    const pem = (files: { readonly chain: string; readonly key: string }): string => {
      const both = path.join(dir, "haproxy.pem");
      writeFileSync(both, `${readFileSync(files.chain, "utf8")}${readFileSync(files.key, "utf8")}`);
      return both;
    };
    const file = write(
      dir,
      `haproxy-${id}.cfg`,
      `global
  nbthread 1
  maxconn ${protocolIn === "tcp" ? 9900 : 4096}
defaults
  mode ${protocolIn === "tcp" ? "tcp" : "http"}
  timeout connect 1s
  timeout client 1h
  timeout server 1h

frontend in
  bind 127.0.0.1:${listenPort}${tlsIn ? ` ssl crt ${pem(tlsIn)} ca-file ${tlsIn.roots} verify required ssl-min-ver TLSv1.3` : ""}${speak(protocolIn, tlsIn !== null)}
  default_backend out
backend out
  ${protocolIn === "tcp" ? "" : "http-reuse always"}
  server target 127.0.0.1:${targetPort}${tlsOut ? ` ssl crt ${pem(tlsOut)} ca-file ${tlsOut.roots} verify required sni str(hop.bench) ssl-min-ver TLSv1.3` : ""}${speak(protocolOut, tlsOut !== null)}
`,
    );
    return [binary, "-f", file, "-db"];
  },
};

const httpProxy: Peer = {
  name: "http-proxy",
  command(_dir, _id, { listenPort, targetPort, tlsIn, tlsOut, protocolOut }) {
    if (tlsIn !== null || tlsOut !== null || protocolOut !== "http/1.1") return null;
    return [
      process.execPath,
      path.join(root, "bench", "peers", "http-proxy.mjs"),
      String(listenPort),
      String(targetPort),
    ];
  },
};

export const PEERS: readonly Peer[] = [outrigger, envoy, nginx, haproxy, httpProxy];

/** Measured only where a target compares Outrigger with itself. */
export const PLAIN_HOP_PEER = outriggerPlainHop;
