import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpuFacts, cpuQuota, systemCpuFacts, threadsForQuota } from "./cpu-quota.ts";

function facts(files: Record<string, string>, processors = 8): CpuFacts {
  return { read: (file) => files[file] ?? null, processors };
}

const V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const V1_MOUNTS =
  "31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
  "33 23 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

const v2 = (group: string, limits: Record<string, string>): Record<string, string> => ({
  "/proc/self/cgroup": `0::${group}\n`,
  "/proc/self/mountinfo": V2_MOUNT,
  ...Object.fromEntries(Object.entries(limits).map(([dir, text]) => [`/sys/fs/cgroup${dir}/cpu.max`, `${text}\n`])),
});

test("a quota of version 2 is rounded up", () => {
  assert.equal(threadsForQuota(facts(v2("/", { "": "150000 100000" }))), 2);
  assert.equal(threadsForQuota(facts(v2("/", { "": "10000 100000" }))), 1);
  assert.equal(threadsForQuota(facts(v2("/", { "": "300000 100000" }))), 3);
});

test("no quota leaves all processors, and a quota above them, too", () => {
  assert.equal(threadsForQuota(facts(v2("/", { "": "max 100000" }))), 8);
  assert.equal(threadsForQuota(facts({}, 5)), 5);
  assert.equal(threadsForQuota(facts(v2("/", { "": "1600000 100000" }))), 8);
});

test("the tightest of a group and its ancestors counts", () => {
  const limits = { "/a": "200000 100000", "/a/b": "max 100000", "/a/b/c": "700000 100000" };
  assert.equal(cpuQuota(facts(v2("/a/b/c", limits))), 2);
  assert.equal(cpuQuota(facts(v2("/other", limits))), null);
});

test("a quota of version 1 is found where a container sees its own group as the root", () => {
  const files = {
    "/proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n",
    "/proc/self/mountinfo": V1_MOUNTS,
    "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "250000\n",
    "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
  };
  assert.equal(cpuQuota(facts(files)), 2.5);
  assert.equal(threadsForQuota(facts(files)), 3);
  assert.equal(cpuQuota(facts({ ...files, "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n" })), null);
});

test("the affinity mask bounds it", () => {
  const mask = { "/proc/self/status": "Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-1,5\n" };
  assert.equal(threadsForQuota(facts(mask)), 3);
  assert.equal(threadsForQuota(facts({ ...mask, ...v2("/", { "": "200000 100000" }) })), 2);
});

test("on this machine it is at least one", () => {
  assert.ok(threadsForQuota(systemCpuFacts()) >= 1);
});
