/** Objects as somebody hands them to an API server: all that it demands, and no more. */

/** `portName` says what its instances speak. */
export function serviceObject(namespace: string, name: string, port = 80, portName = "http") {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace, name },
    spec: { clusterIP: "None", selector: { app: name }, ports: [{ name: portName, port, targetPort: 8080 }] },
  };
}

export function sliceObject(namespace: string, name: string, service: string, addresses: readonly string[]) {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace, name, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}

export function podObject(namespace: string, name: string, metadata: object = {}, spec: object = {}) {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, ...metadata },
    spec: { containers: [{ name: "app", image: "app" }], ...spec },
  };
}

/** As kubelet writes it. */
export function podStatus(address: string) {
  return { status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] } };
}

/** A number as an address of 10.0.0.0/8. */
export function addressOf(index: number): string {
  return `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
}
