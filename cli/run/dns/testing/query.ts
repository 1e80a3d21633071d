/** DNS queries for tests. */

/** A standard query, class IN, recursion desired. */
export function query(name: string, type: number, id = 0xabcd): Buffer {
  const labels = name === "" ? [] : name.split(".");
  const head = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const parts = labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([head, ...parts, Buffer.from([0, type >> 8, type & 255, 0, 1])]);
}
