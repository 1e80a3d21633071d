/** Bodies of `local_reply_config` against those that Envoy 1.40 sent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LocalReplyFormat } from "../../model/http.ts";
import { StreamInfo } from "../../telemetry/stream-info.ts";
import { compileLocalReplies } from "./local-reply.ts";
import { RequestHead, ResponseHead } from "./message.ts";

const RECORDED: readonly [bodyFormat: LocalReplyFormat, given: string, type: string, envoy: string][] = [
  [
    {
      contentType: "",
      format: {
        kind: "json",
        fields: {
          body: "%LOCAL_REPLY_BODY%",
          mix: "é %LOCAL_REPLY_BODY%!",
          code: "%RESPONSE_CODE%",
          p: "%REQ(x-u)%",
        },
      },
    },
    'say "hi"\n',
    "application/json",
    '{"body":"say \\"hi\\"\\n","code":404,"mix":"é say \\"hi\\"\\n!","p":"café"}\n',
  ],
  [
    { contentType: "", format: { kind: "json", fields: { body: "%LOCAL_REPLY_BODY%", mix: "é %LOCAL_REPLY_BODY%!" } } },
    "",
    "application/json",
    '{"body":"","mix":"é !"}\n',
  ],
  [
    {
      contentType: "",
      format: { kind: "text", template: "é <%LOCAL_REPLY_BODY%> %RESPONSE_CODE% %REQ(nope)% %REQ(x-u)%" },
    },
    'say "hi"\n',
    "text/plain",
    'é <say "hi"\n> 404 - café',
  ],
  [
    { contentType: "text/html", format: { kind: "text", template: "<%LOCAL_REPLY_BODY%>" } },
    "größe",
    "text/html",
    "<größe>",
  ],
];

for (const [bodyFormat, given, type, envoy] of RECORDED) {
  test(`${bodyFormat.format.kind} body of ${JSON.stringify(given)} as ${type}`, () => {
    const replies = compileLocalReplies({ mappers: [], bodyFormat });
    const head = new ResponseHead();
    head.status = 404;
    const info = new StreamInfo({
      id: 1,
      remoteAddress: "127.0.0.1",
      remotePort: 1,
      localAddress: "127.0.0.1",
      localPort: 2,
      tls: null,
      listener: "",
      filterChain: "",
    });
    info.responseCode = 404;
    const request = new RequestHead();
    request.headers.append("x-u", Buffer.from("café").toString("latin1"));
    assert.equal(replies.apply(head, given, info, request, 0), envoy);
    assert.equal(head.headers.get("content-type"), type);
  });
}
