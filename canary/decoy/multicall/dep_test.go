//go:build linux

package main

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":              "the alarm",
		"github.com/hardstand/hardstand/canary/decoy/internal/...": "the parts it plays",
		"github.com/hardstand/hardstand/canary/internal/...":       "configuration block, /proc and the collector's protocol",
	})
}
