/** Numbers connections, either side's, so that logs can tell which requests shared one; as in Envoy, one count for all. */
let last = 0;

export function nextConnectionId(): number {
  return ++last;
}
