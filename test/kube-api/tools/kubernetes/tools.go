//go:build tools

// Package tools names the API server, so that go.mod and go.sum hold its version. Its staging modules are replaced by
// what is published of them: a module that requires Kubernetes does not see the replacements within its own tree.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
