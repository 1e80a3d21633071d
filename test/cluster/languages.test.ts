/** Programs in several languages, none of which knows of the mesh: their calls have their pods' identities all the same. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { application, CONTAINER, SECURITY } from "./harness/application.ts";
import { apply, get, type KubeObject, namespace, rolledOut, whyNoCluster } from "./harness/cluster.ts";
import { kubectl } from "./harness/commands.ts";
import { eventually } from "./harness/eventually.ts";
import { install } from "./harness/installation.ts";
import { languagesImage, whyNoLanguages } from "./harness/languages-image.ts";

interface Job extends KubeObject {
  readonly status: { readonly succeeded?: number; readonly failed?: number };
}

const PYTHON_SERVER = `
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = ("python for " + self.headers.get("x-forwarded-client-cert", "nobody") + "\\n").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 8080), Echo).serve_forever()
`;

const NGINX_CONFIG = `
daemon off;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server { listen 8080; location / { return 200 "nginx for $http_x_forwarded_client_cert\\n"; } }
}
`;

const PERL_CLIENT = `
use IO::Socket::INET;
my $host = shift;
my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => 80, Timeout => 10) or die "connect: $@";
print $socket "GET / HTTP/1.0\\r\\nHost: $host\\r\\n\\r\\n";
print while <$socket>;
`;

const PYTHON_CLIENT = `
import sys, urllib.request
print(urllib.request.urlopen("http://" + sys.argv[1] + "/", timeout=10).read().decode())
`;

describe("programs in other languages", { skip: whyNoCluster() ?? whyNoLanguages() ?? false }, () => {
  let image = "";
  before(async () => {
    await install();
    image = await languagesImage();
  });

  test("servers in Python, nginx and Go are called by Perl, Python, curl and Go", async (t) => {
    const ns = await namespace(t, "languages");
    const server = (name: string, command: readonly string[], appProtocol = "http") => {
      const volumeMounts = [
        { name: "program", mountPath: "/program" },
        { name: "tmp", mountPath: "/tmp" },
      ];
      const container = {
        image,
        command,
        volumeMounts,
        readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 1 },
      };
      const spec = {
        volumes: [
          { name: "program", configMap: { name: "programs" } },
          { name: "tmp", emptyDir: {} },
        ],
      };
      return application({ namespace: ns, name, container, spec, appProtocol });
    };
    const data = {
      "server.py": PYTHON_SERVER,
      "nginx.conf": NGINX_CONFIG,
      "client.pl": PERL_CLIENT,
      "client.py": PYTHON_CLIENT,
    };
    await apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "programs", namespace: ns }, data });
    await apply(
      ...server("python", ["/usr/bin/python3", "-u", "/program/server.py"]),
      ...server("nginx", ["/usr/sbin/nginx", "-c", "/program/nginx.conf"]),
      ...server("go", ["/usr/local/bin/grpc-interop-server", "--port=8080"], "grpc"),
    );
    for (const name of ["python", "nginx", "go"]) await rolledOut(ns, name);

    const clients: Readonly<Record<string, readonly string[]>> = {
      perl: ["/usr/bin/perl", "/program/client.pl", "python"],
      python3: ["/usr/bin/python3", "/program/client.py", "nginx"],
      curl: ["/usr/bin/curl", "--silent", "--show-error", "--fail", "http://python/"],
      grpc: [
        ...["/usr/local/bin/grpc-interop-client", "--server_host=go", "--server_port=80"],
        "--test_case=ping_pong",
      ],
    };
    await apply(...Object.entries(clients).flatMap(([name, command]) => client(ns, name, image, command)));
    for (const name of Object.keys(clients)) {
      await eventually(`the Job ${name} to end`, async () => {
        const { status } = await get<Job>(ns, "job", name);
        return (status.succeeded ?? 0) + (status.failed ?? 0) > 0;
      });
      const logs = await kubectl(["--namespace", ns, "logs", `job/${name}`, "--container", CONTAINER]);
      assert.equal((await get<Job>(ns, "job", name)).status.succeeded, 1, `${name}: ${logs}`);
      // The gRPC client says nothing when all is well, and fails where an answer is not as it should be.
      if (name !== "grpc") assert.match(logs, new RegExp(`spiffe://cluster.local/ns/${ns}/sa/client-${name}`));
    }
  });
});

/** A Job of one call, under an account of its own. */
function client(namespace: string, name: string, image: string, command: readonly string[]): readonly object[] {
  const account = { name: `client-${name}`, namespace };
  const container = {
    name: CONTAINER,
    image,
    command,
    imagePullPolicy: "IfNotPresent",
    securityContext: SECURITY,
    volumeMounts: [{ name: "program", mountPath: "/program" }],
  };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: account },
    {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name, namespace },
      spec: {
        backoffLimit: 0,
        template: {
          spec: {
            containers: [container],
            restartPolicy: "Never",
            serviceAccountName: account.name,
            volumes: [{ name: "program", configMap: { name: "programs" } }],
          },
        },
      },
    },
  ];
}
