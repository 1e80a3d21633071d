/** The contract of the connection manager's stages: small functions in a list, made when configuration arrives. */
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";

/** `seen`: bits of `Group`, found before the stages ran. */
export type RequestStage = (request: RequestHead, info: StreamInfo, seen: number) => void;

export type ResponseStage = (head: ResponseHead, info: StreamInfo, request: RequestHead, seen: number) => void;
