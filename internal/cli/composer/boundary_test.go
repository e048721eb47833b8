package composer

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

// TestBoundary keeps the signing libraries, whose start-up is longer than a
// warm build, out of what runs in a build loop.
func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/build/...":                    "the work",
		"github.com/hardstand/hardstand/images":                       "built-in definitions",
		"github.com/hardstand/hardstand/internal/cli":                 "the frame",
		"github.com/hardstand/hardstand/internal/atomicfile":          "outputs appear whole",
		"github.com/hardstand/hardstand/internal/misspelt":            "names that were meant",
		"github.com/hardstand/hardstand/canary/...":                   "decoys and their secret",
		"github.com/google/go-containerregistry/...":                  "image types",
		"github.com/opencontainers/...":                               "of go-containerregistry",
		"github.com/ProtonMail/go-crypto/...":                         "signatures of the archive",
		"github.com/cloudflare/circl/...":                             "of go-crypto",
		"github.com/klauspost/compress/...":                           "layers",
		"github.com/spf13/...":                                        "commands and flags",
		"github.com/hardstand/hardstand/sign/keysign":                 "signatures with a key in a file",
		"github.com/secure-systems-lab/go-securesystemslib/encrypted": "of keysign",
		"golang.org/x/...":                                            "the Go project's own",
		"gopkg.in/yaml.v3":                                            "definitions",
	})
}
