package lint

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":        "through the decoys",
		"github.com/hardstand/hardstand/canary/decoy/...":    "the register of decoys",
		"github.com/hardstand/hardstand/canary/internal/...": "through the decoys",
		"gopkg.in/yaml.v3": "manifests are YAML",
	})
}
