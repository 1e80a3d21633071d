/**
 * How load is shared between priority levels: what is healthy in the first takes all it can, the rest spills over
 * (Envoy's `LoadBalancerBase`, "Priority levels" and "Panic threshold" in its load balancing overview).
 */

/** Hosts of one priority level by state. */
export interface LevelCounts {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

export interface PriorityLoads {
  /** Percent of requests for each level's healthy and degraded hosts; together 100. */
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** Levels that use all their hosts, whatever their health, because too few are healthy. */
  readonly panic: readonly boolean[];
}

/**
 * `overprovisioningFactor` in percent (Envoy's default: 140): a level with 72% of its hosts healthy still counts as
 * whole. `panicThreshold` in percent; 0 switches panic off.
 */
export function priorityLoads(
  levels: readonly LevelCounts[],
  overprovisioningFactor: number,
  panicThreshold: number,
): PriorityLoads {
  const availability = (count: number, total: number): number =>
    total === 0 ? 0 : Math.min(100, Math.floor((overprovisioningFactor * count) / total));
  const healthyAvailability = levels.map((level) => availability(level.healthy, level.total));
  const degradedAvailability = levels.map((level) => availability(level.degraded, level.total));
  const available = Math.min(100, sum(healthyAvailability) + sum(degradedAvailability));

  const healthy: number[] = levels.map(() => 0);
  const degraded: number[] = levels.map(() => 0);
  if (available > 0) {
    const leftAfterHealthy = distribute(healthy, healthyAvailability, 100, available);
    const left = distribute(degraded, degradedAvailability, leftAfterHealthy, available);
    // What rounding left over goes to the first level that has anything.
    const first = healthyAvailability.findIndex((share) => share > 0);
    if (first >= 0) healthy[first] = (healthy[first] as number) + left;
    else {
      const firstDegraded = degradedAvailability.findIndex((share) => share > 0);
      degraded[firstDegraded] = (degraded[firstDegraded] as number) + left;
    }
  } else if (panicThreshold === 0) {
    if (levels.length > 0) healthy[0] = 100;
    return { healthy, degraded, panic: levels.map(() => false) };
  }

  const panic = levels.map((level) => {
    if (available === 100) return false;
    if (level.total === 0) return true;
    return ((level.healthy + level.degraded) * 100) / level.total < Math.min(100, panicThreshold);
  });
  if (levels.length > 0 && panic.every(Boolean)) return { ...totalPanic(levels), panic };
  return { healthy, degraded, panic };
}

/** Fills `loads` by availability until `total` is used up; returns what is left. */
function distribute(loads: number[], availability: readonly number[], total: number, available: number): number {
  let left = total;
  for (let i = 0; i < availability.length; i++) {
    const load = Math.min(left, Math.floor(((availability[i] as number) * 100) / available));
    loads[i] = load;
    left -= load;
  }
  return left;
}

/** All levels are in panic: load by number of hosts, healthy or not. */
function totalPanic(levels: readonly LevelCounts[]): { healthy: number[]; degraded: number[] } {
  const degraded = levels.map(() => 0);
  const total = levels.reduce((all, level) => all + level.total, 0);
  if (total === 0) return { healthy: levels.map((_, i) => (i === 0 ? 100 : 0)), degraded };
  const healthy = levels.map((level) => Math.floor((100 * level.total) / total));
  const first = levels.findIndex((level) => level.total > 0);
  healthy[first] = (healthy[first] as number) + 100 - sum(healthy);
  return { healthy, degraded };
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
