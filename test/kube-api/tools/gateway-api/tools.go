//go:build tools

// Package tools names Gateway API, so that go.mod and go.sum hold the version of which the tests install the CRDs.
package tools

import _ "sigs.k8s.io/gateway-api/apis/v1"
