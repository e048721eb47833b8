package dockerfile

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit":             "findings",
		"github.com/moby/buildkit/frontend/dockerfile/...": "the parser that builds use",
		"github.com/moby/buildkit/util/...":                "of the parser",
		"github.com/moby/patternmatcher/...":               ".dockerignore as builds read it",
		"mvdan.cc/sh/v3/...":                               "what RUN says",
		"github.com/docker/go-units":                       "of the parser",
		"github.com/pkg/errors":                            "of the parser",
		"google.golang.org/protobuf/...":                   "of the parser's errors",
		"github.com/containerd/typeurl/v2":                 "of the parser's errors",
		"github.com/planetscale/vtprotobuf/protohelpers":   "of the parser's errors",
		"github.com/agext/levenshtein":                     "the parser's suggestions",
		"github.com/opencontainers/go-digest":              "of the parser",
		"github.com/opencontainers/image-spec/...":         "of the parser",
		"github.com/moby/docker-image-spec/specs-go/v1":    "the shape of a HEALTHCHECK",
		"github.com/tonistiigi/go-csvvalue":                "mount options",
	})
}
