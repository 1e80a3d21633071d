/** What Outrigger supports of Gateway API for meshes, in the suite's words: what is not named here is not tested. */

export const PROFILES = ["MESH-HTTP", "MESH-GRPC"] as const;

/** Core ones follow from the profiles; these are Extended. */
export const FEATURES: readonly string[] = [
  "MeshClusterIPMatching",
  "MeshConsumerRoute",
  "MeshHTTPRouteRewritePath",
  "MeshHTTPRouteSchemeRedirect",
  "MeshHTTPRouteRedirectPort",
  "MeshHTTPRouteRedirectPath",
  "MeshHTTPRouteBackendRequestHeaderModification",
  "MeshHTTPRouteQueryParamMatching",
  "MeshHTTPRouteNamedRouteRule",
  // Of routes as such: tests for meshes ask for them, too.
  "HTTPRouteResponseHeaderModification",
  "HTTPRouteParentRefPort",
  "HTTPRoute303RedirectStatusCode",
  "HTTPRoute307RedirectStatusCode",
  "HTTPRoute308RedirectStatusCode",
];
