/**
 * How many data-plane threads a process can really run at once: what its control group may use of the processors, not
 * what the machine has. A thread more than that only makes all of them wait for the scheduler.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";

/** What the answer is made of; files of Linux, null where there is none. */
export interface CpuFacts {
  read(file: string): string | null;
  /** Processors where the system tells no affinity mask. */
  readonly processors: number;
}

export function systemCpuFacts(): CpuFacts {
  return {
    read(file) {
      try {
        return readFileSync(file, "utf8");
      } catch {
        return null;
      }
    },
    processors: availableParallelism(),
  };
}

/** What `--concurrency 0` means: the quota rounded up, at least 1, at most the processors of the affinity mask. */
export function threadsForQuota(facts: CpuFacts): number {
  const processors = allowedProcessors(facts) ?? facts.processors;
  return Math.max(1, Math.min(processors, Math.ceil(cpuQuota(facts) ?? Infinity)));
}

/** From `Cpus_allowed_list: 0-3,8`. Node's own count rounds a quota down, so that it can't be used here. */
function allowedProcessors({ read }: CpuFacts): number | null {
  const list = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(read("/proc/self/status") ?? "")?.[1];
  if (list === undefined) return null;
  let count = 0;
  for (const range of list.split(",")) {
    const [first = "", last = first] = range.split("-");
    count += Number(last) - Number(first) + 1;
  }
  return count > 0 ? count : null;
}

/** Processors' worth of time that the control group may use, the tightest of its ancestors counted; null: no bound. */
export function cpuQuota(facts: CpuFacts): number | null {
  const groups = (facts.read("/proc/self/cgroup") ?? "").split("\n");
  const mounts = (facts.read("/proc/self/mountinfo") ?? "").split("\n").flatMap(parseMount);
  let tightest: number | null = null;
  for (const { version, root, point } of mounts) {
    const group = groups.map(parseGroup).find((one) => one?.version === version);
    if (!group) continue;
    for (const dir of dirsOf(group.path, root, point)) {
      const quota = version === 2 ? quotaV2(facts, dir) : quotaV1(facts, dir);
      if (quota !== null && (tightest === null || quota < tightest)) tightest = quota;
    }
  }
  return tightest;
}

interface Mount {
  readonly version: 1 | 2;
  /** Which group the mount point shows. */
  readonly root: string;
  readonly point: string;
}

/** proc(5): `36 35 0:30 /root /sys/fs/cgroup rw,… shared:1 - cgroup2 cgroup rw`; of version 1 the hierarchy with `cpu`. */
function parseMount(line: string): Mount[] {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , root = "", point = ""] = before.split(" ");
  const [type, , options = ""] = after.split(" ");
  if (type === "cgroup2") return [{ version: 2, root, point }];
  return type === "cgroup" && options.split(",").includes("cpu") ? [{ version: 1, root, point }] : [];
}

/** cgroups(7): `0::/path` of version 2, `4:cpu,cpuacct:/path` of version 1. */
function parseGroup(line: string): { readonly version: 1 | 2; readonly path: string } | null {
  const match = /^(\d+):([^:]*):(.*)$/.exec(line);
  if (match === null) return null;
  const [, id, controllers = "", group = ""] = match;
  if (id === "0" && controllers === "") return { version: 2, path: group };
  return controllers.split(",").includes("cpu") ? { version: 1, path: group } : null;
}

/** The group's folder and those above it, as far as they are mounted. A container may see only its own, as the root. */
function dirsOf(group: string, root: string, point: string): string[] {
  const inside = path.relative(root, group);
  const parts = inside === "" || inside.startsWith("..") ? [] : inside.split("/");
  return [point, ...parts.map((_, i) => path.join(point, ...parts.slice(0, i + 1)))];
}

/** `150000 100000`: microseconds of CPU time in each period. */
function quotaV2({ read }: CpuFacts, dir: string): number | null {
  const [quota = "", period = ""] = (read(path.join(dir, "cpu.max")) ?? "").trim().split(" ");
  return ratio(quota, period);
}

function quotaV1({ read }: CpuFacts, dir: string): number | null {
  return ratio(read(path.join(dir, "cpu.cfs_quota_us")) ?? "", read(path.join(dir, "cpu.cfs_period_us")) ?? "");
}

/** null for `max`, `-1` and what is not there. */
function ratio(quota: string, period: string): number | null {
  const value = Number.parseInt(quota, 10) / Number.parseInt(period, 10);
  return value > 0 && Number.isFinite(value) ? value : null;
}
