//go:build tools

// Package tools names the programs that the tests of HTTP/2 and gRPC build, so that go.mod and go.sum hold their versions.
package tools

import (
	_ "github.com/summerwind/h2spec/cmd/h2spec"
	_ "google.golang.org/grpc/interop/client"
	_ "google.golang.org/grpc/interop/server"
)
