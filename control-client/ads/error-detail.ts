/** The `error_detail` of a NACK: every problem on a line of its own, with the resource and the path of the field. */
import { create, type MessageShape } from "@bufbuild/protobuf";
import { formatProblem, type Problem } from "../../core/errors.ts";
import { StatusSchema } from "../../generated/google/rpc/status_pb.js";

/** `google.rpc.Code.INVALID_ARGUMENT`. */
const INVALID_ARGUMENT = 3;

/** A `google.rpc.Status` for `problems`, or undefined for none. */
export function errorDetail(problems: readonly Problem[]): MessageShape<typeof StatusSchema> | undefined {
  if (problems.length === 0) return undefined;
  return create(StatusSchema, { code: INVALID_ARGUMENT, message: problems.map(formatProblem).join("\n") });
}
