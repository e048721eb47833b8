package deb

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/klauspost/compress/...":       "gzip and zstd members, faster than the standard library",
		"github.com/hardstand/hardstand/build/xz": "xz members",
	})
}
