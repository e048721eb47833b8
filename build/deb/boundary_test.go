package deb

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/klauspost/compress/...":            "zstd members",
		"github.com/hardstand/hardstand/build/inflate": "gzip members",
		"github.com/hardstand/hardstand/build/xz":      "xz members",
	})
}
