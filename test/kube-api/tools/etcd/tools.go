//go:build tools

// Package tools names etcd, in which an API server keeps its objects, so that go.mod and go.sum hold its version. A module
// of its own: an API server wants other versions of etcd's packages than etcd itself.
package tools

import _ "go.etcd.io/etcd/server/v3"
