/** Makes the sources that a bootstrap names: the aggregated stream, gRPC services of one kind, files. */
import { FileSource } from "./source/file-source.ts";
import { LazySource } from "./source/lazy-source.ts";
import type { SourceFactory } from "./source/source-table.ts";
import type { StreamOptions } from "./streams.ts";

const streams = (): Promise<typeof import("./streams.ts")> => import("./streams.ts");

export function sourceFactory(options: StreamOptions): SourceFactory {
  const ads = options.bootstrap.dynamic?.ads;
  return {
    ads: () => (ads ? new LazySource(async () => (await streams()).adsSource(options, ads)) : null),
    single(kind, source) {
      if (source.kind === "file") return new FileSource({ ...options, kind, path: source.path });
      return new LazySource(async () => (await streams()).singleSource(options, kind, source.source));
    },
  };
}
