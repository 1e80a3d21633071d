/** How answers that the proxy itself gives look: Envoy's `LocalReplyConfig`, and plain words for the local application. */

import { Flag, type FlagName } from "../../model/flags.ts";
import type { LocalReplyConfig, LocalReplyFilter, LocalReplyFormat } from "../../model/http.ts";
import { comparison } from "../../telemetry/access-log/filter.ts";
import { compileFormat, compileJsonFormat, type Format, textOfBytes } from "../../telemetry/format.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import { compileHeaderMatch } from "../router/compile-matcher.ts";
import { applyLevels, compileLevels } from "../router/header-mutations.ts";
import type { Failure } from "./failures.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

export interface LocalReplies {
  /**
   * Applies the first mapper that matches and the body format; returns the body, whose type is in `head` if it is another
   * than that given. `now`: ms of the clock that started the request.
   */
  apply(head: ResponseHead, body: string, info: StreamInfo, request: RequestHead, now: number): string;
  /** What went wrong, for the application beside this sidecar: which hop, which cause, what was tried, what to do. */
  explain(failure: Failure, info: StreamInfo): string;
}

type Test = (info: StreamInfo, request: RequestHead, status: number, now: number) => boolean;

interface BodyFormat {
  readonly contentType: string;
  readonly format: Format;
}

/** Compiles `local_reply_config`. */
export function compileLocalReplies(config: LocalReplyConfig): LocalReplies {
  if (config.mappers.length === 0 && config.bodyFormat === null) return { apply: (_head, body) => body, explain };
  const mappers = config.mappers.map((mapper) => ({
    test: compileFilter(mapper.filter),
    status: mapper.statusCode,
    body: mapper.body,
    format: mapper.bodyFormat === null ? null : compileBody(mapper.bodyFormat),
    levels: compileLevels([{ add: mapper.headersToAdd, remove: [] }]),
  }));
  const general = config.bodyFormat === null ? null : compileBody(config.bodyFormat);
  return {
    explain,
    apply(head, given, info, request, now) {
      const mapper = mappers.find(({ test }) => test(info, request, head.status, now));
      let text = given;
      if (mapper) {
        if (mapper.body !== null) text = mapper.body;
        if (mapper.levels !== null) {
          applyLevels(mapper.levels, head.headers, {
            info,
            request,
            responseHeaders: head.headers,
            responseTrailers: null,
          });
        }
        // Last, as in Envoy: the headers above still see the original status.
        if (mapper.status !== null) {
          head.status = mapper.status;
          info.responseCode = mapper.status;
        }
      }
      const format = mapper?.format ?? general;
      if (format !== null) {
        const responseHeaders = head.headers;
        const context = { info, request, responseHeaders, responseTrailers: null, localReplyBody: text };
        text = textOfBytes(format.format(context));
      }
      if (text !== given || format !== null) head.headers.set("content-type", format?.contentType ?? "text/plain");
      return text;
    },
  };
}

function compileBody({ contentType, format }: LocalReplyFormat): BodyFormat {
  if (format.kind === "text") {
    return { contentType: contentType || "text/plain", format: compileFormat(format.template) };
  }
  const json = compileJsonFormat(format.fields);
  // Envoy ends a JSON body with a newline.
  return { contentType: contentType || "application/json", format: (context) => `${json(context)}\n` };
}

function compileFilter(filter: LocalReplyFilter): Test {
  switch (filter.kind) {
    case "status_code": {
      const compare = comparison(filter.op, filter.value);
      return (_info, _request, status) => compare(status);
    }
    case "duration": {
      const compare = comparison(filter.op, filter.value);
      return (info, _request, _status, now) => compare(Math.floor(now - info.startedAt));
    }
    case "not_health_check":
      // Only Envoy's health check filter marks requests as such, and there is none here.
      return () => true;
    case "response_flag": {
      const flags = filter.flags as readonly FlagName[];
      if (flags.length === 0) return (info) => info.flags !== 0;
      const bits = flags.reduce((sum, name) => sum | (Flag[name] ?? 0), 0);
      return (info) => (info.flags & bits) !== 0;
    }
    case "header": {
      const test = compileHeaderMatch(filter.header);
      return (_info, request) => test(request);
    }
    case "and": {
      const tests = filter.filters.map(compileFilter);
      return (...about) => tests.every((test) => test(...about));
    }
    case "or": {
      const tests = filter.filters.map(compileFilter);
      return (...about) => tests.some((test) => test(...about));
    }
  }
}

/** What to do about each kind of failure, as far as an application's developer can do something. */
const ADVICE: readonly (readonly [flag: number, advice: string])[] = [
  [Flag.UH, "see /clusters on the sidecar's admin port for the reason of each endpoint"],
  [Flag.UF, "check that the service runs and that its sidecar is ready"],
  [Flag.UO, "raise the limit in its ResiliencePolicy, or wait until the service recovers"],
  [Flag.UT, "raise the timeout in its ResiliencePolicy, or find out why the service is slow"],
  [Flag.NR, "check the host name, and that a Service of that name exists in the mesh"],
  [Flag.UC, "look into the service's own log at this moment"],
];

function explain(failure: Failure, info: StreamInfo): string {
  const target = info.cluster === "" ? "" : ` to ${info.cluster}`;
  const host = info.upstreamHost === "" ? "" : `, last at ${info.upstreamHost}`;
  const tried = info.attempts > 0 ? ` Tried ${info.attempts} ${info.attempts === 1 ? "time" : "times"}${host}.` : "";
  const advice = ADVICE.find(([flag]) => (failure.flags & flag) !== 0)?.[1];
  return `Outrigger: the call${target} failed on its way out: ${info.explanation}.${tried}${advice ? ` What to do: ${advice}.` : ""}\n`;
}
