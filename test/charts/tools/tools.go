//go:build tools

// Package tools names the programs that the tests of the charts build, so that go.mod and go.sum hold their versions.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
