/**
 * The program of the pods that tests make: it answers with what it was asked, calls others when it is told to, and sends
 * a steady load and counts what became of it. It runs from a ConfigMap, by the Node of Outrigger's image.
 */
import http from "node:http";
import os from "node:os";

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

interface Report {
  sent: number;
  answered: number;
  readonly failures: string[];
}

const startedAt = Date.now();
const port = Number(process.env["PORT"] ?? 8080);
const name = process.env["NAME"] ?? "app";
const agent = new http.Agent({ keepAlive: true });
const report: Report = { sent: 0, answered: 0, failures: [] };

function call(url: string, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent, headers, timeout: 20_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks).toString() });
      });
    });
    request.on("timeout", () => request.destroy(new Error("no answer in 20 s")));
    request.on("error", reject);
  });
}

/** Calls `url` so many times a second until the process ends. */
function load(url: string, perSecond: number): void {
  setInterval(() => {
    report.sent++;
    call(url).then(
      ({ status, body }) => {
        report.answered++;
        if (status !== 200) report.failures.push(`${elapsed()} ${status} ${body.slice(0, 300)}`);
      },
      (error: Error) => report.failures.push(`${elapsed()} ${error.message}`),
    );
  }, 1000 / perSecond);
}

function elapsed(): string {
  return `+${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
}

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url ?? "/", "http://app");
  const text = (key: string, otherwise = "") => url.searchParams.get(key) ?? otherwise;
  const answer = (status: number, value: unknown) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(value));
  };
  request.resume();
  await new Promise((resolve) => request.on("end", resolve));
  if (url.pathname === "/call") {
    const given = JSON.parse(text("headers", "{}")) as http.OutgoingHttpHeaders;
    try {
      answer(200, await call(text("url"), given));
    } catch (error) {
      answer(200, { status: 0, headers: {}, body: String(error) });
    }
  } else if (url.pathname === "/load") {
    load(text("url"), Number(text("perSecond", "50")));
    answer(200, report);
  } else if (url.pathname === "/report") {
    answer(200, report);
  } else {
    await new Promise((resolve) => setTimeout(resolve, Number(text("ms", "0"))));
    const { method, headers } = request;
    answer(Number(text("status", "200")), { name, pod: os.hostname(), method, path: url.pathname, headers });
  }
});

server.listen(port, "::");
// As a decent program does: what it has begun it finishes, and it takes nothing new.
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
