import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { Flag } from "../../model/flags.ts";
import { compileFormat } from "../../telemetry/format.ts";
import { StreamInfo } from "../../telemetry/stream-info.ts";
import { Arrival } from "./arrival.ts";
import { ConnectionLog, streamOf } from "./connection-log.ts";
import { PlayedSocket } from "./testing/inbound-subject.ts";

const FORMAT = [
  "%ACCESS_LOG_TYPE% %PROTOCOL% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%",
  "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %DOWNSTREAM_LOCAL_ADDRESS% %FILTER_CHAIN_NAME%",
].join(" ");

function subject() {
  const clock = new SimulatedClock();
  clock.advance(5);
  const lines: string[] = [];
  const format = compileFormat(FORMAT);
  const log = new ConnectionLog([(context) => void lines.push(format(context))], clock);
  const arrival = new Arrival(
    new PlayedSocket({ host: "10.0.0.1", port: 4000 }, { host: "127.0.0.1", port: 15_006 }).asSocket,
  );
  arrival.restore({ host: "10.0.0.2", port: 80 });
  return { clock, lines, log, info: arrival.info("l", "chain", null) };
}

test("a connection of requests has its bytes and its protocol", () => {
  const { clock, lines, log, info } = subject();
  const end = log.begin(info);
  clock.advance(7);
  end(undefined, {
    socket: { bytesRead: 80, bytesWritten: 121 } as Socket,
    protocol: "HTTP/2",
    drain() {},
  });
  assert.deepEqual(lines, ["NotSet HTTP/2 - - - 80 121 7 10.0.0.2:80 chain"]);
});

test("a stream of bytes tells for itself, as the listener's line", () => {
  const { clock, lines, log, info } = subject();
  const stream = new StreamInfo(info);
  Object.assign(stream, { logType: "TcpConnectionEnd", startedAt: 5, bytesReceived: 3, bytesSent: 4, flags: Flag.UF });
  clock.advance(1);
  log.begin(info)(stream, { socket: {} as Socket, drain() {} });
  assert.deepEqual(lines, ["NotSet - UF - - 3 4 1 10.0.0.2:80 chain"]);
});

test("what was not served says why", () => {
  const { clock, lines, log, info } = subject();
  log.write(streamOf(info, clock, { flags: Flag.NR, details: "filter_chain_not_found" }));
  log.write(streamOf(info, clock, { termination: "rbac_access_denied_matched_policy[none]" }));
  assert.deepEqual(lines, [
    "NotSet - NR filter_chain_not_found - 0 0 0 10.0.0.2:80 chain",
    "NotSet - - - rbac_access_denied_matched_policy[none] 0 0 0 10.0.0.2:80 chain",
  ]);
});
