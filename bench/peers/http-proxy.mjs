// The baseline that many people start from. Usage: node http-proxy.mjs PORT BACKEND_PORT
import http from "node:http";
import httpProxy from "http-proxy";

const [, , port, backend] = process.argv;
const proxy = httpProxy.createProxyServer({
  target: { host: "127.0.0.1", port: Number(backend) },
  agent: new http.Agent({ keepAlive: true }),
});
proxy.on("error", (_error, _request, response) => response.end());
http.createServer((request, response) => proxy.web(request, response)).listen(Number(port), "127.0.0.1");
