/** `--user`: whom the program runs as where that is not the sidecar's own user. */
import { spawnSync } from "node:child_process";
import { UserError } from "../../core/errors.ts";

export interface ProgramUser {
  readonly uid: number;
  readonly gid: number;
  /** `HOME`, `USER` and `LOGNAME`, as far as the machine knows the user. */
  readonly env: Readonly<Record<string, string>>;
}

/** The line of the machine's users that is looked up by name or number; "" where there is none. */
export type LookUpUser = (key: string) => string;

const getent: LookUpUser = (key) => spawnSync("getent", ["passwd", key], { encoding: "utf8" }).stdout ?? "";

/** null where none is named. Throws a UserError where nobody is called so, or where only root may choose. */
export function programUser(
  text: string | undefined,
  lookUp: LookUpUser = getent,
  own: number | undefined = process.geteuid?.(),
): ProgramUser | null {
  if (text === undefined) return null;
  const user = parse(text, lookUp);
  if (own !== 0 && user.uid !== own) throw new UserError(`--user ${text}: only root may run a program as another user`);
  return user;
}

function parse(text: string, lookUp: LookUpUser): ProgramUser {
  const [, uid, gid] = /^(\d+):(\d+)$/.exec(text) ?? [];
  if (uid !== undefined) return { uid: Number(uid), gid: Number(gid), env: {} };
  const [name = "", , id = "", group = "", , home = ""] = /^[\w.-]+\$?$/.test(text)
    ? lookUp(text).trim().split(":")
    : [];
  if (id !== "") return { uid: Number(id), gid: Number(group), env: { HOME: home, USER: name, LOGNAME: name } };
  if (/^\d+$/.test(text)) return { uid: Number(text), gid: Number(text), env: {} };
  throw new UserError(`--user ${text}: there is no such user on this machine`, 2);
}
