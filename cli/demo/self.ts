/** The command line that starts this very program again, from the bundle as from sources. */
export function self(...args: readonly string[]): readonly [program: string, ...args: string[]] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? "", ...args];
}
