/** The heads of a request and a response as the data plane sees them, whichever protocol version they came by. */
import { HeaderMap } from "../../core/header-map.ts";
import type { RequestView } from "../../telemetry/stream-info.ts";

export class RequestHead implements RequestView {
  method = "";
  path = "";
  /** `host` or `:authority`; kept out of `headers`. */
  authority = "";
  scheme = "http";
  protocol = "HTTP/1.1";
  readonly headers: HeaderMap = new HeaderMap();

  clear(): void {
    this.method = "";
    this.path = "";
    this.authority = "";
    this.scheme = "http";
    this.protocol = "HTTP/1.1";
    this.headers.clear();
  }
}

export class ResponseHead {
  status = 0;
  /** Reason phrase as it came, "" for none. */
  reason = "";
  protocol = "HTTP/1.1";
  readonly headers: HeaderMap = new HeaderMap();

  clear(): void {
    this.status = 0;
    this.reason = "";
    this.protocol = "HTTP/1.1";
    this.headers.clear();
  }
}
