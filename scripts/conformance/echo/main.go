// Command echo stands in for the application of the suite's mesh tests: called as `client` it makes the calls that the
// suite asks for inside a pod and prints what came back, called as anything else it is the server that tells what it got.
// What both print is what the suite reads (sigs.k8s.io/gateway-api/conformance/utils/echo): lines of `Name=value`.
package main

import (
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	run := serve
	if filepath.Base(os.Args[0]) == "client" {
		run = call
	}
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}
