/** Commands that read the two connections of a request: addresses, and what TLS proved. */
import type { ConnectionTls, PeerInfo } from "../stream-info.ts";
import type { Extract, FormatContext } from "./context.ts";
import { type Operator, type OperatorTable, optionalArgument, orNull, plain } from "./operator.ts";
import { compileTimeArgument } from "./time-format.ts";

/** `host:port`, an IPv6 host in brackets. */
function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The host of `host:port` or `[host]:port`, as it stands before the port. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(":");
  const host = colon < 0 ? address : address.slice(0, colon);
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

function portOf(address: string): number | null {
  const port = Number(address.slice(address.lastIndexOf(":") + 1));
  return address === "" || Number.isNaN(port) ? null : port;
}

/** Where the caller is: an address taken from `x-forwarded-for` where that is trusted, else the peer's. */
function remoteAddress(c: FormatContext): string {
  const { connection, downstreamAddress } = c.info;
  return downstreamAddress !== "" ? downstreamAddress : hostPort(connection.remoteAddress, connection.remotePort);
}

const tls = (read: (tls: ConnectionTls) => string): Operator =>
  plain(({ info }) => (info.connection.tls === null ? null : orNull(read(info.connection.tls))));

const peer = (read: (peer: PeerInfo) => string): Operator =>
  plain(({ info }) => {
    const certificate = info.connection.tls?.peer;
    return certificate ? orNull(read(certificate)) : null;
  });

const peerTime = (read: (peer: PeerInfo) => number): Operator =>
  optionalArgument((argument, command): Extract => {
    const format = compileTimeArgument(argument, command);
    return ({ info }) => {
      const certificate = info.connection.tls?.peer;
      return certificate ? format(read(certificate)) : null;
    };
  });

const LOCAL_ADDRESS = plain(({ info }) => hostPort(info.connection.localAddress, info.connection.localPort));
const LOCAL_HOST = plain(({ info }) => orNull(info.connection.localAddress));
const LOCAL_PORT = plain(({ info }) => info.connection.localPort);

/** The socket's own address, whatever the caller asked for. */
const direct = (read: (address: string, port: number) => string | number | null): Operator =>
  plain(({ info: { connection } }) =>
    connection.direct
      ? read(connection.direct.address, connection.direct.port)
      : read(connection.localAddress, connection.localPort),
  );

/** The address that was connected to: a host that refused was chosen, but never became the remote end. */
const upstreamRemote = ({ info }: FormatContext): string =>
  info.upstreamLocalAddress === "" ? "" : info.upstreamRemoteAddress || info.upstreamHost;

export const CONNECTION_OPERATORS: OperatorTable = {
  CONNECTION_ID: plain((c) => c.info.connection.id),
  DOWNSTREAM_REMOTE_ADDRESS: plain(remoteAddress),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: plain((c) => hostOf(remoteAddress(c))),
  DOWNSTREAM_REMOTE_PORT: plain((c) => portOf(remoteAddress(c))),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: plain(({ info }) =>
    hostPort(info.connection.remoteAddress, info.connection.remotePort),
  ),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: plain(({ info }) => orNull(info.connection.remoteAddress)),
  DOWNSTREAM_DIRECT_REMOTE_PORT: plain(({ info }) => info.connection.remotePort),
  DOWNSTREAM_LOCAL_ADDRESS: LOCAL_ADDRESS,
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: LOCAL_HOST,
  DOWNSTREAM_LOCAL_PORT: LOCAL_PORT,
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: direct(hostPort),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: direct((address) => orNull(address)),
  DOWNSTREAM_DIRECT_LOCAL_PORT: direct((_, port) => port),
  DOWNSTREAM_TLS_VERSION: tls((t) => t.version),
  DOWNSTREAM_TLS_CIPHER: tls((t) => t.cipher),
  DOWNSTREAM_LOCAL_URI_SAN: tls((t) => t.localUriSans.join(",")),
  DOWNSTREAM_LOCAL_SUBJECT: tls((t) => t.localSubject),
  DOWNSTREAM_PEER_URI_SAN: peer((p) => p.uriSans.join(",")),
  DOWNSTREAM_PEER_DNS_SAN: peer((p) => p.dnsSans.join(",")),
  DOWNSTREAM_PEER_SUBJECT: peer((p) => p.subject),
  DOWNSTREAM_PEER_ISSUER: peer((p) => p.issuer),
  DOWNSTREAM_PEER_SERIAL: peer((p) => p.serial),
  DOWNSTREAM_PEER_FINGERPRINT_256: peer((p) => p.fingerprint256),
  DOWNSTREAM_PEER_CERT: peer((p) => encodeURIComponent(p.pem())),
  DOWNSTREAM_PEER_CERT_V_START: peerTime((p) => p.notBefore),
  DOWNSTREAM_PEER_CERT_V_END: peerTime((p) => p.notAfter),
  REQUESTED_SERVER_NAME: plain(({ info: { connection } }) =>
    orNull(connection.tls?.sni ?? connection.serverName ?? ""),
  ),
  FILTER_CHAIN_NAME: plain(({ info }) => orNull(info.connection.filterChain)),
  UPSTREAM_CONNECTION_ID: plain((c) => c.info.upstreamConnectionId),
  UPSTREAM_HOST: plain(({ info }) => orNull(info.upstreamHost)),
  UPSTREAM_REMOTE_ADDRESS: plain((c) => orNull(upstreamRemote(c))),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: plain((c) => orNull(hostOf(upstreamRemote(c)))),
  UPSTREAM_REMOTE_PORT: plain((c) => portOf(upstreamRemote(c))),
  UPSTREAM_LOCAL_ADDRESS: plain(({ info }) => orNull(info.upstreamLocalAddress)),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: plain(({ info }) => orNull(hostOf(info.upstreamLocalAddress))),
  UPSTREAM_LOCAL_PORT: plain(({ info }) => portOf(info.upstreamLocalAddress)),
};
