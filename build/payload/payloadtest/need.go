// Package payloadtest is for tests of images that have a probe or decoys:
// those programs are compiled by `make payload`, which a test cannot do for
// itself, because they are embedded when it is compiled.
package payloadtest

import (
	"os"
	"testing"

	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/spec"
)

// Needed is set where tests must not be skipped for want of the programs:
// scripts/test sets it.
const Needed = "HARDSTAND_TEST_PAYLOAD"

// Present reports whether the programs are embedded.
func Present() bool {
	_, err := payload.Open(payload.Probe, spec.Platform{Arch: "amd64"})
	return err == nil
}

// Need skips a test that has no programs to put into images, and fails it
// where that must not be.
func Need(t testing.TB) {
	t.Helper()
	if Present() {
		return
	}
	const message = "the probe and the decoys are not compiled: run make payload"
	if os.Getenv(Needed) != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}
