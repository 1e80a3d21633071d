/** Second descriptors of sockets, which Node can't make. */

export interface Descriptors {
  /** Another descriptor of the same socket; null: the system refused. */
  duplicate(fd: number): number | null;
  close(fd: number): void;
}

/** Null on systems other than Linux and where `koffi` is not installed. */
export async function loadDescriptors(): Promise<Descriptors | null> {
  if (process.platform !== "linux") return null;
  try {
    const { default: koffi } = await import("koffi");
    const library = koffi.load(null);
    const fcntl = library.func("int fcntl(int, int, int)");
    const close = library.func("int close(int)");
    return {
      duplicate(fd) {
        const second = fcntl(fd, F_DUPFD_CLOEXEC, 0) as number;
        return second < 0 ? null : second;
      },
      close: (fd) => void close(fd),
    };
  } catch {
    return null;
  }
}

const F_DUPFD_CLOEXEC = 1030;
