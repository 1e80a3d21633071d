/** Query parameters read in place: no map is built for a request that only asks for one of them. */

/** The value of the first parameter called `name` in a path's query, undecoded; null where there is none. */
export function queryValue(path: string, name: string): string | null {
  let start = path.indexOf("?");
  while (start >= 0) {
    start++;
    const next = path.indexOf("&", start);
    const end = next < 0 ? path.length : next;
    if (path.startsWith(name, start)) {
      const after = start + name.length;
      if (after === end) return "";
      if (after < end && path.charCodeAt(after) === 0x3d) return path.slice(after + 1, end);
    }
    start = next;
  }
  return null;
}
