package collector

import (
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

// TestDependencies: no database driver, no sink, no dashboard.
func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":              "the wire form of alarms",
		"github.com/hardstand/hardstand/canary/decoy/...":          "the register of decoys",
		"github.com/hardstand/hardstand/canary/internal/...":       "through the decoys",
		"github.com/hardstand/hardstand/canary/register":           "registers as they are sealed",
		"github.com/hardstand/hardstand/canary/token":              "the register of credential files",
		"github.com/hardstand/hardstand/canary/collector/noise":    "how loud",
		"github.com/hardstand/hardstand/canary/collector/outbox":   "delivery",
		"github.com/hardstand/hardstand/canary/collector/register": "what was planted",
		"github.com/hardstand/hardstand/canary/collector/store":    "what is kept",
		"github.com/miekg/dns":                                     "the DNS listener",
		"github.com/prometheus/...":                                "metrics",
		"github.com/beorn7/perks/quantile":                         "through Prometheus",
		"github.com/cespare/xxhash/v2":                             "through Prometheus",
		"github.com/munnerz/goautoneg":                             "through Prometheus",
		"google.golang.org/protobuf/...":                           "through Prometheus",
		"golang.org/x/...":                                         "through DNS and Prometheus",
	})
}
