// Package suite is Gateway API's conformance suite as one program, so that the versions in go.mod say which suite it is.
package suite

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) {
	conformance.RunConformance(t)
}
